// SPDX-License-Identifier: Apache-2.0
// Times to an event of which some are censored: the product-limit estimate of statistics.h and its quantiles. Pure functions.
#include <algorithm>
#include <cmath>

#include "host/study/statistics.h"

namespace fryer::study {
namespace {

// The first step that fulfils reached(step).
template <class Reached>
std::optional<double> first_time(const std::vector<SurvivalStep>& steps, const Reached& reached) {
  const auto step = std::find_if(steps.begin(), steps.end(), reached);
  return step == steps.end() ? std::nullopt : std::optional(step->time);
}

}  // namespace

Survival kaplan_meier(std::span<const double> times, std::span<const std::uint8_t> event, double confidence) {
  std::vector<double> events, censored;
  for (std::size_t i = 0; i < times.size(); ++i) (event[i] != 0 ? events : censored).push_back(times[i]);
  sort_values(events);
  sort_values(censored);

  Survival result;
  result.n = times.size();
  result.events = events.size();
  const double z = normal_quantile(confidence);
  std::uint64_t at_risk = times.size(), gone = 0;  // gone: censored before the step
  // Between two censorings the product of (n - d) / n telescopes to a single ratio; kept as one it is exact without any.
  double base = 1;
  std::uint64_t base_at_risk = times.size();
  double variance = 0;  // Greenwood's sum
  for (std::size_t i = 0; i < events.size();) {
    SurvivalStep step;
    step.time = events[i];
    const std::uint64_t gone_before = gone;
    while (gone < censored.size() && censored[gone] < step.time) ++gone;  // one at the time of an event was still at risk
    if (gone != gone_before) {
      base = base * static_cast<double>(at_risk) / static_cast<double>(base_at_risk);
      at_risk -= gone - gone_before;
      base_at_risk = at_risk;
    }
    while (i < events.size() && events[i] == step.time) ++i, ++step.events;
    step.at_risk = at_risk;
    at_risk -= step.events;
    step.survival = base * (static_cast<double>(at_risk) / static_cast<double>(base_at_risk));
    if (at_risk == 0) {
      // The log-log interval does not exist at 0 (R: NA). Of those still at risk none survived: Clopper and Pearson's limit of that share,
      // of what could have survived before.
      step.lower = 0;
      step.upper = (result.steps.empty() ? 1 : result.steps.back().upper) * clopper_pearson(0, step.at_risk, confidence).upper;
    } else {
      variance += static_cast<double>(step.events) / (static_cast<double>(step.at_risk) * static_cast<double>(at_risk));
      const double log_survival = std::log(step.survival), width = z * std::sqrt(variance) / -log_survival;
      step.lower = std::exp(log_survival * std::exp(width));
      step.upper = std::exp(log_survival * std::exp(-width));
    }
    result.steps.push_back(step);
  }
  result.median = survival_quantile(result, 0.5);
  result.lower = first_time(result.steps, [](const SurvivalStep& step) { return step.lower <= 0.5; });
  result.upper = first_time(result.steps, [](const SurvivalStep& step) { return step.upper <= 0.5; });
  return result;
}

std::optional<double> survival_quantile(const Survival& survival, double q) {
  // A product that equals 1 - q may be rounded to a little more.
  const double bound = (1 - q) * (1 + 1e-12);
  return first_time(survival.steps, [bound](const SurvivalStep& step) { return step.survival <= bound; });
}

}  // namespace fryer::study
