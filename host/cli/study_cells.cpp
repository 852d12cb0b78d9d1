// SPDX-License-Identifier: Apache-2.0
// Cells of a study from settings: each combination of a file through the command's own option table, with what is drawn and recorded; and
// the cells of a stored plan, from the settings written in it.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "fryer/engine/run.h"
#include "host/cli/config_file.h"
#include "host/cli/study_reader.h"
#include "host/study/draws.h"
#include "host/study/run_chunk.h"
#include "host/training_support.h"

namespace fryer::cli {
namespace {

bool has_hidden_layer(const study::CellConfiguration& cell) {
  return std::visit(
      [](const auto& c) {
        if constexpr (requires { c.problem.hidden; }) {
          return c.problem.hidden.units != 0;
        } else {
          return false;
        }
      },
      cell);
}

// Plays at random, without a policy.
bool is_random(const study::CellConfiguration& cell) {
  return std::visit(
      [](const auto& c) {
        if constexpr (requires { c.random; }) {
          return c.random;
        } else {
          return false;
        }
      },
      cell);
}

// What a training's curve, thresholds and stopping rule are made of: an outcome an update, or of value learners an episode.
struct TrainingCourse {
  std::optional<double> until;
  std::uint64_t outcomes, window;
  std::string units;    // "updates"
  std::uint64_t batch;  // of episodes, an update; 0 of value learners
};
std::optional<TrainingCourse> course_of(const TrainingSettings& c) {
  return TrainingCourse{c.until, c.updates, window_of(c.batch), "updates", c.batch};
}
std::optional<TrainingCourse> course_of(const QTrainConfiguration& c) {
  return TrainingCourse{c.until, c.training.episodes, kValueLearnerWindow, "episodes", 0};
}
// Nothing of what is no training.
std::optional<TrainingCourse> course_of(const study::CellConfiguration& cell) {
  return std::visit(
      [](const auto& c) -> std::optional<TrainingCourse> {
        if constexpr (std::is_base_of_v<PopulationSettings, std::decay_t<decltype(c)>>) {
          return course_of(c);
        } else {
          return std::nullopt;
        }
      },
      cell);
}

// A training of the environment that a cell's replicas play in.
TrainConfiguration training_in(const FryShack::Settings& environment) {
  TrainConfiguration c;
  c.problem.environment = environment;
  return c;
}
CartPoleTrainConfiguration training_in(const CartPole::Settings& environment) {
  CartPoleTrainConfiguration c;
  c.problem.environment = environment;
  return c;
}
// Throws ConfigurationError, naming --until, for a mean return that episodes of this cell cannot have.
void check_threshold(const study::CellConfiguration& cell, double threshold) {
  std::visit(
      [&](const auto& c) {
        const auto check = [&](auto training) {
          training.until = threshold;
          validate(training);
        };
        if constexpr (requires { c.problem; }) {
          check(training_in(c.problem.environment));
        } else {
          check(training_in(c.training.environment));
        }
      },
      cell);
}

// Throws ConfigurationError for an initial parameter that the policy cannot have.
void check_parameter(study::CellConfiguration cell, std::size_t index, double value) {
  std::visit(
      [&](auto& c) {
        if constexpr (requires { c.problem; }) study::set_parameter(c.problem, index, value);
        validate(c);
      },
      cell);
}

// Seed and replicas are the study's, not a cell's.
bool is_of_a_cell(const Option& option) { return option.setting && option.name != "seed" && option.name != "replicas"; }

// Of a command that nothing has been set of yet. Options that do not apply now may apply in a cell: all are there.
Defaults defaults_of(const Command& command) {
  Defaults defaults;
  for (const Option& option : command.table().options()) {
    if (is_of_a_cell(option)) defaults[key_of(option.name)] = option.value().dump();
  }
  return defaults;
}

// Every setting of a resolved command that can change a cell's result, but those that are drawn: one text for one configuration.
Json settings_of(const Command& command, const study::Plan& plan) {
  Json settings = command.table().configuration();
  settings.erase("seed");
  settings.erase("replicas");
  for (const study::Draw& draw : plan.distribution) {
    if (draw.is_setting()) settings.erase(draw.setting);
  }
  return settings;
}

// What enters digests and fingerprints: the settings that differ from their defaults, sorted by name. A version with more options then gives
// every study the digest it had, and goes on with stores that lack them, as long as
// - a default never changes without a new numerics_version, and
// - the default of a new option means what was done before there was one.
std::string cell_key(const Json& settings, const Defaults& defaults) {
  nlohmann::json differing = nlohmann::json::object();  // unlike Json, sorted
  for (const auto& [name, value] : settings.items()) {
    if (value.dump() != defaults.at(name)) differing[name] = value;
  }
  return differing.dump();
}

[[noreturn]] void damaged(const std::string& what) { throw DamagedFileError("study: " + what); }

// `defaults`: what a new command of this kind has. Only what differs is set: most of a cell does not, and setting is what takes time.
// A setting that the stored cell lacks has its default: it is younger than the store.
void make_runnable(Command& command, const Defaults& defaults, std::size_t number, const study::Plan& plan, study::Cell& cell) {
  const std::string name = fmt::format("cell {}", number + 1);
  const Json stored = Json::parse(cell.configuration, nullptr, false);
  if (!stored.is_object()) damaged(name + ": its settings are not a JSON object");
  Json differing = Json::object();
  for (const auto& [key, value] : stored.items()) {
    const auto standard = defaults.find(key);
    if (standard == defaults.end()) damaged(fmt::format("{}: {}: not a setting of this version", name, shown(key)));
    if (value.dump() != standard->second) differing[key] = value;
  }
  try {
    std::vector<Assignment> settings = parse_config(name, differing.dump()).assignments;
    for (Assignment& assignment : lowest_values(plan, command.table(), [&](const std::string& key) { return name + ": " + key; }))
      settings.push_back(std::move(assignment));
    configure(command, settings, {});
    cell.run = command.cell();
    set_lowest_inner(plan, command.table(), *cell.run);
    check_draws(plan, *cell.run);
  } catch (const ConfigurationError& error) {
    damaged(error.what());
  }
  const Json settings = settings_of(command, plan);
  for (const auto& [key, value] : stored.items()) {
    const auto found = settings.find(key);
    if (found == settings.end() || found->dump() != value.dump())
      damaged(fmt::format("{}: {}: {} is not how this version takes it", name, shown(key), shown(value.dump())));
  }
  if (cell_key(settings, defaults) != cell.key) damaged(name + ": its settings are not those that its key names");
}

}  // namespace

std::vector<std::pair<std::string, std::string>> StudyReader::point(const Choice& choice) const {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (std::size_t a = 0; a < axes_.size(); ++a) {
    for (std::size_t i = 0; i < axes_[a].keys.size(); ++i) pairs.emplace_back(axes_[a].keys[i], (*choice[a])[i].text);
  }
  return pairs;
}

std::string StudyReader::words(const Choice& choice) const { return shown(study::to_text(point(choice)), 300); }

StudyReader::Place StudyReader::find_place(const std::string& key, const Choice& choice) const {
  for (std::size_t a = 0; a < choice.size(); ++a) {
    for (std::size_t i = 0; i < axes_[a].keys.size(); ++i) {
      if (axes_[a].keys[i] == key) return (*choice[a])[i].place;
    }
  }
  for (const Setting& setting : fixed_) {
    if (setting.key == key) return setting.value.place;
  }
  const Place* const drawn = find_draw(key);
  return drawn != nullptr ? *drawn : environment_place_;
}

// What the option table or validate() say, of one combination, with the place of what they name.
void StudyReader::refuse_cell(const std::string& message, const Choice& choice, const OptionTable& table) const {
  const std::string at = axes_.empty() ? "" : fmt::format("at {}: ", words(choice));
  // "LABEL: what", of an option that the file sets.
  const auto with_label = [&](const std::string& key, const Place& place) {
    const std::string head = label(place, key) + ": ";
    if (message.starts_with(head)) throw ConfigurationError(head + at + with_keys(message.substr(head.size()), table));
  };
  for (const Setting& setting : fixed_) with_label(setting.key, setting.value.place);
  for (const auto& [key, value] : point(choice)) with_label(key, find_place(key, choice));
  for (const auto& [key, place] : draw_places_) with_label(key, place);
  // "--option: what", or of several options.
  std::string text = with_keys(message, table);
  const std::string key = text.substr(0, text.find_first_of(":, "));
  if (text.starts_with(key + ": ")) text.erase(0, key.size() + 2);
  if (text.starts_with(key + ' ')) text.erase(0, key.size() + 1);  // --baseline constant: ...
  refuse(find_place(key, choice), key, at + text);
}

study::Cell StudyReader::make_cell(const Choice& choice, const Defaults& defaults) {
  std::vector<Assignment> settings;
  settings.reserve(fixed_.size() + axes_.size());
  const auto add = [&](const std::string& key, const Value& value) {
    settings.push_back({option_of(key), value.text, label(value.place, key)});
  };
  for (const Setting& setting : fixed_) add(setting.key, setting.value);
  for (std::size_t a = 0; a < axes_.size(); ++a) {
    for (std::size_t i = 0; i < axes_[a].keys.size(); ++i) add(axes_[a].keys[i], (*choice[a])[i]);
  }
  const std::unique_ptr<Command> command = entry_->make({plan_.environment, plan_.algorithm});
  for (Assignment& assignment :
       lowest_values(plan_, command->table(), [&](const std::string& key) { return label(*find_draw(key), key); }))
    settings.push_back(std::move(assignment));
  study::Cell cell;
  cell.point = point(choice);
  try {
    configure(*command, settings, {});
    cell.run = command->cell();
    set_lowest_inner(plan_, command->table(), *cell.run);
    check_draws(plan_, *cell.run);
  } catch (const ConfigurationError& error) {
    refuse_cell(error.what(), choice, command->table());
  }
  check_cell(cell, choice);
  const Json in_force = settings_of(*command, plan_);
  cell.configuration = in_force.dump();
  cell.key = cell_key(in_force, defaults);
  for (const std::string& warning : command->warnings) warn(choice, with_keys(warning, command->table()));
  return cell;
}

void StudyReader::make_cells() {
  std::uint64_t count = 1;
  for (const Axis& axis : axes_) count *= axis.rows.size();
  plan_.cells.reserve(count);
  const Defaults defaults = defaults_of(*entry_->make({plan_.environment, plan_.algorithm}));
  std::unordered_map<std::string_view, std::size_t> seen;
  for (std::uint64_t number = 0; number < count; ++number) {
    Choice choice(axes_.size());
    std::uint64_t rest = number;
    for (std::size_t a = axes_.size(); a-- > 0; rest /= axes_[a].rows.size())
      choice[a] = &axes_[a].rows[rest % axes_[a].rows.size()];
    plan_.cells.push_back(make_cell(choice, defaults));
    const auto [same, is_new] = seen.emplace(plan_.cells.back().configuration, number);
    if (!is_new) {
      refuse(axes_.front().place, axes_.front().keys.front(),
             fmt::format("two cells have the same settings: {}; and {}",
                         shown(study::to_text(plan_.cells[same->second].point), 300), words(choice)));
    }
  }
}

// What is drawn and recorded, beside the settings of one cell.
void StudyReader::check_cell(const study::Cell& cell, const Choice& choice) {
  const std::string at = axes_.empty() ? "" : fmt::format("at {}: ", words(choice));
  const auto reason = [](const ConfigurationError& error) {  // without the option's name
    const std::string text = error.what();
    return text.substr(std::min(text.find(": ") + 2, text.size()));
  };
  if (plan_.draws_parameters()) {
    if (has_hidden_layer(*cell.run))
      refuse(distribution_place_, "distribution",
             at + "not supported with a hidden layer, whose trainings draw their own start (initialisation)");
    if (is_random(*cell.run))
      refuse(distribution_place_, "distribution", at + "has no meaning with random, which has no parameters");
    if (plan_.cells.empty()) {  // the same for all cells
      for (std::size_t i = 0; i < plan_.distribution.size(); ++i) {
        const study::Draw& draw = plan_.distribution[i];
        if (draw.is_setting()) continue;  // check_draws
        try {
          check_parameter(*cell.run, draw.index, draw.low);
          check_parameter(*cell.run, draw.index, draw.high);
        } catch (const ConfigurationError& error) {
          refuse(draw_places_[i].second, draw_places_[i].first, reason(error));
        }
      }
    }
  }
  const std::vector<double>& thresholds = plan_.record.thresholds;
  for (std::size_t i = 0; i < thresholds.size(); ++i) {
    try {
      check_threshold(*cell.run, thresholds[i]);
    } catch (const ConfigurationError& error) {
      refuse(threshold_places_[i], "thresholds", at + reason(error));
    }
  }
  const std::optional<TrainingCourse> training = course_of(*cell.run);
  if (!training) return;
  for (std::size_t i = 0; i < thresholds.size(); ++i) {
    if (training->until && thresholds[i] > *training->until) {
      refuse(threshold_places_[i], "thresholds",
             at + fmt::format("{} is beyond until {}, where trainings are stopped: whether they would reach it is never seen",
                              thresholds[i], *training->until));
    }
  }
  if (!study::outcomes_can_be_kept(cell) && !(thresholds.empty() && plan_.record.curve_every == 0)) {
    const bool of_thresholds = !thresholds.empty();
    refuse(of_thresholds ? threshold_places_[0] : curve_place_, of_thresholds ? "thresholds" : "curve_every",
           at + fmt::format("a batch of {} is too large for the return of each update to be kept", training->batch));
  }
  most_outcomes_ = std::max(most_outcomes_, training->outcomes);
  outcome_units_ = training->units;
  if (!thresholds.empty() && training->outcomes < training->window) {
    refuse(threshold_places_[0], "thresholds",
           at + fmt::format("they look back on {} {}{}: with {} no training can meet them", training->window, training->units,
                            training->batch != 0 ? fmt::format(" of batch {}", training->batch) : "", training->outcomes));
  }
  if (plan_.record.curve_every != 0) {
    const std::uint64_t every = plan_.record.curve_every, first = training->batch != 0 && every > 1 ? 1 : 0;
    const std::uint64_t points = training->outcomes / every + first;
    if (points > kMostCurvePoints) {
      refuse(
          curve_place_, "curve_every",
          at + fmt::format("{} points of {} {} are not accepted; at most {}, so curve_every from {}", points, training->outcomes,
                           training->units, kMostCurvePoints, training->outcomes / (kMostCurvePoints - 1) + 1));
    }
  }
}

void StudyReader::check_curve() const {
  if (plan_.record.curve_every > most_outcomes_) {
    refuse(curve_place_, "curve_every",
           fmt::format("{} is not accepted; at most {}, the {} of a training", plan_.record.curve_every, most_outcomes_,
                       outcome_units_));
  }
}

// One line for a warning, however many cells have it.
void StudyReader::warn(const Choice& choice, const std::string& warning) {
  const std::string at = axes_.empty() ? "" : fmt::format("at {}: ", words(choice));
  const std::string kind = warning.substr(0, warning.find(' '));
  const auto [found, is_new] = warned_.try_emplace(kind, Warning{fmt::format("{}: {}{}", file_, at, warning), 0});
  ++found->second.cells;
}

// ---- a plan of a store

void make_runnable(study::Plan& plan) {
  const CommandEntry* entry = find_entry(plan.command);
  if (entry == nullptr) damaged(fmt::format("its command {} is none of {}", shown(plan.command), either(study_commands())));
  const std::vector<std::string> environments = environments_of(*entry);
  if (std::find(environments.begin(), environments.end(), plan.environment) == environments.end())
    damaged(fmt::format("its environment {} is none of {}", shown(plan.environment), either(environments)));
  const std::vector<std::string> algorithms = algorithms_of(*entry, plan.environment);
  if (std::find(algorithms.begin(), algorithms.end(), plan.algorithm) == algorithms.end())
    damaged(fmt::format("its algorithm {} is none of {}", shown(plan.algorithm), either(algorithms)));
  const auto names = parameters_of(plan);
  for (const study::Draw& draw : plan.distribution) {
    if (draw.is_setting()) continue;
    if (draw.index >= names.size() || names[draw.index] != draw.parameter)
      damaged(fmt::format("{} is no parameter of {}", shown(draw.parameter), plan.environment));
  }
  bind_draws(plan, *entry);
  const Subject subject = {plan.environment, plan.algorithm};
  const Defaults defaults = defaults_of(*entry->make(subject));
  for (std::size_t i = 0; i < plan.cells.size(); ++i) make_runnable(*entry->make(subject), defaults, i, plan, plan.cells[i]);
}

}  // namespace fryer::cli
