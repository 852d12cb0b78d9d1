// SPDX-License-Identifier: Apache-2.0
// What a part of a population comes to, as a message between ranks of one program.
#pragma once

#include <string>
#include <string_view>

#include "fryer/engine/results.h"

namespace fryer::ranks {

// Rows, curve, outcomes and warm-up episodes, appended; what is made of a whole population's sorted rows is not in it.
void put_population(std::string& bytes, const Population& part);
// Throws DamagedFileError for what put_population() did not make.
Population population_from(std::string_view bytes);

}  // namespace fryer::ranks
