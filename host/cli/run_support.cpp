// SPDX-License-Identifier: Apache-2.0
// See run_support.h.
#include "host/cli/run_support.h"

#include <fmt/format.h>

#include "fryer/core/version.h"
#include "host/cli/output/json.h"
#include "host/ranks/place_backend.h"
#include "host/text.h"

namespace fryer::cli {

StopToken stop_requested{false};
ranks::Ranks* shared_ranks = nullptr;
bool is_root() { return shared_ranks == nullptr || shared_ranks->is_root(); }

std::unique_ptr<Backend> open_backend(const Command& command, const WorkEstimate& work, const Console& console) {
  BackendChoice choice = command.common().backend;
  choice.work = work.steps;
  choice.parallelism = work.parallelism;
  std::unique_ptr<Backend> backend = shared_ranks != nullptr ? ranks::make_backend(choice, *shared_ranks) : make_backend(choice);
  const bool automatic = choice.device == BackendChoice::Device::automatic;
  if ((automatic || command.common().verbose) && !command.common().quiet) {
    console.note(fmt::format("fryer: running on {}: {}", backend_text(backend->info()), backend->info().reason));
  }
  warn_of(backend->info(), command, console);
  return backend;
}

void warn_of(const BackendInfo& info, const Command& command, const Console& console) {
  if (!info.warning.empty() && !command.common().quiet) console.note("fryer: warning: " + info.warning);
}

std::string backend_text(const BackendInfo& info) {
  const std::string ranks = info.ranks > 1 ? fmt::format(" on {} ranks", info.ranks) : "";
  if (!info.device.starts_with("cpu")) return fmt::format("{} ({}){}", info.device, info.isa, ranks);
  return fmt::format("{} ({}, {} thread{}){}", info.device, info.isa, info.threads, info.threads == 1 ? "" : "s", ranks);
}

std::string closing_text(const Done& done, double seconds, const BackendInfo& info, std::uint64_t digest) {
  const auto [episodes, steps, updates] = done;
  std::string played = fmt::format("{} episode{}", human_count(static_cast<double>(episodes)), episodes == 1 ? "" : "s");
  if (steps != episodes) played += fmt::format(", {} steps", human_count(static_cast<double>(steps)));
  if (updates != 0) played += fmt::format(", {} updates", human_count(static_cast<double>(updates)));
  const std::string rate = updates != 0
                               ? human_rate(static_cast<double>(updates) / seconds, "updates")
                               : human_rate(static_cast<double>(steps) / seconds, steps != episodes ? "steps" : "episodes");
  return fmt::format("\n{} in {}, {} on {}\ndigest {} (numerics version {})\n", played, human_seconds(seconds), rate,
                     backend_text(info), hex16(digest), kNumericsVersion);
}

std::string compiler() {
#if defined(__clang__)
  return "clang " __clang_version__;
#else
  return "gcc " __VERSION__;
#endif
}

Json backend_json(const BackendInfo& info) {
  Json document = {{"device", info.device}, {"isa", info.isa}, {"threads", info.threads}, {"reason", info.reason}};
  if (info.ranks > 1) document["ranks"] = info.ranks;
  return document;
}

Json document_head(const Command& command, std::uint64_t seed) {
  Json document = Json::object();
  document["command"] = command.description().name;
  if (!command.environment().empty()) document["environment"] = command.environment();
  if (!command.algorithm().empty()) document["algorithm"] = command.algorithm();
  document["configuration"] = command.table().configuration();
  document["seed"] = seed;
  document["numerics_version"] = kNumericsVersion;
  return document;
}

namespace {

// Episodes (or steps) per second, the best of larger and larger parts: small ones are slowed by starting, and any by what else the
// machine does.
double measured_rate(const Plan& plan, Backend& backend) {
  constexpr double kEnough = 0.04;                 // seconds
  const int least_parts = plan.steps > 0 ? 2 : 4;  // a part by steps takes a hundred times as long
  const Stopwatch whole;
  double rate = 0;
  std::uint64_t part = plan.steps > 0 ? 1 << 10 : 1 << 12;
  for (int i = 0; i < least_parts || (whole.seconds() < kEnough && part < 1 << 28); ++i) {
    const Stopwatch watch;
    const double finished = plan.pilot(backend, part);
    rate = std::max(rate, finished / std::max(watch.seconds(), 1e-7));
    part *= 4;
  }
  return rate;
}

}  // namespace

int run_dry(const Command& command, const Console& console, std::uint64_t seed, const Plan& plan) {
  const Stopwatch whole;
  const std::unique_ptr<Backend> backend = open_backend(command, plan.work, console);
  const double rate = measured_rate(plan, *backend);
  const double seconds = (plan.steps > 0 ? plan.steps : plan.episodes) / rate;
  const char* const unit = plan.steps > 0 ? "steps" : "episodes";
  if (command.common().json) {
    Json document = document_head(command, seed);
    document["dry_run"] = true;
    document["backend"] = backend_json(backend->info());
    document["wall_seconds"] = whole.seconds();
    document["plan"] = {{"what", plan.what},
                        {"episodes", plan.episodes},
                        {fmt::format("{}_per_second", unit), finite(rate)},
                        {"seconds", finite(seconds)},
                        {"memory_bytes", plan.work.memory_bytes},
                        {"outputs", plan.outputs}};
    if (plan.replica_bytes != 0) document["plan"]["memory_bytes_per_replica"] = plan.replica_bytes;
    console.print(to_text(document));
    return 0;
  }
  std::string text = fmt::format("would run: {} on {}\n", plan.what, backend_text(backend->info()));
  text += fmt::format("time:      about {} (measured here: {})\n", human_seconds(seconds), human_rate(rate, unit));
  const auto bytes = static_cast<double>(plan.work.memory_bytes);
  text += fmt::format(
      "memory:    {}{}\n",
      bytes > 0 ? "about " + human_bytes(bytes) + " beside the program's own" : "nothing beside the program's own",
      plan.replica_bytes != 0 ? fmt::format("; per replica that trains {}", human_bytes(static_cast<double>(plan.replica_bytes)))
                              : "");
  for (const std::string& output : plan.outputs) text += fmt::format("would write {}\n", shown_path(output));
  if (command.common().verbose) text += fmt::format("settings:  {}\n", command.table().configuration().dump());
  console.print(text);
  return 0;
}

void say_stopped(const Command& command, const Console& console, double share) {
  console.note(
      fmt::format("fryer: stopped after {:.0f} % of the work; a {} is kept only when it is complete. To run it again: {}",
                  share * 100, command.description().name == "train" ? "training" : "result", command.command_line));
}

}  // namespace fryer::cli
