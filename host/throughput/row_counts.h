// SPDX-License-Identifier: Apache-2.0
// How many operations a unit of each lane program takes, counted by running it on lanes that note what is done to them (counted.h).
#pragma once

#include "fryer/engine/configuration.h"
#include "host/throughput/operations.h"

namespace fryer::throughput {

Counts count_philox_word();
// An episode of the fry shack: played; with its gradient by both parameters and second moments, or by the bias alone; an update of batch 1 by
// Adam.
Counts count_fry_shack_evaluation();
Counts count_fry_shack_gradient();
Counts count_fry_shack_bias_gradient();
Counts count_fry_shack_training();
// A step of CartPole, within an episode: what begins and ends episodes and updates is left out.
Counts count_cart_pole_evaluation();
Counts count_cart_pole_gradient();
Counts count_cart_pole_training();
// An update of a value learner with the network of a fresh training, its batch from random play, and the forward pass that chose the action. Products
// of rectified units that are 0 are left out, as executors leave them out.
Counts count_q_update(const QTrainConfiguration& configuration);

}  // namespace fryer::throughput
