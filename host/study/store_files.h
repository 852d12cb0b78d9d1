// SPDX-License-Identifier: Apache-2.0
// What a store needs of the file system before and beside SQLite: who may write, whether there is a log, how the file can be read where
// nothing may be written. Used by the store.
#pragma once

#include <sys/types.h>

#include <array>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "host/study/temporary_path.h"

namespace fryer::study {

// The file of trainings under way (unfinished.h), behind the study's name.
inline constexpr std::string_view kUnfinishedSuffix = "-unfinished";
// Of every file of a study, SQLite's among them (sqlite.org/tempfiles.html).
inline constexpr std::array<std::string_view, 5> kSuffixes = {"", "-wal", "-shm", "-journal", kUnfinishedSuffix};

// The one writer of a file, over processes by flock(2) and within this one by a list: a second descriptor of the file, closed,
// would drop the locks that SQLite holds for the first writer. Taken before SQLite opens the file, released after it has closed
// it.
class WriterLock {
 public:
  // `path` names the file in messages, `real` is where it is. Throws FileInUseError, FileError.
  WriterLock(const std::string& path, const std::string& real);
  WriterLock(const WriterLock&) = delete;
  WriterLock& operator=(const WriterLock&) = delete;
  ~WriterLock() { release(); }
  // Whether `real` still names the file.
  bool is_still_there(const std::string& real) const;

 private:
  static std::mutex& mutex();
  static std::set<std::pair<dev_t, ino_t>>& held();
  [[noreturn]] static void in_use(const std::string& path);
  [[noreturn]] static void fail(const std::string& path, const char* why);
  void release();

  std::pair<dev_t, ino_t> key_;
  int descriptor_ = -1;
};

// Whether SQLite keeps a log beside the file with anything in it.
bool has_log(const std::string& file);

// A file and its log where SQLite may do what it needs, for as long as they are read.
class Copy {
 public:
  // Throws FileError.
  explicit Copy(const std::string& real);
  std::string file() const { return folder_.name() + "/study.db"; }

 private:
  TemporaryPath folder_;
};

// A path as a URI with one parameter (sqlite.org/uri.html): every byte that may mean something else is written %XX.
std::string uri_of(const std::string& real, const char* parameter);

// The file that a path means, links resolved: SQLite's log lies beside that one. Throws FileError, and DamagedFileError
// for what is no file.
std::string real_path(const std::string& path);

}  // namespace fryer::study
