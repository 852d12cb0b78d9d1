// SPDX-License-Identifier: Apache-2.0
// The two ways to spread a training over the machine. The driver chooses by shape; tests force each, since both give the same bits.
#pragma once

#include "fryer/engine/run.h"

namespace fryer {

enum class Spread {
  automatic,
  replicas,  // a lane trains a replica from start to finish
  episodes,  // lanes are the episodes of one update; the host steps the optimizer
};

TrainResult train(const TrainConfiguration& configuration, Backend& backend, const RunControl& control, Spread spread);
TrainResult train(const CartPoleTrainConfiguration& configuration, Backend& backend, const RunControl& control, Spread spread);

}  // namespace fryer
