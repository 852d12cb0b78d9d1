// SPDX-License-Identifier: Apache-2.0
// A database on its way to its name. It is made inside a hidden folder beside its place, with whatever files SQLite puts beside
// it, and moved when it is whole. A process that is killed meanwhile leaves that folder behind and nothing under the name.
#pragma once

#include <string>

namespace fryer::study {

class NewFile {
 public:
  // Throws FileError if `path` exists or cannot be made, or a database's log of that name is there: SQLite would play it into the
  // new file.
  explicit NewFile(const std::string& path);
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  ~NewFile();

  // Where to make the file.
  const std::string& inside() const { return inside_; }
  // Gives the file its name, on the disk for good. Throws FileError if the name was taken meanwhile.
  void publish();

 private:
  std::string path_, folder_, inside_;
};

// ---- of any file that is made beside its place; the command line's too

// The folder that holds a path.
std::string folder_of(const std::string& path);
// A hidden name in that folder, as mkdtemp(3) and mkstemp(3) want it: its last six letters are theirs to choose.
std::string hidden_name_beside(const std::string& path);
// So that a new name there survives a power cut. Some file systems have nothing to sync in a folder: that it fails is no error.
void sync_folder_of(const std::string& path);

}  // namespace fryer::study
