// SPDX-License-Identifier: Apache-2.0
// See run_chunk.h. Trainings of a chunk run together; evaluations, gradients, and trainings whose parameters are drawn, one replica after
// another: each is a run of its own, spread over the backend by episodes.
#include "host/study/run_chunk.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "fryer/core/error.h"
#include "fryer/core/philox.h"
#include "host/digest.h"
#include "host/driver.h"
#include "host/training_support.h"

namespace fryer::study {
namespace {

constexpr double kNoValue = std::numeric_limits<double>::quiet_NaN();

// The seed of a row's hash: what runs, so that equal rows of two cells count as two.
std::uint64_t cell_key(const Plan& plan, const Cell& cell) {
  std::string text = plan.command + '\n' + plan.environment + '\n' + plan.algorithm + '\n' + cell.configuration + '\n';
  for (const Draw& draw : plan.distribution) {
    text += draw.parameter + ' ' + Json(draw.low).dump() + ' ' + Json(draw.high).dump() + '\n';
  }
  return hash_text(text);
}

// The columns of a chunk while it is filled.
class Columns {
 public:
  Columns(std::vector<Column>& columns, std::uint64_t rows) : columns_(columns), rows_(rows) {}
  Column& add(ColumnKind kind, ColumnType type, std::string name = "", double at = 0) {
    Column column;
    column.kind = kind;
    column.type = type;
    column.name = std::move(name);
    column.at = at;
    column.bits.resize(rows_);
    return columns_.emplace_back(std::move(column));
  }

 private:
  std::vector<Column>& columns_;
  std::uint64_t rows_;
};

std::uint64_t bits_of(double x) { return to_bits(std::isnan(x) ? kNoValue : x); }

// ---- parameters, of any environment

std::vector<std::string> names_of(const Problem&) {
  return {kFryShackParameters.begin(), kFryShackParameters.end()};
}
std::vector<std::string> names_of(const CartPoleProblem& problem) { return parameter_names(problem.hidden); }

void set_parameter(Problem& problem, std::size_t i, double value) { (i == 0 ? problem.weight : problem.bias) = value; }
void set_parameter(CartPoleProblem& problem, std::size_t i, double value) {
  if (problem.hidden.units == 0) {
    problem.parameters[i] = value;
  } else {
    problem.hidden.parameters.resize(parameter_count(problem.hidden));
    problem.hidden.parameters[i] = value;
  }
}

// The parameters that the replica with this seed draws.
template <class AnyProblem>
void draw_parameters(const std::vector<Draw>& distribution, std::uint64_t seed, AnyProblem& problem) {
  for (const Draw& draw : distribution) {
    const RandomBlock<std::uint32_t> words = random_block(seed, Purpose::initialisation, 0, draw.index / 4);
    const std::uint32_t word[] = {words.x, words.y, words.z, words.w};
    const double u = static_cast<double>(word[draw.index % 4] >> 8) * 0x1p-24;
    set_parameter(problem, draw.index, static_cast<double>(static_cast<float>(draw.low + u * (draw.high - draw.low))));
  }
}

// ---- evaluations

EvaluateConfiguration evaluation_of(const Problem& problem) {
  EvaluateConfiguration c;
  c.problem = problem;
  return c;
}
CartPoleEvaluateConfiguration evaluation_of(const CartPoleProblem& problem) {
  CartPoleEvaluateConfiguration c;
  c.problem = problem;
  return c;
}

struct EvaluationColumns {
  Column *mean, *sd, *min, *max;
  EvaluationColumns(Columns& columns) {
    const auto add = [&](ColumnKind kind) { return columns.add(kind, ColumnType::real64); };
    (void)add;
    mean = sd = min = max = nullptr;
    (void)columns;
  }
};

}  // namespace
}  // namespace fryer::study
