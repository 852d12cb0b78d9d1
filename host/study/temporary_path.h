// SPDX-License-Identifier: Apache-2.0
// Files and folders that are made beside their place and moved there when they are whole, and what that takes of the file system. A
// process that is killed meanwhile leaves one behind, hidden; the next that makes one for the same place removes it.
#pragma once

#include <string>
#include <string_view>

namespace fryer::study {

// A hidden file or folder beside a path, locked by flock(2) for as long as this lives. The lock ends with its process, however that
// ends, so one that can be locked is left over. Where the file system has no such locks none is ever removed. Where it keeps them
// to each machine (NFS, of folders), two machines must not make the same path at once: the slower one would fail.
class TemporaryPath {
 public:
  enum class Kind { file, folder };

  TemporaryPath() = default;  // none
  TemporaryPath(const TemporaryPath&) = delete;
  TemporaryPath& operator=(const TemporaryPath&) = delete;
  ~TemporaryPath();  // removes it, with all that is in it

  // Makes the one that this is, for its owner only, after remove_stale(). Gives 0, or the errno of the failure.
  int make(const std::string& path, Kind kind);
  // Gives a file the name `target`, replacing what had it, on the disk for good. Gives 0 or errno; on failure `target` is as it was.
  int move_to(const std::string& target);
  // "" of none, or once moved.
  const std::string& name() const { return name_; }
  // Of the file, to write to; -1 of none.
  int descriptor() const { return descriptor_; }

  // Removes this user's that no process holds. What cannot be looked at or removed stays.
  static void remove_stale(const std::string& path, Kind kind);

 private:
  std::string name_;
  int descriptor_ = -1;
};

// The folder that holds a path.
std::string folder_of(const std::string& path);
// All bytes to an open descriptor, however many calls it takes; 0, or the errno of the failure.
int write_all(int descriptor, std::string_view bytes);
// What was written is on the disk for good, where there is one: devices, and some file systems, have nothing to sync. 0 or errno.
int sync_file(int descriptor);
// So that a new name there survives a power cut. Some file systems have nothing to sync in a folder: that it fails is no error.
void sync_folder_of(const std::string& path);

}  // namespace fryer::study
