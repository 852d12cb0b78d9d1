// SPDX-License-Identifier: Apache-2.0
// FryShack-v0: the StatQuest notebook's environment ("Adding Reinforcement Learning to a Neural Network"). One step an episode:
// hunger h ~ U(0, 1) is observed; action 1 goes to Norm's, action 0 to Squatch's; a large order is served with the shop's
// probability; the reward is `reward_correct` if the order is large exactly when hungry (h > hungry_above), else `reward_wrong`.
// An episode uses one Philox block: words hunger, action, portion, spare. Run by lanes, one episode each; knows no policy.
#pragma once

#include <cmath>

#include "fryer/core/philox.h"

namespace fryer {

struct FryShack {
  static constexpr const char* kName = "FryShack-v0";
  static constexpr int kObservations = 1;              // hunger
  static constexpr double kObservationUnit = 0x1p-24;  // lanes observe hunger as a multiple of it
  static constexpr int kOutcomes = 4;                  // 2 * action + correct
  static constexpr int kStepsPerEpisode = 1;

  // What a user sets. Probabilities in [0, 1]: 0 and 1 never err; one between 0 and 2^-24 happens with probability 2^-24.
  struct Settings {
    double reward_correct = 1.0;
    double reward_wrong = -1.0;
    double large_order_norm = 0.8;     // probability of a large order at Norm's
    double large_order_squatch = 0.2;  // and at Squatch's
    double hungry_above = 0.5;         // hungry if hunger exceeds it, in [0, 1]
  };

  // The settings as lanes use them: words, after a shift by 8, are compared as integers below 2^24 (thresholds up to 2^24).
  struct Rules {
    std::uint32_t norm_large, squatch_large;  // large if word >> 8 is less
    std::uint32_t hungry_above;               // hungry if word >> 8 is more
  };

  // u < probability, u a multiple of 2^-24, holds for ceil(2^24 probability) values of u.
  static Rules make_rules(const Settings& settings) {
    const auto threshold = [](double probability) { return static_cast<std::uint32_t>(std::ceil(probability * 0x1p24)); };
    return {threshold(settings.large_order_norm), threshold(settings.large_order_squatch),
            static_cast<std::uint32_t>(std::floor(settings.hungry_above * 0x1p24))};
  }

  // The same thresholds for words compared whole, without the shift, where no large order is certain (thresholds below 2^24). For
  // lanes that compare words as unsigned numbers: a CUDA thread, the scalar executor.
  struct WordRules {
    std::uint32_t norm_large, squatch_large;  // large if the word is less
    std::uint32_t hungry_above;               // as in Rules: the shifted word is the observation anyway
  };
  static bool large_order_may_be_certain(const Rules& rules) {
    return rules.norm_large >> 24 != 0 || rules.squatch_large >> 24 != 0;
  }
  static WordRules make_word_rules(const Rules& rules) {
    return {rules.norm_large << 8, rules.squatch_large << 8, rules.hungry_above};
  }

  static double outcome_return(const Settings& settings, int outcome) {
    return (outcome & 1) != 0 ? settings.reward_correct : settings.reward_wrong;
  }

  // Hunger in units of 2^-24.
  template <class Real>
  static FRYER_LANE Real observe(const RandomBlock<WordOf<Real>>& words) {
    return uniform24<Real>(words.x);
  }

  // Where a large order is served, for the action taken.
  template <class Real>
  static FRYER_LANE MaskOf<Real> large(const Rules& rules, WordOf<Real> portion, MaskOf<Real> action) {
    using Word = WordOf<Real>;
    return less(shift_right<8>(portion), select(action, Word(rules.norm_large), Word(rules.squatch_large)));
  }
  template <class Real>
  static FRYER_LANE MaskOf<Real> large(const WordRules& rules, WordOf<Real> portion, MaskOf<Real> action) {
    static_assert(LaneTypes<Real>::kLanes == 1);
    return less(portion, select(action, rules.norm_large, rules.squatch_large));
  }

  // Where the order suits the hunger, for the action taken. Either kind of rules.
  template <class Real, class SomeRules>
  static FRYER_LANE MaskOf<Real> correct(const SomeRules& rules, const RandomBlock<WordOf<Real>>& words, MaskOf<Real> action) {
    const MaskOf<Real> hungry = less(WordOf<Real>(rules.hungry_above), shift_right<8>(words.x));
    return same(large<Real>(rules, words.z, action), hungry);
  }
};

}  // namespace fryer
