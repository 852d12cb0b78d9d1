// SPDX-License-Identifier: Apache-2.0
// See population_bytes.h.
#include "host/ranks/population_bytes.h"

#include "host/bytes.h"

namespace fryer::ranks {

void put_population(std::string& bytes, const Population& part) {
  const ReplicaTable& table = part.table;
  put_all(bytes, table.status);
  put_all(bytes, table.updates);
  put_all(bytes, table.steps);
  put_all(bytes, table.episodes);
  put(bytes, std::uint64_t{table.parameters.size()});
  for (const std::vector<float>& column : table.parameters) put_all(bytes, column);
  put_all(bytes, part.curve.count);
  put_all(bytes, part.curve.correct);
  put_all(bytes, part.curve.squared);
  put_all(bytes, part.outcomes);
  put(bytes, part.warmup_episodes);
}

Population population_from(std::string_view bytes) {
  Reader reader(bytes, "a rank's rows");
  Population part;
  ReplicaTable& table = part.table;
  table.status = reader.all<std::uint8_t>();
  table.updates = reader.all<std::uint32_t>();
  table.steps = reader.all<std::uint64_t>();
  table.episodes = reader.all<std::uint64_t>();
  const auto columns = reader.number<std::uint64_t>();
  if (columns > reader.left()) reader.damaged("too many columns");
  for (std::uint64_t i = 0; i < columns; ++i) table.parameters.push_back(reader.all<float>());
  part.curve.count = reader.all<std::uint64_t>();
  part.curve.correct = reader.all<WideSum>();
  part.curve.squared = reader.all<WideSum>();
  part.outcomes = reader.all<std::uint32_t>();
  part.warmup_episodes = reader.number<std::uint64_t>();
  return part;
}

}  // namespace fryer::ranks
