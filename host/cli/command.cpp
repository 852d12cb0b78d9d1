// SPDX-License-Identifier: Apache-2.0
// Options that commands share, and reasons for those that some do not have. See command.h.
#include "host/cli/command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace fryer::cli {
namespace {

constexpr std::uint64_t kMostCpuDevices = 64, kLastGpu = 1023;
constexpr const char* kDevices =
    "auto, cpu, cuda, cuda:I with I from 0, cuda:I,J,... with different ones, cuda:all, or cpu:N with N from 1 to 64";

// The numbers of a list I,J,... of different GPUs.
std::optional<std::vector<int>> read_gpus(const std::string& list) {
  std::vector<int> gpus;
  for (std::size_t begin = 0, end = 0; end != std::string::npos; begin = end + 1) {
    end = list.find(',', begin);
    const auto gpu = parse_integer(std::string_view(list).substr(begin, end == std::string::npos ? end : end - begin));
    if (!gpu || *gpu > kLastGpu || std::find(gpus.begin(), gpus.end(), static_cast<int>(*gpu)) != gpus.end()) return std::nullopt;
    gpus.push_back(static_cast<int>(*gpu));
  }
  return gpus;
}

void read_device(BackendChoice& choice, const std::string& text) {
  using Device = BackendChoice::Device;
  const BackendChoice standard;
  choice.cpu_devices = standard.cpu_devices;
  choice.cuda_devices = standard.cuda_devices;
  choice.cuda_named = standard.cuda_named;
  if (text == "auto") {
    choice.device = Device::automatic;
  } else if (text == "cpu" || text.starts_with("cpu:")) {
    choice.device = Device::cpu;
    if (text == "cpu") return;
    const auto count = parse_integer(std::string_view(text).substr(4));
    if (!count || *count < 1 || *count > kMostCpuDevices) not_accepted(text, kDevices);
    choice.cpu_devices = static_cast<unsigned>(*count);
  } else if (text == "cuda" || text.starts_with("cuda:")) {
    choice.device = Device::cuda;
    if (text == "cuda") return;
    const auto gpus = text == "cuda:all" ? std::vector<int>{} : read_gpus(text.substr(5));
    if (!gpus) not_accepted(text, kDevices);
    choice.cuda_devices = *gpus;
    choice.cuda_named = !gpus->empty();
  } else {
    not_accepted(text, kDevices, {"auto", "cpu", "cuda"});
  }
}

std::string device_text(const BackendChoice& choice) {
  if (choice.device == BackendChoice::Device::automatic) return "auto";
  if (choice.device == BackendChoice::Device::cpu)
    return choice.cpu_devices == 1 ? "cpu" : fmt::format("cpu:{}", choice.cpu_devices);
  return choice.cuda_devices.empty() ? "cuda:all" : fmt::format("cuda:{}", fmt::join(choice.cuda_devices, ","));
}

// Options of environments and algorithms with steps and value networks, which someone may try here.
struct Absent {
  const char* why;
  std::vector<std::string> options;
};
const std::vector<Absent>& absent_options() {
  static const std::vector<Absent> absent = {
      {"an episode is one step, so there is nothing to discount (--reward-scale scales the rewards)", {"gamma"}},
      {"its loss has no entropy term", {"entropy-bonus"}},
      {"its policy is one sigmoid of weight times hunger plus bias, without hidden layers (--weight, --bias)",
       {"hidden", "activation", "initialisation"}},
      {"those are settings of value learners (dqn, q-learning), which it does not have",
       {"epsilon-start", "epsilon-end", "epsilon-decay-steps", "epsilon-schedule", "buffer", "warmup-steps", "train-every",
        "gradient-steps", "target-mix", "target-every", "double", "loss", "clip-norm", "target", "terminal-mask", "truncation"}},
  };
  return absent;
}

}  // namespace

std::string Command::why_not(const std::string& option) const {
  if (environment_ != FryShack::kName) return "";
  for (const Absent& absent : absent_options()) {
    if (std::find(absent.options.begin(), absent.options.end(), option) != absent.options.end()) {
      return fmt::format("FryShack-v0 has no such setting: {}", absent.why);
    }
  }
  return "";
}

void Command::add_output_options() {
  table_.flag("json", common_.json, "print one JSON document on stdout and nothing else").setting = false;
  table_.flag("quiet", common_.quiet, "print nothing on stderr but errors").setting = false;
  Option& verbose = table_.flag("verbose", common_.verbose, "print more: on stderr which device and why, in tables every row");
  verbose.setting = false;
  verbose.short_name = "v";
}

void Command::add_device_options() {
  Option device;
  device.name = "device";
  device.placeholder = "auto|cpu[:N]|cuda[:I,J,...|:all]";
  device.accepted = kDevices;
  device.help =
      "where to run; auto takes one GPU if there is one and the work fills it, else the CPU. Several GPUs share the work where "
      "they are named, or with cuda:all; so do N devices of the CPU with cpu:N, a way to try that. Results are the same bits "
      "everywhere";
  device.read = [this](const std::string& text) { read_device(common_.backend, text); };
  device.value = [this] { return Json(device_text(common_.backend)); };
  device.setting = false;
  table_.add(device);

  Option threads;
  threads.name = "threads";
  threads.placeholder = "N";
  threads.accepted = "a whole number from 1 to 1024";
  threads.unit = "CPU workers";
  threads.help =
      "CPU workers, of each rank under an MPI launcher; unless given all that this process may use, which ranks that share "
      "processors divide. "
      "cpu:N has one a device at least";
  threads.read = [this, accepted = threads.accepted](const std::string& text) {
    const std::optional<std::uint64_t> n = parse_integer(text);
    if (!n || *n < 1 || *n > 1024) not_accepted(text, accepted);
    common_.backend.threads = static_cast<unsigned>(*n);
  };
  threads.value = [this] { return common_.backend.threads != 0 ? Json(common_.backend.threads) : Json("all"); };
  threads.setting = false;
  table_.add(threads);
}

void Command::add_backend_options() {
  add_device_options();
  table_.text(
      "config", "FILE", common_.config, "a TOML file, or the JSON of an earlier run",
      "take settings from FILE: TOML with the options' names, _ for -, or the JSON of an earlier run, which is then repeated; "
      "options on the command line win, a --preset there too, with all that it sets; one within FILE gives way to what else FILE "
      "says");
  table_.flag("dry-run", common_.dry_run, "check everything, say what would run, how long and with how much memory, and stop")
      .setting = false;
  add_output_options();
}

}  // namespace fryer::cli
