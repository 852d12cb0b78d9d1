// SPDX-License-Identifier: Apache-2.0
// SQLite as studies use it: a connection, a statement whose values are bound and read in turn, a transaction, and exceptions for what
// SQLite says. Knows nothing of studies. Used by the store; one thread at a time.
#pragma once

#include <sqlite3.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace fryer::study {

// Throws DamagedFileError.
[[noreturn]] void damaged(const std::string& path, const std::string& what);

enum class Doing { reading, writing };

// One SQL statement. All of it throws FileError, FileInUseError, DamagedFileError, by what SQLite says, or std::bad_alloc.
class Statement {
 public:
  Statement(sqlite3* database, const std::string& path, const char* sql, Doing doing = Doing::reading);
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement() { sqlite3_finalize(statement_); }

  Statement& bind(std::uint64_t value) {
    return check(sqlite3_bind_int64(statement_, ++bound_, static_cast<sqlite3_int64>(value)));
  }
  Statement& bind(double value) { return check(sqlite3_bind_double(statement_, ++bound_, value)); }
  // What is bound here must outlive the statement.
  Statement& bind(std::string_view text) {
    return check(sqlite3_bind_text64(statement_, ++bound_, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8));
  }
  Statement& bind_bytes(std::string_view bytes) {
    return check(sqlite3_bind_blob64(statement_, ++bound_, bytes.data(), bytes.size(), SQLITE_STATIC));
  }

  // Whether there is a (next) row, whose fields the functions below then give in turn.
  bool step();
  std::uint64_t integer() { return static_cast<std::uint64_t>(sqlite3_column_int64(statement_, read_++)); }
  double real() { return sqlite3_column_double(statement_, read_++); }
  std::string text();

 private:
  Statement& check(int code);

  sqlite3* database_;
  const std::string& path_;
  Doing doing_;
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0, read_ = 0;
};

// A connection. `path` names the file in messages, `name` is what SQLite opens.
class Database {
 public:
  Database(std::string path, const std::string& name, int flags);
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database() { sqlite3_close(database_); }

  sqlite3* get() const { return database_; }
  const std::string& path() const { return path_; }

  Statement prepare(const char* sql, Doing doing = Doing::reading) const { return {database_, path_, sql, doing}; }
  void execute(const char* sql, Doing doing = Doing::reading) const;
  // Reads that do not reach the schema; the file may be anything yet.
  void settle() const {
    execute("PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0; PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY");
  }

  // Writes what is in the log to the file itself, so that the file is whole without it. Throws FileError where it cannot.
  void fold_log() const;

  // All of `body` or nothing of it.
  template <class Body>
  void transaction(const Body& body) const {
    execute("BEGIN IMMEDIATE", Doing::writing);
    try {
      body();
      execute("COMMIT", Doing::writing);
    } catch (...) {
      // Some errors have rolled back already. One that cannot is rolled back by whoever opens the file next.
      if (sqlite3_get_autocommit(database_) == 0) sqlite3_exec(database_, "ROLLBACK", nullptr, nullptr, nullptr);
      throw;
    }
  }

  // The file as SQLite itself has it open: opening it once more and closing that would drop SQLite's locks.
  std::uint64_t file_size() const;
  std::string beginning(int size) const;

 private:
  sqlite3_file* file() const;

  std::string path_;
  sqlite3* database_ = nullptr;
};

}  // namespace fryer::study
