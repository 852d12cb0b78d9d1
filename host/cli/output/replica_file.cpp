// SPDX-License-Identifier: Apache-2.0
// See replica_file.h.
#include "host/cli/output/replica_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

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
  file.write(fmt::format("seed,status,updates,episodes,steps,{}\n", fmt::join(rows.parameters, ",")));
  for (std::size_t i = 0; i < table.size(); ++i) {
    std::string row = fmt::format("{},{},{},{},{}", table.first_seed + i, status_name(table.status[i]), table.updates[i],
                                  table.updates[i] * rows.batch, table.steps_of(i, rows.batch));
    for (const std::vector<float>& column : table.parameters) row += ',' + csv_number(column[i]);
    file.write(row + '\n');
  }
}

void write_npy(OutputFile& file, const ReplicaRows& rows) {
  const ReplicaTable& table = rows.table;
  std::string header = "{'descr': [('seed', '<u8'), ('status', '|S8'), ('updates', '<u8'), ('episodes', '<u8'), ('steps', '<u8')";
  for (const std::string& name : rows.parameters) header += fmt::format(", ('{}', '<f4')", name);
  header += fmt::format("], 'fortran_order': False, 'shape': ({},), }}", table.size());
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
    row.clear();
    append_little_endian(row, table.first_seed + i, 8);
    row += status_name(table.status[i]);
    row.resize(16, '\0');
    append_little_endian(row, table.updates[i], 8);
    append_little_endian(row, table.updates[i] * rows.batch, 8);
    append_little_endian(row, table.steps_of(i, rows.batch), 8);
    for (const std::vector<float>& column : table.parameters)
      append_little_endian(row, std::bit_cast<std::uint32_t>(column[i]), 4);
    file.write(row);
  }
}

}  // namespace fryer::cli
