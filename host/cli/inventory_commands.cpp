// SPDX-License-Identifier: Apache-2.0
// `fryer devices`, `fryer list` and `fryer --version`: what this machine and this program have.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "fryer/core/version.h"
#include "fryer/engine/backend.h"
#include "fryer/engine/registry.h"
#include "host/cli/command.h"
#include "host/cli/output/json.h"
#include "host/cli/run_support.h"

#ifndef FRYER_BUILD_TYPE
#define FRYER_BUILD_TYPE "unknown"
#endif
#ifndef FRYER_SANITIZERS
#define FRYER_SANITIZERS ""
#endif
#ifndef FRYER_CUDA_COMPILER
#define FRYER_CUDA_COMPILER ""
#endif

namespace fryer::cli {
namespace {

Description describe(const char* name, const char* summary, const char* text,
                     std::vector<std::pair<std::string, std::string>> examples) {
  Description d;
  d.name = name;
  d.summary = summary;
  d.text = text;
  d.examples = std::move(examples);
  return d;
}

Json head(const Command& command) {
  return {{"command", command.description().name}, {"version", kVersion}, {"numerics_version", kNumericsVersion}};
}

class DevicesCommand : public Command {
 public:
  DevicesCommand()
      : Command(describe("devices", "every backend, available or not, and why",
                         "The CPU's executors by instruction set (FRYER_ISA=scalar|avx2|avx512 forces one), then GPUs.",
                         {{"a table", "devices"}, {"for programs", "devices --json"}})) {
    add_output_options();
  }
  int run(const Console& console) override {
    const std::vector<DeviceReport> reports = list_devices();
    if (common_.json) {
      Json document = head(*this);
      document["devices"] = Json::array();
      for (const DeviceReport& report : reports) {
        document["devices"].push_back({{"name", report.name}, {"available", report.available}, {"detail", report.detail}});
      }
      console.print(to_text(document));
      return 0;
    }
    Table table;
    table.headings = {"<device", "<", "<what it is, or why not"};
    for (const DeviceReport& report : reports) {
      table.rows.push_back({report.name, report.available ? "available" : "not available", report.detail});
    }
    console.print(render(console.out, table));
    return 0;
  }
};

class ListCommand : public Command {
 public:
  ListCommand()
      : Command(describe("list", "environments, policies, algorithms and presets", "As the registry has them.",
                         {{"a table", "list"}, {"for programs", "list --json"}})) {
    add_output_options();
  }
  int run(const Console& console) override {
    common_.json ? print_json(console) : print_text(console);
    return 0;
  }

 private:
  void print_json(const Console& console) const {
    Json document = head(*this);
    document["environments"] = Json::array();
    Json policies = Json::array();
    for (const EnvironmentEntry& e : kEnvironments) {
      document["environments"].push_back({{"name", std::string(e.name)},
                                          {"summary", std::string(e.summary)},
                                          {"policy", std::string(e.policy)},
                                          {"parameters", std::vector<std::string>(e.parameters.begin(), e.parameters.end())},
                                          {"algorithms", split_list(e.algorithms)}});
      policies.push_back({{"name", std::string(e.policy)}, {"environment", std::string(e.name)}});
    }
    document["policies"] = policies;
    document["algorithms"] = Json::array();
    for (const AlgorithmEntry& a : kAlgorithms)
      document["algorithms"].push_back({{"name", std::string(a.name)}, {"summary", std::string(a.summary)}});
    document["presets"] = Json::array();
    for (const PresetEntry& p : kPresets) {
      document["presets"].push_back({{"name", std::string(p.name)},
                                     {"environments", split_list(p.environments)},
                                     {"algorithm", std::string(p.algorithm)},
                                     {"summary", std::string(p.summary)}});
    }
    console.print(to_text(document));
  }
  void print_text(const Console& console) const {
    const auto heading = [&](const char* text) { return paint(console.out, Style::bold, text) + '\n'; };
    std::string text = heading("Environments");
    for (const EnvironmentEntry& e : kEnvironments) {
      text += fmt::format("  {}  {}\n    policy {}, parameters {}; algorithms {}\n", e.name, e.summary, e.policy,
                          fmt::join(e.parameters, ", "), e.algorithms);
    }
    text += heading("Algorithms");
    for (const AlgorithmEntry& a : kAlgorithms) text += fmt::format("  {}  {}\n", a.name, a.summary);
    text += heading("Presets");
    for (const PresetEntry& p : kPresets)
      text += fmt::format("  {}  {} {}: {}\n", p.name, p.environments, p.algorithm, p.summary);
    console.print(text);
  }
};

std::string build() {
  const std::string sanitizers = FRYER_SANITIZERS;
  return FRYER_BUILD_TYPE + (sanitizers.empty() ? "" : ", sanitizers " + sanitizers);
}

class VersionCommand : public Command {
 public:
  VersionCommand()
      : Command(describe("version", "version, numerics version, compilers and build",
                         "The numerics version changes when the bits of any result do.",
                         {{"the same as --version", "version"}, {"for programs", "version --json"}})) {
    add_output_options();
  }
  int run(const Console& console) override {
    const std::string cuda = *FRYER_CUDA_COMPILER != '\0' ? FRYER_CUDA_COMPILER : "none (built without it)";
    if (common_.json) {
      Json document = head(*this);
      document["compiler"] = compiler();
      document["cuda_compiler"] = cuda;
      document["mpi"] = ranks::mpi_library();
      document["build"] = build();
      console.print(to_text(document));
    } else {
      console.print(fmt::format("fryer {}\nnumerics version {}\ncompiler {}\nCUDA {}\nMPI {}\nbuild {}\n", kVersion,
                                kNumericsVersion, compiler(), cuda, ranks::mpi_library(), build()));
    }
    return 0;
  }
};

}  // namespace

std::unique_ptr<Command> make_devices_command(const Subject&) { return std::make_unique<DevicesCommand>(); }
std::unique_ptr<Command> make_list_command(const Subject&) { return std::make_unique<ListCommand>(); }
std::unique_ptr<Command> make_version_command(const Subject&) { return std::make_unique<VersionCommand>(); }

}  // namespace fryer::cli
