// SPDX-License-Identifier: Apache-2.0
// See export.h. What the columns of the file are is decided once, from the plan and the pieces; each format then writes cells of that table.
#include "host/study/export.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/compile.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <exception>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <tuple>

#include "fryer/core/error.h"
#include "fryer/engine/results.h"
#include "host/study/npy.h"

namespace fryer::study {

std::string_view status_name(std::uint8_t status) {
  switch (static_cast<ReplicaStatus>(status)) {
    case ReplicaStatus::finished:
      return "finished";
    case ReplicaStatus::solved:
      return "solved";
    case ReplicaStatus::failed:
      return "failed";
    case ReplicaStatus::unfinished:
      break;
  }
  return "unknown";
}

namespace {

using Write = std::function<void(std::string_view)>;
constexpr std::size_t kBuffer = 1 << 20;
constexpr std::uint64_t kColumnBytes = 256 << 20;  // of columns of an .npz read together

// ---- the table

template <class Number>
std::optional<Number> read_whole(const std::string& text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// A key of the grid: one value a cell.
struct Key {
  enum class Kind { integer, real, flag, text };
  std::string key, name;
  Kind kind = Kind::text;
  std::vector<std::string> texts;  // "" where a cell lacks it
};

// A column of the study; its values come with the pieces.
struct Data {
  Column column;  // without values
  std::string name;
  bool complete = true;  // every piece has it

  bool is_status() const { return column.kind == ColumnKind::status; }
  // 0 says "never".
  bool is_time() const {
    return column.kind == ColumnKind::threshold_updates || column.kind == ColumnKind::threshold_episodes ||
           column.kind == ColumnKind::threshold_steps;
  }
  bool is_integer() const { return column.type == ColumnType::integer; }
};

struct Table {
  std::vector<Key> keys;
  std::vector<Data> data;
  std::uint64_t rows = 0;
};

Key::Kind kind_of(const std::vector<std::string>& texts) {
  const auto all = [&](auto is) { return std::all_of(texts.begin(), texts.end(), is); };
  if (all([](const std::string& t) { return read_whole<std::int64_t>(t).has_value(); })) return Key::Kind::integer;
  if (all([](const std::string& t) {
        const auto x = read_whole<double>(t);
        return x && std::isfinite(*x);
      }))
    return Key::Kind::real;
  if (all([](const std::string& t) { return t == "true" || t == "false"; })) return Key::Kind::flag;
  return Key::Kind::text;
}

Table table_of(const ExportRows& source) {
  Table table;
  std::vector<std::size_t> pieces_with;
  for (std::size_t piece = 0; piece < source.pieces.size(); ++piece) {
    table.rows += source.pieces[piece].range.count;
    std::size_t hint = 0;  // columns mostly come in the same order
    source.columns(piece, [&](const Column& column) {
      const auto same = [&](const Data& data) { return data.column.same_column(column); };
      auto found = hint < table.data.size() && same(table.data[hint]) ? table.data.begin() + static_cast<std::ptrdiff_t>(hint)
                                                                      : std::find_if(table.data.begin(), table.data.end(), same);
      const auto at = static_cast<std::size_t>(found - table.data.begin());
      if (found == table.data.end()) {
        Data data;
        data.column = {column.kind, column.type, column.name, column.at, {}};
        data.name = column_name(column);
        table.data.push_back(std::move(data));
        pieces_with.push_back(0);
      }
      ++pieces_with[at];
      hint = at + 1;
      return false;
    });
  }
  for (std::size_t i = 0; i < table.data.size(); ++i) table.data[i].complete = pieces_with[i] == source.pieces.size();
  std::stable_sort(table.data.begin(), table.data.end(), [](const Data& a, const Data& b) {
    const auto rank = [](const Column& c) {
      return std::tuple(c.kind, c.kind == ColumnKind::curve || c.kind == ColumnKind::curve_episodes ? c.at : 0.0);
    };
    return rank(a.column) < rank(b.column);
  });
  std::set<std::string> names = {"cell", "seed"};
  for (const Data& data : table.data) names.insert(data.name);
  std::vector<std::string> keys;
  for (const Cell& cell : source.plan.cells) {
    for (const auto& [key, value] : cell.point) {
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
    }
  }
  for (const std::string& name : keys) {
    Key key;
    key.key = name;
    key.name = names.contains(name) ? "grid_" + name : name;
    for (const Cell& cell : source.plan.cells) {
      const auto found = std::find_if(cell.point.begin(), cell.point.end(), [&](const auto& pair) { return pair.first == name; });
      key.texts.push_back(found == cell.point.end() ? "" : found->second);
    }
    key.kind = kind_of(key.texts);
    table.keys.push_back(std::move(key));
  }
  return table;
}

// The columns of a piece in the table's order; null where it lacks one.
std::vector<const Column*> in_order(const Table& table, const std::vector<Column>& columns, std::uint64_t rows) {
  std::vector<const Column*> ordered(table.data.size(), nullptr);
  for (std::size_t i = 0; i < table.data.size(); ++i) {
    // Mostly it is the next one.
    const auto same = [&](const Column& column) { return table.data[i].column.same_column(column); };
    const auto found = i < columns.size() && same(columns[i]) ? columns.begin() + static_cast<std::ptrdiff_t>(i)
                                                              : std::find_if(columns.begin(), columns.end(), same);
    if (found == columns.end()) continue;
    if (found->bits.size() != rows)
      throw Error(fmt::format("{}: {} values for {} rows", table.data[i].name, found->bits.size(), rows));
    ordered[i] = &*found;
  }
  return ordered;
}

// Whether the row has a value there that a file can show.
bool is_there(const Data& data, const Column* column, std::size_t row) {
  if (column == nullptr || (data.is_time() && column->bits[row] == 0)) return false;
  return data.is_integer() || std::isfinite(column->value(row));
}

// ---- csv and jsonl

std::string quoted_for_csv(const std::string& text) {  // RFC 4180
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

std::string quoted_for_json(const std::string& text) { return Json(text).dump(-1, ' ', true, Json::error_handler_t::replace); }

// A number of the grid as the other numbers of the file are written.
std::string number_text(const Key& key, const std::string& text) {
  return key.kind == Key::Kind::real ? fmt::format("{}", *read_whole<double>(text)) : text;
}

void append_value(std::string& out, const Data& data, const Column& column, std::size_t row) {
  if (data.is_integer()) {
    fmt::format_to(std::back_inserter(out), FMT_COMPILE("{}"), column.bits[row]);
  } else {
    fmt::format_to(std::back_inserter(out), FMT_COMPILE("{}"), column.value(row));
  }
}

// One line a row: `head` is what stands before the seed, made once for each piece; names[i] stands before the value of column i, and
// `absent` in place of one that is not there.
struct Lines {
  std::function<std::string(std::uint64_t cell)> head;
  std::vector<std::string> names;
  std::string absent, quote, end;
};

void write_lines(const ExportRows& source, const Table& table, const Lines& lines, std::string out, const Write& write) {
  for (std::size_t piece = 0; piece < source.pieces.size(); ++piece) {
    const auto& [cell, range] = source.pieces[piece];
    const std::vector<Column> columns = source.columns(piece, [](const Column&) { return true; });
    const std::vector<const Column*> ordered = in_order(table, columns, range.count);
    const std::string head = lines.head(cell);
    for (std::size_t row = 0; row < range.count; ++row) {
      out += head;
      fmt::format_to(std::back_inserter(out), FMT_COMPILE("{}"), source.plan.first_seed + range.first + row);
      for (std::size_t i = 0; i < ordered.size(); ++i) {
        out += lines.names[i];
        if (!is_there(table.data[i], ordered[i], row)) {
          out += lines.absent;
        } else if (table.data[i].is_status()) {
          out += lines.quote;
          out += status_name(static_cast<std::uint8_t>(ordered[i]->bits[row]));
          out += lines.quote;
        } else {
          append_value(out, table.data[i], *ordered[i], row);
        }
      }
      out += lines.end;
      if (out.size() >= kBuffer) {
        write(out);
        out.clear();
      }
    }
  }
  if (!out.empty()) write(out);
}

void write_csv(const ExportRows& source, const Table& table, const Write& write) {
  std::string heading = "cell";
  for (const Key& key : table.keys) heading += ',' + quoted_for_csv(key.name);
  heading += ",seed";
  for (const Data& data : table.data) heading += ',' + quoted_for_csv(data.name);
  Lines lines;
  lines.head = [&](std::uint64_t cell) {
    std::string head = fmt::format("{},", cell);
    for (const Key& key : table.keys) head += quoted_for_csv(number_text(key, key.texts[cell])) + ',';
    return head;
  };
  lines.names.assign(table.data.size(), ",");
  lines.end = "\n";
  write_lines(source, table, lines, heading + '\n', write);
}

void write_jsonl(const ExportRows& source, const Table& table, const Write& write) {
  Lines lines;
  lines.head = [&](std::uint64_t cell) {
    std::string head = fmt::format("{{\"cell\":{}", cell);
    for (const Key& key : table.keys) {
      const std::string& text = key.texts[cell];
      head += fmt::format(",{}:{}", quoted_for_json(key.name),
                          text.empty()                  ? "null"
                          : key.kind == Key::Kind::text ? quoted_for_json(text)
                                                        : number_text(key, text));
    }
    return head + ",\"seed\":";
  };
  for (const Data& data : table.data) lines.names.push_back(',' + quoted_for_json(data.name) + ':');
  lines.absent = "null";
  lines.quote = "\"";
  lines.end = "}\n";
  write_lines(source, table, lines, "", write);
}

// ---- npz

// A zip archive of stored files that goes to `write` as it is made.
class Zip {
 public:
  explicit Zip(const Write& write) : write_(write), archive_(archive_write_new()), entry_(archive_entry_new()) {
    if (archive_ == nullptr || entry_ == nullptr) throw std::bad_alloc();
    check(archive_write_set_format_zip(archive_.get()));
    check(archive_write_set_options(archive_.get(), "zip:compression=store"));
    check(archive_write_set_bytes_per_block(archive_.get(), kBuffer));
    check(archive_write_set_bytes_in_last_block(archive_.get(), 1));
    check(archive_write_open(archive_.get(), this, nullptr, &Zip::take, nullptr));
  }
  void begin(const std::string& name, std::uint64_t bytes) {
    archive_entry_clear(entry_.get());
    archive_entry_set_pathname(entry_.get(), name.c_str());
    archive_entry_set_size(entry_.get(), static_cast<la_int64_t>(bytes));
    archive_entry_set_filetype(entry_.get(), AE_IFREG);
    archive_entry_set_perm(entry_.get(), 0644);
    archive_entry_set_mtime(entry_.get(), 315619200, 0);  // 1980-01-02: the same study gives the same file
    check(archive_write_header(archive_.get(), entry_.get()));
  }
  void add(std::string_view bytes) {
    while (!bytes.empty()) {
      const la_ssize_t n = archive_write_data(archive_.get(), bytes.data(), bytes.size());
      if (n <= 0) fail();
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  void close() { check(archive_write_close(archive_.get())); }

 private:
  static la_ssize_t take(archive* a, void* self, const void* bytes, std::size_t count) {
    Zip& zip = *static_cast<Zip*>(self);
    if (zip.thrown_) return -1;
    try {
      zip.write_({static_cast<const char*>(bytes), count});
      return static_cast<la_ssize_t>(count);
    } catch (...) {  // not through C
      zip.thrown_ = std::current_exception();
      archive_set_error(a, -1, "not written");
      return -1;
    }
  }
  void check(int code) {
    if (code != ARCHIVE_OK) fail();
  }
  [[noreturn]] void fail() {
    if (thrown_) std::rethrow_exception(thrown_);
    const char* const why = archive_error_string(archive_.get());
    throw FileError(fmt::format("export: the archive could not be written: {}", why != nullptr ? why : "unknown"));
  }

  struct Free {
    void operator()(archive* a) const { archive_write_free(a); }
    void operator()(archive_entry* entry) const { archive_entry_free(entry); }
  };
  const Write& write_;
  std::exception_ptr thrown_;
  std::unique_ptr<archive, Free> archive_;
  std::unique_ptr<archive_entry, Free> entry_;
};

struct Type {
  std::string descr;
  std::uint64_t bytes;
};
Type text_type(std::size_t length) {
  return {fmt::format("'<U{}'", std::max<std::size_t>(length, 1)), 4 * std::max<std::size_t>(length, 1)};
}
Type real_type(int bytes) { return {fmt::format("'<f{}'", bytes), static_cast<std::uint64_t>(bytes)}; }
const Type kInteger = {"'<i8'", 8};

void append_real(std::string& out, double x) { append_little_endian(out, std::bit_cast<std::uint64_t>(x), 8); }
void append_text(std::string& out, std::string_view text, const Type& type) {
  const std::size_t end = out.size() + type.bytes;
  for (const char c : text) append_little_endian(out, static_cast<unsigned char>(c), 4);  // ASCII, as study files are
  out.resize(end, '\0');
}

void begin_array(Zip& zip, const std::string& name, const Type& type, std::uint64_t rows) {
  const std::string header = npy_header(type.descr, rows);
  zip.begin(name + ".npy", header.size() + rows * type.bytes);
  zip.add(header);
}

// An array whose value is the same for all rows of a piece.
void write_by_piece(Zip& zip, const ExportRows& source, const Table& table, const std::string& name, const Type& type,
                    const std::function<void(std::string&, std::uint64_t cell)>& append) {
  begin_array(zip, name, type, table.rows);
  for (const ExportPiece& piece : source.pieces) {
    std::string one, block;
    append(one, piece.cell);
    const std::uint64_t at_once = std::max<std::uint64_t>(1, std::min<std::uint64_t>(piece.range.count, kBuffer / one.size()));
    for (std::uint64_t i = 0; i < at_once; ++i) block += one;
    for (std::uint64_t left = piece.range.count; left > 0; left -= std::min(left, at_once))
      zip.add(std::string_view(block).substr(0, std::min(left, at_once) * one.size()));
  }
}

void write_key(Zip& zip, const ExportRows& source, const Table& table, const Key& key) {
  Type type = kInteger;
  if (key.kind == Key::Kind::real) type = real_type(8);
  if (key.kind == Key::Kind::flag) type = {"'|b1'", 1};
  if (key.kind == Key::Kind::text) {
    std::size_t longest = 0;
    for (const std::string& text : key.texts) longest = std::max(longest, text.size());
    type = text_type(longest);
  }
  write_by_piece(zip, source, table, key.name, type, [&](std::string& out, std::uint64_t cell) {
    const std::string& text = key.texts[cell];
    switch (key.kind) {
      case Key::Kind::integer:
        return append_little_endian(out, static_cast<std::uint64_t>(*read_whole<std::int64_t>(text)), 8);
      case Key::Kind::real:
        return append_real(out, *read_whole<double>(text));
      case Key::Kind::flag:
        return append_little_endian(out, text == "true" ? 1 : 0, 1);
      case Key::Kind::text:
        return append_text(out, text, type);
    }
  });
}

void write_seeds(Zip& zip, const ExportRows& source, const Table& table) {
  begin_array(zip, "seed", {"'<u8'", 8}, table.rows);
  std::string block;
  for (const ExportPiece& piece : source.pieces) {
    for (std::uint64_t i = 0; i < piece.range.count; ++i) {
      append_little_endian(block, source.plan.first_seed + piece.range.first + i, 8);
      if (block.size() >= kBuffer) {
        zip.add(block);
        block.clear();
      }
    }
  }
  zip.add(block);
}

Type type_of(const Data& data) {
  if (data.is_status()) return text_type(8);  // finished
  if (data.is_integer()) return data.complete && !data.is_time() ? kInteger : real_type(8);
  return real_type(data.column.type == ColumnType::real32 ? 4 : 8);
}

void append_values(std::string& out, const Data& data, const Column* column, std::uint64_t rows) {
  const Type type = type_of(data);
  for (std::size_t row = 0; row < rows; ++row) {
    if (data.is_status()) {
      append_text(out, column != nullptr ? status_name(static_cast<std::uint8_t>(column->bits[row])) : "", type);
    } else if (data.is_integer() && type.descr == kInteger.descr) {
      append_little_endian(out, column->bits[row], 8);
    } else {
      const double x = is_there(data, column, row) ? column->value(row) : std::numeric_limits<double>::quiet_NaN();
      type.bytes == 4 ? append_little_endian(out, std::bit_cast<std::uint32_t>(static_cast<float>(x)), 4) : append_real(out, x);
    }
  }
}

// Columns begin .. end - 1, read together; one alone goes out piece by piece, however many rows it has.
void write_columns(Zip& zip, const ExportRows& source, const Table& table, std::size_t begin, std::size_t end) {
  const bool alone = end - begin == 1;
  Table part;
  part.data.assign(table.data.begin() + static_cast<std::ptrdiff_t>(begin),
                   table.data.begin() + static_cast<std::ptrdiff_t>(end));
  std::vector<std::string> arrays(part.data.size());
  if (alone) begin_array(zip, part.data[0].name, type_of(part.data[0]), table.rows);
  for (std::size_t piece = 0; piece < source.pieces.size(); ++piece) {
    const std::uint64_t rows = source.pieces[piece].range.count;
    const std::vector<Column> columns = source.columns(piece, [&](const Column& column) {
      return std::any_of(part.data.begin(), part.data.end(), [&](const Data& data) { return data.column.same_column(column); });
    });
    const std::vector<const Column*> ordered = in_order(part, columns, rows);
    for (std::size_t i = 0; i < ordered.size(); ++i) append_values(arrays[i], part.data[i], ordered[i], rows);
    if (alone) {
      zip.add(arrays[0]);
      arrays[0].clear();
    }
  }
  for (std::size_t i = 0; !alone && i < arrays.size(); ++i) {
    begin_array(zip, part.data[i].name, type_of(part.data[i]), table.rows);
    zip.add(arrays[i]);
    arrays[i] = std::string();
  }
}

void write_npz(const ExportRows& source, const Table& table, const Write& write) {
  Zip zip(write);
  write_by_piece(zip, source, table, "cell", kInteger,
                 [](std::string& out, std::uint64_t cell) { append_little_endian(out, cell, 8); });
  for (const Key& key : table.keys) write_key(zip, source, table, key);
  write_seeds(zip, source, table);
  for (std::size_t begin = 0, end = 0; begin < table.data.size(); begin = end) {
    std::uint64_t bytes = 0;
    for (end = begin; end < table.data.size(); ++end) {
      bytes += table.rows * type_of(table.data[end]).bytes;
      if (bytes > kColumnBytes && end > begin) break;
    }
    write_columns(zip, source, table, begin, end);
  }
  zip.close();
}

}  // namespace

ExportFormat export_format(const std::string& path) {
  if (path.ends_with(".csv")) return ExportFormat::csv;
  if (path.ends_with(".jsonl")) return ExportFormat::jsonl;
  if (path.ends_with(".npz")) return ExportFormat::npz;
  throw ConfigurationError(fmt::format("--output: {} is not accepted; a file name that ends in .csv, .jsonl or .npz", path));
}

void export_rows(const ExportRows& rows, ExportFormat format, const Write& write) {
  const Table table = table_of(rows);
  switch (format) {
    case ExportFormat::csv:
      return write_csv(rows, table, write);
    case ExportFormat::jsonl:
      return write_jsonl(rows, table, write);
    case ExportFormat::npz:
      return write_npz(rows, table, write);
  }
}

void export_study(const Store& store, ExportFormat format, const Write& write) {
  const std::vector<Chunk> chunks = store.chunks();
  const Plan& plan = store.plan();
  ExportRows rows{plan, {}, [&](std::size_t piece, const std::function<bool(const Column&)>& wanted) {
                    return store.columns(chunks[piece], wanted);
                  }};
  for (const Chunk& chunk : chunks) rows.pieces.push_back({chunk.cell, chunk.range});
  export_rows(rows, format, write);
}

}  // namespace fryer::study
