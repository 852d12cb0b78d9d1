// SPDX-License-Identifier: Apache-2.0
// See replica_file.h.
#include "host/cli/output/replica_file.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>

namespace fryer::cli {
namespace {

void append_little_endian(std::string& row, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) row += static_cast<char>(value >> (8 * i) & 0xff);
}

std::string csv_number(float x) { return std::isfinite(x) ? fmt::format("{}", static_cast<double>(x)) : ""; }

}  // namespace

std::string_view status_name(std::uint8_t status) {
  switch (static_cast<ReplicaStatus>(status)) {
    case ReplicaStatus::finished:
      return "finished";
    case ReplicaStatus::solved:
      return "solved";
    case ReplicaStatus::failed:
      return "failed";
  }
  return "unknown";
}

void write_csv(OutputFile& file, const ReplicaRows& rows) {
  const ReplicaTable& table = rows.table;
  file.write(fmt::format("seed,status,updates,episodes,steps,{},{}\n", rows.weight, rows.bias));
  for (std::size_t i = 0; i < table.size(); ++i) {
    const std::uint64_t episodes = table.updates[i] * rows.batch;
    file.write(fmt::format("{},{},{},{},{},{},{}\n", table.first_seed + i, status_name(table.status[i]), table.updates[i],
                           episodes, episodes * rows.steps_per_episode, csv_number(table.parameters[0][i]), csv_number(table.parameters[1][i])));
  }
}

void write_npy(OutputFile& file, const ReplicaRows& rows) {
  const ReplicaTable& table = rows.table;
  std::string header = fmt::format(
      "{{'descr': [('seed', '<u8'), ('status', '|S8'), ('updates', '<u8'), ('episodes', '<u8'), ('steps', '<u8'), ('{}', '<f4'), "
      "('{}', '<f4')], "
      "'fortran_order': False, 'shape': ({},), }}",
      rows.weight, rows.bias, table.size());
  constexpr std::size_t kPreamble = 10;  // magic, version, length
  header.append(63 - (kPreamble + header.size()) % 64, ' ');
  header += '\n';
  std::string preamble = "\x93NUMPY";
  preamble += '\x01';
  preamble += '\0';
  append_little_endian(preamble, header.size(), 2);
  file.write(preamble + header);
  std::string row;
  for (std::size_t i = 0; i < table.size(); ++i) {
    const std::uint64_t episodes = table.updates[i] * rows.batch;
    row.clear();
    append_little_endian(row, table.first_seed + i, 8);
    row += status_name(table.status[i]);
    row.resize(16, '\0');
    append_little_endian(row, table.updates[i], 8);
    append_little_endian(row, episodes, 8);
    append_little_endian(row, episodes * rows.steps_per_episode, 8);
    append_little_endian(row, std::bit_cast<std::uint32_t>(table.parameters[0][i]), 4);
    append_little_endian(row, std::bit_cast<std::uint32_t>(table.parameters[1][i]), 4);
    file.write(row);
  }
}

}  // namespace fryer::cli
