// SPDX-License-Identifier: Apache-2.0
// See bench_report.h.
#include "host/cli/output/bench_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "fryer/core/error.h"
#include "host/cli/output/json.h"
#include "host/text.h"

namespace fryer::cli {
namespace {

using throughput::Measurement;
using throughput::Report;

std::string threads_text(unsigned threads) { return fmt::format("{} thread{}", threads, threads == 1 ? "" : "s"); }
bool is_gpu(const std::string& executor) { return executor == "cuda"; }

}  // namespace

BenchKey key_of(const Measurement& m) { return {m.name, m.executor, m.threads}; }

std::string text_of(const BenchKey& key) {
  return fmt::format("{} on {}{}", key.name, key.executor, is_gpu(key.executor) ? "" : ", " + threads_text(key.threads));
}

std::string why_wrong(const Measurement& m) {
  if (m.digest != m.expected) return fmt::format("digest {} instead of {}", hex16(m.digest), hex16(m.expected));
  if (!m.repeats) return "the same work gave different bits";
  return fmt::format("other bits than {}'s, for {}", m.checker,
                     m.checked_whole ? "the work that was timed" : "less work than was timed");
}

EarlierBench parse_earlier_bench(const std::string& path, const std::string& text) {
  struct Refusal {
    std::string why;
  };
  const auto whole = [](const nlohmann::json& value, const char* what) {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > 0xffffffffu)
      throw Refusal{fmt::format("its {} is not a whole number", what)};
    return static_cast<unsigned>(value.get<std::uint64_t>());
  };
  try {
    const nlohmann::json document = nlohmann::json::parse(text);
    if (!document.is_object() || !document.contains("command")) throw Refusal{"it has no `command`"};
    if (document.at("command") != "bench") throw Refusal{"its `command` is another"};
    if (document.value("dry_run", false)) throw Refusal{"it is of a --dry-run, which measures nothing"};
    if (!document.contains("rows")) throw Refusal{"it has no `rows`"};
    EarlierBench earlier{
        document.at("machine").at("cpu"), document.at("suite"), whole(document.at("numerics_version"), "numerics_version"), {}};
    if (!document.at("rows").is_array()) throw Refusal{"its rows are not a list"};
    for (const nlohmann::json& row : document.at("rows")) {
      const BenchKey key{row.at("name"), row.at("executor"), whole(row.at("threads"), "threads")};
      const bool right_bits = row.at("digest_ok");
      if (row.at("rate").is_null()) continue;  // wrong bits had none
      if (!right_bits) throw Refusal{fmt::format("{} has a rate and wrong bits", shown(text_of(key)))};
      for (const throughput::Row& known : throughput::rows()) {
        if (key.name == known.name && row.at("unit") != known.unit)
          throw Refusal{fmt::format("the rate of {} is of {}, not of {}", shown(text_of(key)),
                                    shown(row.at("unit").get<std::string>()), known.unit)};
      }
      if (!row.at("rate").is_number()) throw Refusal{fmt::format("the rate of {} is not a number", shown(text_of(key)))};
      const double rate = row.at("rate");
      if (!(rate > 0)) throw Refusal{fmt::format("the rate of {} is {}", shown(text_of(key)), rate)};
      if (!earlier.rates.emplace(key, rate).second) throw Refusal{shown(text_of(key)) + " is there twice"};
    }
    return earlier;
  } catch (const Refusal& refusal) {
    throw DamagedFileError(fmt::format("--compare: {} is not what `fryer bench --json` writes: {}", shown(path), refusal.why));
  } catch (const nlohmann::json::parse_error& error) {
    throw DamagedFileError(error.byte > text.size()
                               ? fmt::format("--compare: {} is damaged JSON: it ends too early", shown(path))
                               : fmt::format("--compare: {} is damaged JSON at byte {}", shown(path), error.byte));
  } catch (const nlohmann::json::exception&) {
    throw DamagedFileError(fmt::format(
        "--compare: {} is not what `fryer bench --json` writes: its machine, suite, numerics_version or rows are other ones",
        shown(path)));
  }
}

std::size_t BenchComparison::slower() const {
  return static_cast<std::size_t>(std::count_if(rows.begin(), rows.end(), [](const Row& row) { return row.slower; }));
}

std::size_t BenchComparison::slower_and_disturbed() const {
  return static_cast<std::size_t>(
      std::count_if(rows.begin(), rows.end(), [](const Row& row) { return row.slower && row.disturbed; }));
}

BenchComparison compare_bench(const Report& report, const EarlierBench& earlier, double tolerance,
                              const std::vector<BenchKey>& asked) {
  BenchComparison comparison;
  std::vector<BenchKey> measured;
  for (const Measurement& m : report.rows) {
    if (!m.ok()) continue;
    const BenchKey key = key_of(m);
    const auto found = earlier.rates.find(key);
    measured.push_back(key);
    if (found == earlier.rates.end()) {
      comparison.only_here.push_back(key);
    } else {
      const double ratio = m.rate / found->second;
      const bool disturbed = !is_gpu(m.executor) && m.processors < BenchComparison::kUndisturbed;
      comparison.rows.push_back({key, ratio, ratio < 1 - tolerance, disturbed});
    }
  }
  for (const auto& [key, rate] : earlier.rates) {
    const auto among = [&key = key](const std::vector<BenchKey>& keys) {
      return std::find(keys.begin(), keys.end(), key) != keys.end();
    };
    if (among(asked) && !among(measured)) comparison.only_there.push_back(key);
  }
  return comparison;
}

Json machine_json(const throughput::Machine& machine) {
  return {{"cpu", machine.cpu}, {"cores", machine.cores}, {"instruction_sets", machine.instruction_sets}};
}

Json peaks_json(const Report& report) {
  Json peaks = Json::array();
  for (const throughput::Peaks& p : report.peaks) {
    Json peak = {{"executor", p.executor}, {"threads", p.threads}};
    const auto add = [&](const char* name, double rate) { peak[name] = rate > 0 ? finite(rate) : Json(); };
    add("fma_per_second", p.rates.fused);
    add("multiplies_per_second", p.rates.wide_multiply);
    add("divisions_per_second", p.rates.divide);
    add("square_roots_per_second", p.rates.square_root);
    add("instructions_per_second", p.rates.issue);
    peaks.push_back(std::move(peak));
  }
  return peaks;
}

Json rows_json(const Report& report) {
  Json rows = Json::array();
  for (const Measurement& m : report.rows) {
    Json row = {{"name", m.name}, {"executor", m.executor}, {"threads", m.threads}, {"unit", m.unit}};
    row["rate"] = m.ok() ? finite(m.rate) : Json();
    row["spread"] = m.ok() ? finite(m.spread) : Json();
    row["repetitions"] = m.repetitions;
    row["processors"] = m.ok() && !is_gpu(m.executor) ? finite(m.processors) : Json();
    row["limit"] = Json();
    if (m.ok() && m.limit)
      row["limit"] = {{"kind", m.limit->kind}, {"rate", finite(m.limit->rate)}, {"share", finite(m.share())}};
    row["needs"] = Json();
    if (m.ok() && !m.counted.empty()) {
      row["needs"] = {{"of", m.counted},
                      {"fma", m.needed.fused},
                      {"multiplies", m.needed.wide_multiply},
                      {"divisions", m.needed.divide},
                      {"square_roots", m.needed.square_root},
                      {"instructions", m.needed.issue}};
    }
    row["digest"] = hex16(m.digest);
    row["digest_ok"] = m.ok();
    row["repeats"] = m.repeats;
    row["checked_by"] = m.checker.empty() ? Json() : Json(m.checker);
    row["agrees"] = m.checker.empty() ? Json() : Json(m.agrees);
    rows.push_back(std::move(row));
  }
  return rows;
}

Json keys_json(const std::vector<BenchKey>& keys) {
  Json list = Json::array();
  for (const BenchKey& key : keys) list.push_back({{"name", key.name}, {"executor", key.executor}, {"threads", key.threads}});
  return list;
}

Json comparison_json(const BenchComparison& comparison, double tolerance) {
  Json rows = Json::array();
  for (const BenchComparison::Row& row : comparison.rows) {
    rows.push_back({{"name", row.key.name},
                    {"executor", row.key.executor},
                    {"threads", row.key.threads},
                    {"ratio", finite(row.ratio)},
                    {"slower", row.slower}});
  }
  return {{"tolerance", tolerance},
          {"slower", comparison.slower()},
          {"rows", std::move(rows)},
          {"only_here", keys_json(comparison.only_here)},
          {"only_there", keys_json(comparison.only_there)}};
}

std::string bench_table(const Terminal& terminal, const Report& report, const BenchComparison* comparison) {
  Table table;
  table.headings = {"<row", "<executor", "threads", "rate", "spread", "cpu", "of limit", "<bound by"};
  if (comparison != nullptr) table.headings.insert(table.headings.begin() + 4, "ratio");
  for (const Measurement& m : report.rows) {
    std::vector<std::string> row = {m.name, m.executor, is_gpu(m.executor) ? "" : std::to_string(m.threads)};
    if (m.ok()) {
      row.push_back(human_rate(m.rate, m.unit));
      row.push_back(fmt::format("{:.1f} %", m.spread * 100));
      row.push_back(is_gpu(m.executor) ? "" : fmt::format("{:.0f} %", m.processors * 100));
      row.push_back(m.limit ? fmt::format("{:.0f} %", m.share() * 100) : "");
      row.emplace_back(m.limit ? m.limit->kind : "");
    } else {
      row.emplace_back(m.repeats ? "wrong bits" : "bits that change");
      row.insert(row.end(), {"", "", "", ""});
    }
    if (comparison != nullptr) {
      const auto found = std::find_if(comparison->rows.begin(), comparison->rows.end(),
                                      [&](const BenchComparison::Row& r) { return r.key == key_of(m); });
      row.insert(row.begin() + 4,
                 found == comparison->rows.end() ? "" : fmt::format("{:.2f}{}", found->ratio, found->slower ? " slower" : ""));
    }
    table.rows.push_back(std::move(row));
  }
  return render(terminal, table);
}

std::string peaks_text(const Report& report) {
  std::string text;
  for (const throughput::Peaks& p : report.peaks) {
    const auto billion = [](double rate) { return fmt::format("{:.3g}", rate * 1e-9); };
    if (is_gpu(p.executor)) {
      text +=
          fmt::format("peak of {}: {} billion lanes' instructions a second, by its clock\n", p.executor, billion(p.rates.issue));
      continue;
    }
    text += fmt::format("peaks of {}, {}, billions a second: fma {}, multiply {}, divide {}, square root {}, issue {}\n",
                        p.executor, threads_text(p.threads), billion(p.rates.fused), billion(p.rates.wide_multiply),
                        billion(p.rates.divide), billion(p.rates.square_root), billion(p.rates.issue));
  }
  return text;
}

std::string needs_text(const Terminal& terminal, const Report& report) {
  Table table;
  table.headings = {"<row", "<executor", "<a", "fma", "multiply", "divide", "square root", "issue"};
  std::string last;  // threads change nothing
  for (const Measurement& m : report.rows) {
    const std::string key = m.name + ' ' + m.executor;
    if (m.counted.empty() || key == last) continue;
    last = key;
    std::vector<std::string>& row = table.rows.emplace_back();
    row = {m.name, m.executor, m.counted};
    for (const double n : {m.needed.fused, m.needed.wide_multiply, m.needed.divide, m.needed.square_root, m.needed.issue})
      row.push_back(n < 1e5 ? fmt::format("{:.5g}", n) : fmt::format("{:.0f}", n));
  }
  return "what each needs at least, a lane's operations\n" + render(terminal, table);
}

}  // namespace fryer::cli
