// SPDX-License-Identifier: Apache-2.0
// The C++ API: run a configuration on a backend. Results depend on the configuration alone.
//
//   fryer::TrainConfiguration c;
//   c.replicas = 1000000;
//   auto backend = fryer::make_backend({});
//   const fryer::TrainResult r = fryer::train(c, *backend);
#pragma once

#include "fryer/engine/backend.h"
#include "fryer/engine/configuration.h"
#include "fryer/engine/results.h"

namespace fryer {

// N independent trainings. Throws ConfigurationError, DeviceError, Stopped. A replica that fails is a row, not an exception.
TrainResult train(const TrainConfiguration& configuration, Backend& backend, const RunControl& control = {});
// The policy gradient at fixed parameters, beside its closed form.
GradientResult gradient(const GradientConfiguration& configuration, Backend& backend, const RunControl& control = {});
// Episodes of a fixed policy.
EvaluateResult evaluate(const EvaluateConfiguration& configuration, Backend& backend, const RunControl& control = {});
// The StatQuest notebook; runs on the calling thread.
NotebookResult notebook(const NotebookConfiguration& configuration);

// The same for CartPole.
TrainResult train(const CartPoleTrainConfiguration& configuration, Backend& backend, const RunControl& control = {});
TrainResult train(const QTrainConfiguration& configuration, Backend& backend, const RunControl& control = {});
CartPoleGradientResult gradient(const CartPoleGradientConfiguration& configuration, Backend& backend,
                                const RunControl& control = {});
EvaluateResult evaluate(const CartPoleEvaluateConfiguration& configuration, Backend& backend, const RunControl& control = {});
// Names of the policy's parameters, in the order of results: the registry's, or those of a hidden layer's network: w_hidden0_position,
// ..., w_hidden0_angular_velocity, w_hidden1_position, ..., b_hidden0, ..., w_output0, ..., bias.
std::vector<std::string> parameter_names(const HiddenLayer& hidden);
// The same of a Q network: w1_unit0_position, ..., b1_unit0, ..., w2_unit0_unit0 (of unit 0 above, from unit 0 below), ..., b2_unit0, ...,
// w3_action0_unit0, ..., b3_action0, b3_action1.
std::vector<std::string> parameter_names(const QNetworkShape& shape);
// One episode on the calling thread.
TraceResult trace(const TraceConfiguration& configuration);

// How much work a configuration is, for choosing a backend and for --dry-run.
struct WorkEstimate {
  double steps = 0;                // steps to be simulated, about
  std::uint64_t parallelism = 0;   // how many of them can run at once
  std::uint64_t memory_bytes = 0;  // peak, results included
};
WorkEstimate estimate(const TrainConfiguration& configuration);
WorkEstimate estimate(const GradientConfiguration& configuration);
WorkEstimate estimate(const EvaluateConfiguration& configuration);
WorkEstimate estimate(const CartPoleTrainConfiguration& configuration);
// workers: replicas that train at once, at most; 0: as many as this process has processors.
WorkEstimate estimate(const QTrainConfiguration& configuration, unsigned workers = 0);
// Steps of one training, warm-up included: a guess, since what it plays depends on what it learns.
double guessed_steps(const QTrainConfiguration& configuration);
WorkEstimate estimate(const CartPoleGradientConfiguration& configuration);
WorkEstimate estimate(const CartPoleEvaluateConfiguration& configuration);

// What a value learner takes while it trains, at most, in bytes: the ring is touched as it fills.
struct ReplicaMemory {
  std::uint64_t learner, replay, outcomes;
  std::uint64_t total() const { return learner + replay + outcomes; }
};
ReplicaMemory memory_of_replica(const QTrainConfiguration& configuration);

// ---- closed forms (host, double): exact expectations over hunger, action and portion

struct FryShackExact {
  double mean_return;                               // J
  double gradient_weight, gradient_bias;            // d(reward_scale J)
  double second_moment_weight, second_moment_bias;  // E[contribution^2]
};
FryShackExact fry_shack_exact(const Problem& problem);
// Its mean_return alone, in a tenth of the time.
double fry_shack_expected_return(const Problem& problem);

}  // namespace fryer
