// SPDX-License-Identifier: Apache-2.0
// A database on its way to its name. It is made inside a hidden folder beside its place, with whatever files SQLite puts beside
// it, and moved when it is whole. A process that is killed meanwhile leaves that folder behind and nothing under the name; the next
// that makes or opens a database of that name to write to it removes the folder.
#pragma once

#include <string>

#include "host/study/temporary_path.h"

namespace fryer::study {

class NewFile {
 public:
  // Throws FileError if `path` exists or cannot be made, or a database's log of that name is there: SQLite would play it into the
  // new file.
  explicit NewFile(const std::string& path);
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  // Where to make the file.
  const std::string& inside() const { return inside_; }
  // Gives the file its name, on the disk for good. Throws FileError if the name was taken meanwhile.
  void publish();

 private:
  std::string path_, inside_;
  TemporaryPath folder_;
};

}  // namespace fryer::study
