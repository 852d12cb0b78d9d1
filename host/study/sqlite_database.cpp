// SPDX-License-Identifier: Apache-2.0
// See sqlite_database.h.
#include "host/study/sqlite_database.h"

#include <fmt/format.h>

#include <cstring>
#include <new>

#include "fryer/core/error.h"
#include "host/text.h"

namespace fryer::study {
namespace {

constexpr int kPatience = 10'000;  // milliseconds for another process that recovers or folds the log

// The exception for what SQLite says. Of a failed commit it does not pass on the system's reason, which errno still holds:
// callers set that to 0 before the call.
[[noreturn]] void fail(sqlite3* database, int code, const std::string& path, Doing doing) {
  const int error = errno;
  const std::string reason = database == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(database);
  switch (code & 0xff) {
    case SQLITE_NOMEM:
      throw std::bad_alloc();
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      throw FileInUseError(fmt::format("{} is in use by another process", shown_path(path)));
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_READONLY:
    case SQLITE_NOLFS:
      throw FileError(fmt::format("cannot {} {}: {}{}", doing == Doing::writing ? "write" : "read", shown_path(path), reason,
                                  error == 0 ? "" : fmt::format(" ({})", std::strerror(error))));
    default:  // SQLITE_CORRUPT, NOTADB, ERROR (a statement that a sound file accepts), CONSTRAINT, TOOBIG, ...
      damaged(path, reason);
  }
}

}  // namespace

void damaged(const std::string& path, const std::string& what) {
  throw DamagedFileError(fmt::format("{} is damaged: {}", shown_path(path), what));
}

Statement::Statement(sqlite3* database, const std::string& path, const char* sql, Doing doing)
    : database_(database), path_(path), doing_(doing) {
  errno = 0;
  const int code = sqlite3_prepare_v2(database, sql, -1, &statement_, nullptr);
  if (code != SQLITE_OK) fail(database_, code, path_, doing_);
}

bool Statement::step() {
  read_ = 0;
  errno = 0;
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) fail(database_, code, path_, doing_);
  return false;
}

std::string Statement::text() {
  const void* bytes = sqlite3_column_blob(statement_, read_);
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, read_++));
  if (bytes != nullptr) return std::string(static_cast<const char*>(bytes), size);
  // Of a value that could not be read, SQLite gives nothing as well.
  const int code = sqlite3_errcode(database_);
  if (code != SQLITE_OK && code != SQLITE_ROW && code != SQLITE_DONE) fail(database_, code, path_, doing_);
  return "";
}

Statement& Statement::check(int code) {
  if (code != SQLITE_OK) fail(database_, code, path_, doing_);
  return *this;
}

Database::Database(std::string path, const std::string& name, int flags) : path_(std::move(path)) {
  const Doing doing = (flags & SQLITE_OPEN_READONLY) != 0 ? Doing::reading : Doing::writing;
  errno = 0;
  const int code = sqlite3_open_v2(name.c_str(), &database_, flags, nullptr);
  try {
    if (code != SQLITE_OK) fail(database_, code, path_, doing);
    sqlite3_extended_result_codes(database_, 1);
    sqlite3_busy_timeout(database_, kPatience);
    sqlite3_db_config(database_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    sqlite3_db_config(database_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  } catch (...) {
    sqlite3_close(database_);
    throw;
  }
}

void Database::execute(const char* sql, Doing doing) const {
  errno = 0;
  const int code = sqlite3_exec(database_, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail(database_, code, path_, doing);
}

std::uint64_t Database::file_size() const {
  sqlite3_int64 size = 0;
  errno = 0;
  const int code = file()->pMethods->xFileSize(file(), &size);
  if (code != SQLITE_OK) fail(nullptr, code, path_, Doing::reading);
  return static_cast<std::uint64_t>(size);
}

std::string Database::beginning(int size) const {
  std::string bytes(static_cast<std::size_t>(size), '\0');
  errno = 0;
  const int code = file()->pMethods->xRead(file(), bytes.data(), size, 0);
  if (code != SQLITE_OK && code != SQLITE_IOERR_SHORT_READ) fail(nullptr, code, path_, Doing::reading);
  return bytes;
}

sqlite3_file* Database::file() const {
  sqlite3_file* result = nullptr;
  sqlite3_file_control(database_, "main", SQLITE_FCNTL_FILE_POINTER, &result);
  return result;
}

void Database::fold_log() const {
  const int code = sqlite3_wal_checkpoint_v2(database_, nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
  if (code != SQLITE_OK) fail(database_, code, path_, Doing::writing);
}

}  // namespace fryer::study
