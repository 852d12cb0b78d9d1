// SPDX-License-Identifier: Apache-2.0
// Rows of replicas as columns, and columns as bytes: bit-packed offsets from the smallest value, or indices into the distinct
// values, whichever is smaller. A column of equal values costs nothing a row.
#pragma once

#include <bit>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace fryer::study {

enum class ColumnKind : std::uint8_t {
  status = 0,             // ReplicaStatus
  updates = 1,            // made
  episodes = 2,           // of training, those that count; of an evaluation or gradient cell: played
  steps = 3,              // simulated in them
  parameter = 4,          // final (of a training), or drawn; `name` is the parameter's; NaN where the replica failed
  curve = 5,              // mean return of the batch of update `at` (from 1); NaN where it was not made
  threshold_updates = 6,  // the first update (from 1) after which the return `at` was reached; 0: never
  threshold_steps = 7,    // steps simulated until then; 0: never, or, of a value learner that failed, not known
  final_return = 8,       // mean return over the last ceil(100 / batch) updates or 100 episodes (value learners) made, or fewer
  evaluation_mean = 9,    // of the final policy's evaluation episodes, or of an evaluation cell's
  evaluation_sd = 10,
  evaluation_min = 11,
  evaluation_max = 12,
  estimate = 13,  // of a gradient cell; `name` is the parameter's, or mean_return
  standard_error = 14,
  second_moment = 15,
  expected_return = 16,    // exact, of the final parameters (FryShack-v0)
  setting = 17,            // drawn; `name` is the setting's key
  initial_parameter = 18,  // drawn, of a training; `name` is the parameter's
  // Of value learners, in place of 5 and 6; episodes are those that count, from 1:
  curve_episodes = 19,     // mean return of the episodes after the point before, to episode `at`; NaN where not all were played
  threshold_episodes = 20  // the first episode after which the return `at` was reached; 0: never
};

enum class ColumnType : std::uint8_t { integer = 0, real32 = 1, real64 = 2 };

struct Column {
  ColumnKind kind = ColumnKind::status;
  ColumnType type = ColumnType::integer;
  std::string name;                 // parameter, initial_parameter, setting, estimate, standard_error, second_moment; else empty
  double at = 0;                    // curve: the update; curve_episodes: the last episode; threshold_*: the return
  std::vector<std::uint64_t> bits;  // one a replica: the integer, or the value's bits

  double value(std::size_t row) const {
    const std::uint64_t b = bits[row];
    return type == ColumnType::integer  ? static_cast<double>(b)
           : type == ColumnType::real32 ? static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(b)))
                                        : std::bit_cast<double>(b);
  }
  bool same_column(const Column& other) const {
    return kind == other.kind && type == other.type && name == other.name && at == other.at;
  }
};

// The name of a column in exported files: status, updates, w_angle, return_at_update_10, return_at_episode_10, updates_to_475, evaluation_mean,
// gradient_bias, gradient_bias_standard_error, learning_rate (a drawn one), initial_w_angle, ...
std::string column_name(const Column& column);

// The most values (columns x rows) that one chunk may hold: half a gigabyte of them in memory.
inline constexpr std::uint64_t kMostValues = std::uint64_t{1} << 26;

// All columns have `rows` values. Throws Error where they have not, or are more than kMostValues.
std::string encode(const std::vector<Column>& columns, std::uint64_t rows);
// Throws DamagedFileError; never reads outside `bytes` and never allocates more than kMostValues, whatever they hold.
std::vector<Column> decode(std::string_view bytes, std::uint64_t rows);
// The same of those columns that `wanted` (a function of a Column without values) says yes to; the others are passed over.
std::vector<Column> decode_some(std::string_view bytes, std::uint64_t rows, const std::function<bool(const Column&)>& wanted);

}  // namespace fryer::study
