// SPDX-License-Identifier: Apache-2.0
// What `fryer gradient` and `fryer evaluate` are for every environment: many episodes under one policy, run, timed and reported alike. An
// environment's class adds its options and says what a result means.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "host/cli/command.h"
#include "host/cli/output/json.h"
#include "host/cli/run_support.h"
#include "host/cli/settings.h"

namespace fryer::cli {

// "0.0012"; "-" of one episode, which has no error.
inline std::string error_text(const Estimate& e) {
  return std::isfinite(e.standard_error) ? fmt::format("{:.2g}", e.standard_error) : "-";
}

template <class Configuration, class Result>
class EpisodeCommand : public Command {
 public:
  bool takes_environment() const override { return true; }
  std::optional<study::CellConfiguration> cell() const override { return c_; }
  void take(const study::CellConfiguration& cell) override { c_ = std::get<Configuration>(cell); }
  bool runs_on_ranks() const override { return !common_.dry_run; }
  int run(const Console& console) override {
    if (common_.dry_run) return run_dry(*this, console, c_.seed, plan());
    const Stopwatch watch;
    const std::unique_ptr<Backend> backend = open_backend(*this, estimate(c_), console);
    const Result r = run_watched(*this, console, "episodes", 1,
                                 [&](const RunControl& control, ProgressMeter&) { return result_of(c_, *backend, control); });
    const double seconds = watch.seconds();
    if (!common_.json) {
      console.print(text(console, r) + closing_text({r.episodes, r.steps}, seconds, backend->info(), r.digest));
      return 0;
    }
    Json document = document_head(*this, c_.seed);
    document["digest"] = hex16(r.digest);
    document["backend"] = backend_json(backend->info());
    document["wall_seconds"] = seconds;
    document["episodes"] = r.episodes;
    document["steps"] = r.steps;
    add_to_document(document, r);
    console.print(to_text(document));
    return 0;
  }

 protected:
  using Command::Command;
  void add_episodes(const std::string& help) {
    table_.integer("episodes", "N", c_.episodes, "a whole number from 1 to 2^40", "episodes", help);
    add_seed(table_, c_.seed, "seed of the episodes");
  }

  virtual std::string what() const = 0;  // what would run, after the number of episodes
  virtual std::string text(const Console& console, const Result& result) const = 0;
  virtual void add_to_document(Json& document, const Result& result) const = 0;

  Configuration c_;

 private:
  static Result result_of(const Configuration& c, Backend& backend, const RunControl& control) {
    if constexpr (std::is_same_v<Result, EvaluateResult>) {
      return evaluate(c, backend, control);
    } else {
      return gradient(c, backend, control);
    }
  }
  Plan plan() const {
    Plan plan;
    plan.what = with_separators(c_.episodes) + " episodes " + what();
    plan.work = estimate(c_);
    plan.episodes = static_cast<double>(c_.episodes);
    plan.pilot = [this](Backend& backend, std::uint64_t wanted) {
      Configuration part = c_;
      part.episodes = std::min(c_.episodes, wanted);
      return static_cast<double>(result_of(part, backend, {}).episodes);
    };
    return plan;
  }
};

template <class Configuration>
class EvaluateCommand : public EpisodeCommand<Configuration, EvaluateResult> {
 public:
  void settle() override {
    // A policy named on the command line replaces a file's `random = true`.
    Source policy = Source::standard;
    for (const std::string& name : of_a_policy_) policy = std::max(policy, this->table_.find(name)->source);
    if (this->c_.random && policy > this->table_.find("random")->source) this->c_.random = false;
    if (this->c_.random) this->c_.greedy = false;
  }

 protected:
  using EpisodeCommand<Configuration, EvaluateResult>::EpisodeCommand;
  // --random and --greedy. of_a_policy: options that say which policy plays, and mean nothing next to --random.
  void add_players(std::vector<std::string> of_a_policy) {
    Configuration& c = this->c_;
    this->table_.flag("random", c.random, "either action with probability 1/2, instead of a policy");
    this->table_.flag("greedy", c.greedy, "take the likelier action instead of sampling");
    of_a_policy_ = std::move(of_a_policy);
    of_a_policy_.emplace_back("greedy");
    for (const std::string& name : of_a_policy_) this->table_.find(name)->needs([&c] { return !c.random; }, "random");
  }
  virtual std::string policy_text() const = 0;  // "the policy with ..."
  std::string player() const {
    return this->c_.random ? "the random policy" : policy_text() + (this->c_.greedy ? ", greedy" : "");
  }
  std::string what() const override { return "of " + player(); }
  std::string first_line(const EvaluateResult& r) const {
    if (r.episodes == 1) return fmt::format("Return of {} in one episode: {:.6g}\n\n", player(), r.mean);
    return fmt::format("Mean return of {}: {:.6g} (standard error {:.2g}); sd {:.4g}, from {:g} to {:g}\n\n", player(), r.mean,
                       r.standard_error, r.sd, r.min, r.max);
  }
  void add_to_document(Json& document, const EvaluateResult& r) const override {
    document["return"] = {{"mean", finite(r.mean)}, {"sd", finite(r.sd)},   {"standard_error", finite(r.standard_error)},
                          {"min", finite(r.min)},   {"max", finite(r.max)}, {"quantiles", quantiles_json(r.quantiles)}};
    document["terminated"] = r.terminated;
    document["truncated"] = r.truncated;
    document["length_histogram"] = r.length_histogram;
  }

 private:
  std::vector<std::string> of_a_policy_;
};

}  // namespace fryer::cli
