// SPDX-License-Identifier: Apache-2.0
// See sentences.h.
#include "host/study/sentences.h"

#include <fmt/format.h>

#include <algorithm>

#include "host/study/cell_order.h"
#include "host/study/wording.h"
#include "host/text.h"

namespace fryer::study {
namespace {

std::string counted(std::uint64_t n, const char* one, const char* many) {
  return with_separators(n) + " " + (n == 1 ? one : many);
}
std::string seeds(std::uint64_t n) { return counted(n, "seed", "seeds"); }

// "51 (95 % interval 48 to 53)"; ends that the data do not reach are said to be open.
std::string median_text(const Survival& survival) {
  const auto time = [](double x) { return fixed_number(x, 0); };
  std::string text = time(*survival.median);
  if (survival.lower && survival.upper) return text + fmt::format(" ({} to {})", time(*survival.lower), time(*survival.upper));
  if (survival.lower) return text + fmt::format(" ({} or later)", time(*survival.lower));
  return text;
}

// How many reached it, how soon, and what is not known of the others.
std::string threshold_sentence(const StudySummary& study, const CellSummary& cell, const ThresholdSummary& t) {
  const std::uint64_t n = cell.finished, others = n - t.reached;
  const bool evaluated = cell.planned_length == 0;  // policies that nobody trains
  const std::string& unit = study.time_unit;
  const std::string goal =
      fmt::format("reached a mean return of {}", short_number(t.threshold)) +
      (evaluated ? "" : fmt::format(" within {}", counted(cell.planned_length, unit.c_str(), (unit + "s").c_str())));
  std::string text;
  if (others == 0) {
    text = n == 1 ? fmt::format("The one seed {}", goal) : fmt::format("All of {} {}", seeds(n), goal);
    text += fmt::format("; with 95 % confidence at least {} % would", percent(t.share.lower));
  } else if (t.reached == 0) {
    text = n == 1 ? fmt::format("The one seed never {}", goal) : fmt::format("None of {} {}", seeds(n), goal);
    text += fmt::format("; with 95 % confidence at most {} % would", percent(t.share.upper));
  } else {
    text = fmt::format("{} of {} ({} %, 95 % interval {}) {}", with_separators(t.reached), seeds(n), percent(t.share.estimate),
                       percent_range(t.share), goal);
  }
  if (n > 1 && t.time.median) {
    text += fmt::format("; half of all seeds had by {} {}", unit, median_text(t.time));
  } else if (t.reached != 0 && n > 1 && !evaluated) {
    text += "; too few did for a median time";
  }
  text += '.';
  const std::uint64_t going = others - cell.failed;  // a failed replica counts as one of the others
  if (cell.failed != 0 && going != 0) {
    text +=
        fmt::format(" Of the {}, {} failed: parameters stopped being finite.",
                    t.reached == 0 ? with_separators(others) : with_separators(others) + " others", with_separators(cell.failed));
  } else if (cell.failed != 0) {
    const std::string who = t.reached == 0 ? (n == 1 ? "It" : "All of them")
                            : others == 1  ? "The other one"
                                           : fmt::format("The {} others", with_separators(others));
    text += fmt::format(" {} failed: {} parameters stopped being finite.", who, others == 1 ? "its" : "their");
  }
  if (going != 0 && !evaluated) {
    const bool all = going == n;
    const std::string who = all && n == 1      ? "it"
                            : all              ? "they"
                            : cell.failed != 0 ? fmt::format("the {} that did not fail", with_separators(going))
                            : going == 1       ? "the other one"
                                               : fmt::format("the {} others", with_separators(going));
    text += fmt::format(" The data do not show what {} would do with more {}s.", who, unit);
  }
  return text;
}

std::string mean_text(const std::string& name, const Distribution& d) {
  if (d.count == 1) return fmt::format("{}: {} with one seed, which says nothing of others.", name, short_number(d.mean));
  std::string text = fmt::format("{}: {} over {}", name, with_interval(d.mean_interval), seeds(d.count));
  if (d.iqm) text += fmt::format("; of the middle half of them {}", with_interval(*d.iqm));
  if (d.min < d.max) text += fmt::format("; single seeds from {} to {}", short_number(d.min), short_number(d.max));
  return text + '.';
}

// Each parameter's gradient with the mean square of one episode's, which is its variance but for the gradient's own square.
std::string gradient_sentence(const CellSummary& cell) {
  constexpr std::size_t kMostNamed = 5;
  std::string text;
  std::size_t named = 0;
  for (const auto& [name, distribution] : cell.parameters) {
    if (++named > kMostNamed) break;
    if (name == "mean_return") {
      text += fmt::format("; mean return {}", with_interval(distribution.mean_interval));
      continue;
    }
    text += text.empty() ? "Gradient of " : "; of ";
    text += fmt::format("{} {}", name, with_interval(distribution.mean_interval));
    const auto square = std::find_if(cell.second_moments.begin(), cell.second_moments.end(),
                                     [&name = name](const auto& moment) { return moment.first == name; });
    if (square != cell.second_moments.end())
      text += fmt::format(", mean square of an episode's {}", short_number(square->second));
  }
  if (text.empty()) return text;
  return text + fmt::format(". From {}.", seeds(cell.parameters.front().second.count));
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) text += (i == 0 ? "" : i + 1 == words.size() ? " and " : ", ") + words[i];
  return text;
}

// What numbers of a study are over, where seeds differ in more than their luck: "learning_rate", or with `ranges` "learning_rate from
// uniform(0, 1)", those of one range together.
std::string drawn_text(const StudySummary& study, bool ranges) {
  std::vector<std::string> texts, names;
  for (std::size_t i = 0; i < study.drawn.size(); ++i) {
    const auto& [name, range] = study.drawn[i];
    names.push_back(name);
    if (!ranges || (i + 1 < study.drawn.size() && study.drawn[i + 1].second == range)) continue;
    texts.push_back(fmt::format("{} from {}", joined(names), range));
    names.clear();
  }
  return joined(ranges ? texts : names);
}

std::string capitalised(std::string text) {
  if (!text.empty() && text.front() >= 'a' && text.front() <= 'z') text.front() = static_cast<char>(text.front() - 'a' + 'A');
  return text;
}

}  // namespace

std::string cell_sentence(const StudySummary& study, const CellSummary& cell) {
  if (cell.finished == 0) return fmt::format("None of its {} is finished yet.", seeds(cell.planned));
  std::string text;
  const auto add = [&](const std::string& sentence) { text += (text.empty() ? "" : " ") + sentence; };
  const ThresholdSummary* const main = main_threshold(cell);
  if (main != nullptr) {
    add(threshold_sentence(study, cell, *main));
    std::string others;
    for (const ThresholdSummary& t : cell.thresholds) {
      if (&t == main) continue;
      others += fmt::format("{}{} % reached {} ({})", others.empty() ? "" : ", ", percent(t.share.estimate),
                            short_number(t.threshold), percent_range(t.share));
    }
    if (!others.empty()) add(others + '.');
  } else if (cell.failed != 0) {
    add(fmt::format("{} of {} failed ({} %): parameters or estimates stopped being finite.", with_separators(cell.failed),
                    seeds(cell.finished), percent(static_cast<double>(cell.failed) / static_cast<double>(cell.finished))));
  }
  // The last return of a training that was stopped for it is no finding.
  const bool stopped_for_it = study.compared_by_time && main != nullptr && main->reached != 0;
  if (cell.result) {
    if (!stopped_for_it) add(mean_text(capitalised(study.result_name), *cell.result));
  } else if (study.command == "gradient") {
    add(gradient_sentence(cell));
  } else if (cell.thresholds.empty()) {
    constexpr std::size_t kMostNamed = 5;
    for (std::size_t i = 0; i < cell.parameters.size() && i < kMostNamed; ++i) {
      add(mean_text(fmt::format("Mean of {}", cell.parameters[i].first), cell.parameters[i].second));
    }
  }
  if (text.empty())
    add(fmt::format("{} finished; the study records nothing of them that could be summarised.", seeds(cell.finished)));
  if (!study.drawn.empty() && study.cells.size() > 1) add(fmt::format("Each seed draws its own {}.", drawn_text(study, false)));
  if (cell.finished < cell.planned) {
    add(fmt::format("{} of {} {} still missing.", with_separators(cell.planned - cell.finished), seeds(cell.planned),
                    cell.planned - cell.finished == 1 ? "is" : "are"));
  }
  return text;
}

std::string study_sentence(const StudySummary& study) {
  if (study.finished == 0) return fmt::format("None of {} is finished yet.", counted(study.planned, "training", "trainings"));
  std::string text;
  if (study.cells.size() == 1) {
    text = study.cells.front().sentence;
  } else if (study.comparisons.empty()) {
    text = fmt::format("The {} cells are not compared: {}.", with_separators(study.cells.size()), study.comparison_note);
  } else {
    const std::size_t best = study.ranking[0], next = study.ranking[1];
    const CellSummary& cell = study.cells[best];
    if (study.compared_by_time) {
      const ThresholdSummary& t = *main_threshold(cell);
      const bool steps = t.steps.n != 0;
      const std::optional<double>& median = steps ? t.steps.median : t.episodes.median;
      const bool tied = main_threshold(study.cells[next])->share.estimate == t.share.estimate;
      text = fmt::format("Of {} cells, {} reaches a mean return of {} {}", with_separators(study.cells.size()), cell.label,
                         short_number(t.threshold), tied ? "as often as any, and soonest" : "most often");
      text += fmt::format(": {} % of its seeds (95 % interval {})", percent(t.share.estimate), percent_range(t.share));
      if (median)
        text += fmt::format(", half of all within {} {}", with_separators(static_cast<std::uint64_t>(*median)),
                            steps ? "steps" : "episodes");
      text += '.';
    } else {
      text = fmt::format("Of {} cells, {} has the highest {}{}: {}.", with_separators(study.cells.size()), cell.label,
                         study.result_name, study.failed != 0 ? " (a failed seed counted as the lowest of all)" : "",
                         cell.result ? with_interval(cell.result->mean_interval) : "all failed");
    }
    for (const Comparison& c : study.comparisons) {
      const bool forwards = c.a == next && c.b == best;
      if (!forwards && !(c.a == best && c.b == next)) continue;
      const Interval& i = c.improvement;
      constexpr double kLevel = 1 - kConfidence;
      const bool misleads = c.p_holm <= kLevel && (forwards ? i.estimate < 0.5 : i.estimate > 0.5);
      // The chance of the cell that the sentence is about, whichever way round the pair was compared.
      const Interval share = forwards != misleads ? i : Interval{1 - i.estimate, 1 - i.upper, 1 - i.lower, i.method};
      const std::string chance = fmt::format(
          "over {} its chance to be the better one is {} % (95 % interval {}, {} after Holm's correction)",
          counted(c.pairs, "common seed", "common seeds"), percent(share.estimate), percent_range(share), p_value(c.p_holm));
      text += fmt::format(fmt::runtime(misleads             ? " Yet seed by seed the next, {}, does better: {}."
                                       : c.p_holm <= kLevel ? " Seed by seed it is better than the next, {}: {}."
                                                            : " The data do not separate it from the next, {}: {}."),
                          study.cells[next].label, chance);
    }
  }
  if (!study.drawn.empty())
    text += fmt::format(" Each seed draws {}: every number here is over what was drawn.", drawn_text(study, true));
  if (study.cells.size() > 1 && study.failed != 0) {
    text += fmt::format(" {} of {} failed.", with_separators(study.failed), counted(study.finished, "replica", "replicas"));
  }
  if (study.cells.size() > 1 && study.finished < study.planned) {
    text += fmt::format(" The study is not complete: {} of {} are finished.", with_separators(study.finished),
                        counted(study.planned, "replica", "replicas"));
  }
  return text;
}

}  // namespace fryer::study
