// SPDX-License-Identifier: Apache-2.0
// Everything a user of the library needs.
#pragma once

#include "fryer/core/error.h"
#include "fryer/core/version.h"
#include "fryer/engine/backend.h"
#include "fryer/engine/configuration.h"
#include "fryer/engine/registry.h"
#include "fryer/engine/results.h"
#include "fryer/engine/run.h"
