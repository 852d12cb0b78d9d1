// SPDX-License-Identifier: Apache-2.0
// What each build of the CPU executor offers for Q networks, defined in host/q_network_executor.cpp, which is compiled once per instruction
// set; host/lane_executor.cpp puts it into that build's table.
#pragma once

#include "host/executor_lanes.h"
#include "host/lane_executor.h"

namespace fryer::FRYER_EXECUTOR {

extern const QNetworkFunctions kQNetworkFunctions;

}  // namespace fryer::FRYER_EXECUTOR
