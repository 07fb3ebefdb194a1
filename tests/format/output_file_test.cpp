// SPDX-License-Identifier: MIT
// Where files are written: names as long as they can be, links, permissions, and places where no file can be.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <span>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "files.h"

namespace {

bool refuse_owners = false;
mode_t mode_before_owner = 0;  // of the file whose owner is about to be set

}  // namespace

// NOLINTBEGIN(bugprone-reserved-identifier): the names that the linker's --wrap gives
extern "C" int __real_fchown(int fd, uid_t owner, gid_t group);
extern "C" int __wrap_fchown(int fd, uid_t owner, gid_t group) {
  struct stat info;
  if (fstat(fd, &info) == 0) mode_before_owner = info.st_mode & 07777;
  if (!refuse_owners) return __real_fchown(fd, owner, group);
  errno = EPERM;
  return -1;
}
// NOLINTEND(bugprone-reserved-identifier)

namespace bitnet {
namespace {

using bitnet_test::read_file;
using bitnet_test::TemporaryFolder;
using bitnet_test::write_file;
namespace fs = std::filesystem;

void write(const std::string& path, const std::string& text) {
  OutputFile file(path);
  file.write_at(0, std::as_bytes(std::span(text)));
  file.commit();
}

// The message with which opening a file for writing is refused.
std::string refusal(const std::string& path) {
  try {
    const OutputFile file(path);
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), BITNET_ERROR_IO) << error.what();
    return error.what();
  }
}

TEST(OutputFile, MayHaveTheLongestName) {
  const TemporaryFolder folder;
  const std::string path = folder / std::string(255, 'n');
  write(path, "text");
  EXPECT_EQ(read_file(path), "text");
  EXPECT_EQ(folder.files(), 1u);
}

TEST(OutputFile, OfATooLongNameIsRefusedBeforeTheWork) {
  const TemporaryFolder folder;
  const std::string path = folder / std::string(256, 'n');
  EXPECT_NE(refusal(path).find(path), std::string::npos);
  EXPECT_EQ(folder.files(), 0u);
}

TEST(OutputFile, ReplacesWhatALinkPointsTo) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "elsewhere");
  write_file(folder / "elsewhere/target", "old");
  fs::create_symlink("elsewhere/target", folder / "second");
  fs::create_symlink(folder / "second", folder / "first");
  write(folder / "first", "new");
  EXPECT_EQ(read_file(folder / "elsewhere/target"), "new");
  EXPECT_EQ(fs::read_symlink(folder / "first"), folder / "second");
  EXPECT_EQ(fs::read_symlink(folder / "second"), "elsewhere/target");
  EXPECT_EQ(folder.files(), 3u);
}

TEST(OutputFile, CreatesWhatALinkPointsTo) {
  const TemporaryFolder folder;
  fs::create_symlink("target", folder / "link");
  write(folder / "link", "new");
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(read_file(folder / "target"), "new");
}

TEST(OutputFile, RefusesLinksThatLeadNowhere) {
  const TemporaryFolder folder;
  fs::create_symlink("b", folder / "a");
  fs::create_symlink("a", folder / "b");
  fs::create_symlink("missing/target", folder / "dangling");
  EXPECT_NE(refusal(folder / "a").find("symbolic links"), std::string::npos);
  EXPECT_NE(refusal(folder / "dangling").find("missing"), std::string::npos);
  EXPECT_EQ(folder.files(), 3u);
}

TEST(OutputFile, LeavesTheOtherNamesOfAFileAsTheyWere) {
  const TemporaryFolder folder;
  write_file(folder / "a", "old");
  fs::create_hard_link(folder / "a", folder / "b");
  write(folder / "a", "new");
  EXPECT_EQ(read_file(folder / "a"), "new");
  EXPECT_EQ(read_file(folder / "b"), "old");
}

TEST(OutputFile, KeepsThePermissionsOfTheFileThatItReplaces) {
  const TemporaryFolder folder;
  for (const mode_t mode : {mode_t{0600}, mode_t{0640}, mode_t{0755}}) {
    write_file(folder / "file", "old");
    ASSERT_EQ(chmod((folder / "file").c_str(), mode), 0);
    write(folder / "file", "new");
    struct stat info;
    ASSERT_EQ(stat((folder / "file").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, mode);
  }
}

mode_t mode_of(const std::string& path) {
  struct stat info;
  EXPECT_EQ(stat(path.c_str(), &info), 0);
  return info.st_mode & 07777;
}

TEST(OutputFile, IsItsOwnersAloneUntilItHasThePermissions) {
  const TemporaryFolder folder;
  write_file(folder / "file", "old");
  ASSERT_EQ(chmod((folder / "file").c_str(), 0644), 0);
  mode_before_owner = 0;
  write(folder / "file", "new");
  EXPECT_EQ(mode_before_owner, mode_t{0600});
  EXPECT_EQ(mode_of(folder / "file"), mode_t{0644});
}

TEST(OutputFile, GivesNothingToAnotherGroupThanTheOldFiles) {
  const TemporaryFolder folder;
  write_file(folder / "file", "old");
  ASSERT_EQ(chmod((folder / "file").c_str(), 0664), 0);
  refuse_owners = true;
  write(folder / "file", "new");
  EXPECT_EQ(mode_of(folder / "file"), mode_t{0664}) << "the group is the same without being set";

  // Another group than that of new files: one of the process's, or any if it may choose.
  gid_t groups[64];
  const int count = getgroups(64, groups);
  gid_t other = geteuid() == 0 ? getegid() + 1 : getegid();
  for (int i = 0; i < count; ++i) {
    if (groups[i] != getegid()) other = groups[i];
  }
  refuse_owners = false;
  if (other == getegid()) GTEST_SKIP() << "this process may give files to no other group";
  if (chown((folder / "file").c_str(), static_cast<uid_t>(-1), other) != 0) GTEST_SKIP() << "nor to this one";
  refuse_owners = true;
  write(folder / "file", "new");
  refuse_owners = false;
  EXPECT_EQ(mode_of(folder / "file"), mode_t{0604});
}

TEST(OutputFile, IsRefusedWhereNoneCanBe) {
  const TemporaryFolder folder;
  write_file(folder / "file", "old");
  for (const std::string& path : {folder / "", folder / "file/", folder / "file/below", folder / "missing/file",
                                  folder / "new/", std::string("/dev/null"), std::string()}) {
    EXPECT_NE(refusal(path), "") << path;
  }
  EXPECT_NE(refusal(folder / "").find("directory"), std::string::npos);
  EXPECT_EQ(read_file(folder / "file"), "old");
  EXPECT_EQ(folder.files(), 1u);
}

}  // namespace
}  // namespace bitnet
