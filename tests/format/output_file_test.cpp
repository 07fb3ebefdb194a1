// SPDX-License-Identifier: MIT
// Where files are written: names as long as they can be, links, permissions, and places where no file can be.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <span>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "files.h"

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
