// SPDX-License-Identifier: Apache-2.0
// See columns.h. The bytes, all numbers little-endian:
//   u8 format, u32 columns, u64 rows; then of each column
//   u8 kind, u8 type, u16 length of the name, the name, f64 at, u8 encoding, u8 width, u64 minimum, and
//   offsets:    rows x `width` bits, value - minimum
//   dictionary: u32 distinct values, each value - minimum in `width` bits, ascending; then their indices, rows x as few bits
//               as count them
// packing.h says how bits fill bytes.
#include "host/study/columns.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <span>

#include "fryer/core/error.h"
#include "host/study/packing.h"

namespace fryer::study {
namespace {

constexpr std::uint8_t kFormat = 1;
constexpr ColumnKind kLastKind = ColumnKind::threshold_episodes;
constexpr ColumnType kLastType = ColumnType::real64;
// Its hash table stays in the second-level cache: a million random values are given up after a millisecond.
constexpr std::size_t kMostDistinct = 65'536;

enum class Encoding : std::uint8_t { offsets = 0, dictionary = 1 };

struct Dictionary {
  std::vector<std::uint64_t> values;   // ascending
  std::vector<std::uint32_t> indices;  // of each row
};

// Nothing where offsets of `width` bits are no larger.
std::optional<Dictionary> make_dictionary(std::span<const std::uint64_t> rows, unsigned width) {
  if (width == 0) return std::nullopt;
  Dictionary dictionary;
  dictionary.indices.resize(rows.size());
  // Open addressing, at most half full; 0 is an empty slot.
  const std::size_t slots = 2 * std::bit_ceil(std::min(rows.size(), kMostDistinct));
  std::vector<std::uint32_t> numbers(slots, 0);
  std::vector<std::uint64_t>& values = dictionary.values;
  const int shift = 64 - std::countr_zero(slots);
  const std::uint64_t offsets_bits = rows.size() * width;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::size_t slot = rows[i] * 0x9e3779b97f4a7c15u >> shift;  // Knuth's multiplicative hashing
    while (numbers[slot] != 0 && values[numbers[slot] - 1] != rows[i]) slot = (slot + 1) & (slots - 1);
    if (numbers[slot] == 0) {
      if (values.size() == kMostDistinct) return std::nullopt;
      values.push_back(rows[i]);
      numbers[slot] = static_cast<std::uint32_t>(values.size());
      if (values.size() * width + rows.size() * bits_of(values.size() - 1) >= offsets_bits) return std::nullopt;
    }
    dictionary.indices[i] = numbers[slot] - 1;
  }
  std::vector<std::uint32_t> order(values.size()), rank(values.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return values[a] < values[b]; });
  for (std::uint32_t i = 0; i < order.size(); ++i) rank[order[i]] = i;
  for (std::uint32_t& index : dictionary.indices) index = rank[index];
  std::sort(values.begin(), values.end());
  return dictionary;
}

void put_column(std::string& bytes, const Column& column) {
  if (column.name.size() > 0xffff)
    throw Error(fmt::format("a column's name has {} bytes; accepted: up to 65535", column.name.size()));
  put(bytes, column.kind);
  put(bytes, column.type);
  put(bytes, static_cast<std::uint16_t>(column.name.size()));
  bytes += column.name;
  put(bytes, column.at);
  std::uint64_t minimum = column.bits.empty() ? 0 : column.bits[0], maximum = minimum;
  for (const std::uint64_t value : column.bits) {
    minimum = std::min(minimum, value);
    maximum = std::max(maximum, value);
  }
  const unsigned width = bits_of(maximum - minimum);
  const std::optional<Dictionary> dictionary = make_dictionary(column.bits, width);
  put(bytes, dictionary ? Encoding::dictionary : Encoding::offsets);
  put(bytes, static_cast<std::uint8_t>(width));
  put(bytes, minimum);
  if (!dictionary) return pack(bytes, column.bits, minimum, width);
  put(bytes, static_cast<std::uint32_t>(dictionary->values.size()));
  pack(bytes, dictionary->values, minimum, width);
  pack(bytes, dictionary->indices, 0, bits_of(dictionary->values.size() - 1));
}

// One of an enumeration that ends with `last`.
template <class Enumeration>
Enumeration one_of(Reader& reader, Enumeration last, const char* name) {
  const auto result = reader.number<std::uint8_t>();
  if (result > static_cast<std::uint8_t>(last)) reader.damaged(fmt::format("{} {} is not known", name, result));
  return static_cast<Enumeration>(result);
}

// Offsets as values; the sum must not pass what the column's type can hold.
void add_minimum(const Reader& reader, std::span<std::uint64_t> offsets, std::uint64_t minimum, std::uint64_t largest,
                 ColumnType type) {
  const std::uint64_t most = type == ColumnType::real32 ? 0xffffffffu : ~std::uint64_t{0};
  if (minimum > most || largest > most - minimum) reader.damaged("a value is too large for its type");
  for (std::uint64_t& offset : offsets) offset += minimum;
}

// The values of a column of this type, or nothing read but passed over.
std::vector<std::uint64_t> take_values(Reader& reader, ColumnType type, std::uint64_t rows, bool wanted) {
  const Encoding encoding = one_of(reader, Encoding::dictionary, "encoding");
  const auto width = reader.number<std::uint8_t>();
  if (width > 64) reader.damaged(fmt::format("a width of {} bits", width));
  const auto minimum = reader.number<std::uint64_t>();
  std::vector<std::uint64_t> values;
  if (encoding == Encoding::offsets) {
    const std::string_view packed = reader.take(packed_bytes(rows, width));
    if (!wanted) return values;
    values.resize(rows);
    add_minimum(reader, values, minimum, unpack(packed, width, values), type);
    return values;
  }
  const auto distinct = reader.number<std::uint32_t>();
  if (distinct == 0 || distinct > std::min<std::uint64_t>(rows, kMostDistinct)) {
    reader.damaged(fmt::format("{} distinct values in {} rows", distinct, rows));
  }
  const unsigned index_width = bits_of(distinct - 1);
  const std::string_view packed_words = reader.take(packed_bytes(distinct, width));
  const std::string_view packed_indices = reader.take(packed_bytes(rows, index_width));
  if (!wanted) return values;
  std::vector<std::uint64_t> words(distinct);
  add_minimum(reader, words, minimum, unpack(packed_words, width, words), type);
  values.resize(rows);
  if (unpack(packed_indices, index_width, values) >= distinct) reader.damaged("an index is beyond the distinct values");
  for (std::uint64_t& value : values) value = words[value];
  return values;
}

}  // namespace

std::string column_name(const Column& column) {
  const bool of_return = column.name == "mean_return";
  const std::string estimated = of_return ? column.name : "gradient_" + column.name;
  switch (column.kind) {
    case ColumnKind::status:
      return "status";
    case ColumnKind::updates:
      return "updates";
    case ColumnKind::episodes:
      return "episodes";
    case ColumnKind::steps:
      return "steps";
    case ColumnKind::parameter:
      return column.name;
    case ColumnKind::curve:
      return fmt::format("return_at_update_{}", column.at);
    case ColumnKind::threshold_updates:
      return fmt::format("updates_to_{}", column.at);
    case ColumnKind::threshold_steps:
      return fmt::format("steps_to_{}", column.at);
    case ColumnKind::final_return:
      return "final_return";
    case ColumnKind::evaluation_mean:
      return "evaluation_mean";
    case ColumnKind::evaluation_sd:
      return "evaluation_sd";
    case ColumnKind::evaluation_min:
      return "evaluation_min";
    case ColumnKind::evaluation_max:
      return "evaluation_max";
    case ColumnKind::estimate:
      return estimated;
    case ColumnKind::standard_error:
      return estimated + "_standard_error";
    case ColumnKind::second_moment:
      return estimated + "_second_moment";
    case ColumnKind::expected_return:
      return "expected_return";
    case ColumnKind::setting:
      return column.name;
    case ColumnKind::initial_parameter:
      return "initial_" + column.name;
    case ColumnKind::curve_episodes:
      return fmt::format("return_at_episode_{}", column.at);
    case ColumnKind::threshold_episodes:
      return fmt::format("episodes_to_{}", column.at);
  }
  throw Error(fmt::format("column kind {} is not known", static_cast<int>(column.kind)));
}

std::string encode(const std::vector<Column>& columns, std::uint64_t rows) {
  if (rows > kMostValues || columns.size() > kMostValues || columns.size() * rows > kMostValues) {
    throw Error(
        fmt::format("{} columns of {} rows are too many for one chunk; accepted: {} values", columns.size(), rows, kMostValues));
  }
  std::string bytes;
  put(bytes, kFormat);
  put(bytes, static_cast<std::uint32_t>(columns.size()));
  put(bytes, rows);
  for (const Column& column : columns) {
    if (column.bits.size() != rows) {
      throw Error(fmt::format("column {} has {} values in a chunk of {} rows", column_name(column), column.bits.size(), rows));
    }
    put_column(bytes, column);
  }
  return bytes;
}

std::vector<Column> decode_some(std::string_view bytes, std::uint64_t rows, const std::function<bool(const Column&)>& wanted) {
  Reader reader(bytes, "the columns of a chunk");
  const auto format = reader.number<std::uint8_t>();
  if (format != kFormat) reader.damaged(fmt::format("format {} is not known", format));
  const auto count = reader.number<std::uint32_t>();
  const auto rows_there = reader.number<std::uint64_t>();
  if (rows_there != rows) reader.damaged(fmt::format("{} rows instead of {}", rows_there, rows));
  if (rows > kMostValues || count * rows > kMostValues) reader.damaged(fmt::format("{} columns of {} rows", count, rows));
  std::vector<Column> columns;
  for (std::uint32_t i = 0; i < count; ++i) {
    Column column;
    column.kind = one_of(reader, kLastKind, "column kind");
    column.type = one_of(reader, kLastType, "column type");
    const auto name_length = reader.number<std::uint16_t>();
    column.name = reader.take(name_length);
    column.at = reader.number<double>();
    const bool keep = wanted(column);
    column.bits = take_values(reader, column.type, rows, keep);
    if (keep) columns.push_back(std::move(column));
  }
  if (reader.left() != 0) reader.damaged("bytes follow the last column");
  return columns;
}

std::vector<Column> decode(std::string_view bytes, std::uint64_t rows) {
  return decode_some(bytes, rows, [](const Column&) { return true; });
}

}  // namespace fryer::study
