// SPDX-License-Identifier: Apache-2.0
// Files and folders made beside their place: what killed processes left is removed, what living ones make is not, and nothing else is.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "fryer/core/error.h"
#include "host/study/new_file.h"
#include "host/study/temporary_path.h"
#include "tests/study/store_support.h"

namespace fryer::study {
namespace {

using test::Folder;
using Kind = TemporaryPath::Kind;
constexpr Kind kKinds[] = {Kind::file, Kind::folder};

// A process that makes one, says so, and stays; killed as kill -9 does it.
class Maker {
 public:
  Maker(const std::string& path, Kind kind) {
    int made[2];
    if (::pipe(made) != 0) throw std::runtime_error("pipe");
    process_ = ::fork();
    if (process_ == 0) {
      TemporaryPath temporary;
      if (temporary.make(path, kind) != 0) ::_exit(1);
      if (kind == Kind::folder) test::write_all(temporary.name() + "/study.db", "half");
      if (::write(made[1], "", 1) != 1) ::_exit(1);
      for (;;) ::pause();
    }
    ::close(made[1]);
    char byte;
    const bool told = ::read(made[0], &byte, 1) == 1;
    ::close(made[0]);
    if (!told) throw std::runtime_error("nothing was made");
  }
  Maker(const Maker&) = delete;
  Maker& operator=(const Maker&) = delete;
  ~Maker() { kill(); }
  void kill() {
    if (process_ < 0) return;
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
    process_ = -1;
  }

 private:
  pid_t process_ = -1;
};

TEST(TemporaryPath, IsPrivateHiddenAndGoneAfterwards) {
  const Folder folder;
  for (const Kind kind : kKinds) {
    {
      TemporaryPath temporary;
      ASSERT_EQ(temporary.make(folder / "a.db", kind), 0);
      EXPECT_TRUE(temporary.name().starts_with(folder / ".a.db.fryer-")) << temporary.name();
      struct stat status {};
      ASSERT_EQ(::stat(temporary.name().c_str(), &status), 0);
      EXPECT_EQ(S_ISDIR(status.st_mode), kind == Kind::folder);
      EXPECT_EQ(status.st_mode & 0077, 0u);
      if (kind == Kind::folder) test::write_all(temporary.name() + "/more", "x");
    }
    EXPECT_EQ(folder.files(), 0u);
    TemporaryPath none;
    EXPECT_EQ(none.make(folder / "none/a.db", kind), ENOENT);
    EXPECT_EQ(none.name(), "");
  }
}

TEST(TemporaryPath, MovesToItsPlace) {
  const Folder folder;
  const std::string target = folder / "a";
  for (const char* const text : {"new", "replaced"}) {
    TemporaryPath temporary;
    ASSERT_EQ(temporary.make(target, Kind::file), 0);
    ASSERT_EQ(write_all(temporary.descriptor(), text), 0);
    ASSERT_EQ(temporary.move_to(target), 0);
    EXPECT_EQ(temporary.name(), "");
    EXPECT_EQ(test::read_all(target), text);
    EXPECT_EQ(folder.files(), 1u);
  }
  std::filesystem::create_directory(folder / "b");
  {
    TemporaryPath temporary;
    ASSERT_EQ(temporary.make(folder / "b", Kind::file), 0);
    EXPECT_EQ(temporary.move_to(folder / "b"), EISDIR);
  }
  EXPECT_EQ(folder.files(), 2u);
}

TEST(TemporaryPath, OfAKilledProcessIsRemovedAndOfALivingOneIsNot) {
  const Folder folder;
  for (const Kind kind : kKinds) {
    const std::string path = folder / "a.db", other = folder / "other.db";
    Maker first(path, kind), second(path, kind), elsewhere(other, kind);
    EXPECT_EQ(folder.files(), 3u);
    first.kill();
    EXPECT_EQ(folder.files(), 3u);
    {
      TemporaryPath third;
      ASSERT_EQ(third.make(path, kind), 0);
      EXPECT_EQ(folder.files(), 3u) << "the first is gone, the second is not, the third is there";
      TemporaryPath::remove_stale(path, kind);
      EXPECT_TRUE(std::filesystem::exists(third.name())) << "this process' own";
    }
    EXPECT_EQ(folder.files(), 2u);
    second.kill();
    elsewhere.kill();
    TemporaryPath::remove_stale(path, kind);
    EXPECT_EQ(folder.files(), 1u) << "what is of another path is left to that path";
    TemporaryPath::remove_stale(other, kind);
    EXPECT_EQ(folder.files(), 0u);
  }
}

TEST(TemporaryPath, LeavesEverythingElseAlone) {
  const Folder folder;
  const std::string path = folder / "a";
  const std::string target = folder / "target";
  test::write_all(target, "precious");
  for (const char* const name :
       {"a", ".a.backup", ".a.fryer-", ".a.fryer-12345", ".a.fryer-1234567", "a.fryer-123456", ".ab.fryer-123456"}) {
    test::write_all(folder / name, "mine");
  }
  std::filesystem::create_symlink(target, folder / ".a.fryer-link12");
  ASSERT_EQ(::mkfifo((folder / ".a.fryer-pipe12").c_str(), 0600), 0);
  const std::size_t before = folder.files();
  for (const Kind kind : kKinds) TemporaryPath::remove_stale(path, kind);
  EXPECT_EQ(folder.files(), before);
  EXPECT_EQ(test::read_all(target), "precious");
}

// Some make the same path at once, each tidying after all others: none ever loses its own.
TEST(TemporaryPath, IsSafeFromOthersOfTheSamePath) {
  const Folder folder;
  const std::string path = folder / "a.db";
  for (const Kind kind : kKinds) {
    std::vector<pid_t> children;
    for (int i = 0; i < 4; ++i) {
      children.push_back(::fork());
      if (children.back() != 0) continue;
      for (int round = 0; round < 300; ++round) {
        TemporaryPath temporary;
        if (temporary.make(path, kind) != 0) ::_exit(1);
        if (!std::filesystem::exists(temporary.name())) ::_exit(2);
        if (kind == Kind::file && round % 10 == 0 && temporary.move_to(path) != 0) ::_exit(3);  // it syncs: slow on some disks
      }
      ::_exit(0);
    }
    for (const pid_t child : children) {
      int status = 0;
      ::waitpid(child, &status, 0);
      EXPECT_EQ(status, 0);
    }
    std::filesystem::remove(path);
    EXPECT_EQ(folder.files(), 0u);
  }
}

TEST(NewFile, TidiesAfterAKilledMaker) {
  const Folder folder;
  const std::string path = folder / "a.db";
  Maker(path, Kind::folder).kill();
  EXPECT_EQ(folder.files(), 1u);
  {
    NewFile file(path);
    EXPECT_EQ(folder.files(), 1u);
    test::write_all(file.inside(), "whole");
    file.publish();
  }
  EXPECT_EQ(folder.files(), 1u);
  EXPECT_EQ(test::read_all(path), "whole");
  // Killed when its file had its name: the path cannot be made again, and is tidied all the same.
  Maker(path, Kind::folder).kill();
  EXPECT_EQ(folder.files(), 2u);
  EXPECT_NE(test::message_of<FileError>([&] { NewFile again(path); }).find("exists"), std::string::npos);
  EXPECT_EQ(folder.files(), 1u);
}

}  // namespace
}  // namespace fryer::study
