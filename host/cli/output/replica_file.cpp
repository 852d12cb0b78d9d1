// SPDX-License-Identifier: Apache-2.0
// See replica_file.h.
#include "host/cli/output/replica_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <bit>
#include <cmath>

#include "host/study/npy.h"

namespace fryer::cli {
namespace {

using study::append_little_endian;

std::string csv_number(float x) { return std::isfinite(x) ? fmt::format("{}", static_cast<double>(x)) : ""; }

}  // namespace

void write_csv(OutputFile& file, const ReplicaRows& rows) {
  const ReplicaTable& table = rows.table;
  file.write(fmt::format("seed,status,updates,episodes,steps,{}\n", fmt::join(rows.parameters, ",")));
  for (std::size_t i = 0; i < table.size(); ++i) {
    std::string row = fmt::format("{},{},{},{},{}", table.first_seed + i, status_name(table.status[i]), table.updates[i],
                                  table.episodes_of(i, rows.batch), table.steps_of(i, rows.batch));
    for (const std::vector<float>& column : table.parameters) row += ',' + csv_number(column[i]);
    file.write(row + '\n');
  }
}

void write_npy(OutputFile& file, const ReplicaRows& rows) {
  const ReplicaTable& table = rows.table;
  std::string fields = "[('seed', '<u8'), ('status', '|S8'), ('updates', '<u8'), ('episodes', '<u8'), ('steps', '<u8')";
  for (const std::string& name : rows.parameters) fields += fmt::format(", ('{}', '<f4')", name);
  file.write(study::npy_header(fields + "]", table.size()));
  std::string row;
  for (std::size_t i = 0; i < table.size(); ++i) {
    row.clear();
    append_little_endian(row, table.first_seed + i, 8);
    row += status_name(table.status[i]);
    row.resize(16, '\0');
    append_little_endian(row, table.updates[i], 8);
    append_little_endian(row, table.episodes_of(i, rows.batch), 8);
    append_little_endian(row, table.steps_of(i, rows.batch), 8);
    for (const std::vector<float>& column : table.parameters)
      append_little_endian(row, std::bit_cast<std::uint32_t>(column[i]), 4);
    file.write(row);
  }
}

}  // namespace fryer::cli
