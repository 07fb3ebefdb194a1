// SPDX-License-Identifier: MIT
// Names of files, and what they name: the same on every system.
#include "base/path.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "format/files.h"

namespace bitnet {
namespace {

using bitnet_test::TemporaryFolder;
using bitnet_test::write_file;

TEST(Path, HasAFolderAndALastPart) {
  EXPECT_EQ(folder_of("models/a.bitnet"), "models");
  EXPECT_EQ(folder_of("models//a.bitnet"), "models");
  EXPECT_EQ(folder_of("/a.bitnet"), "/");
  EXPECT_EQ(folder_of("a.bitnet"), ".");
  EXPECT_EQ(folder_of(""), ".");
  EXPECT_EQ(folder_of("models/"), "models");
  EXPECT_EQ(last_part("models/a.bitnet"), "a.bitnet");
  EXPECT_EQ(last_part("models/"), "");
  EXPECT_EQ(joined("models", "a"), "models/a");
  EXPECT_EQ(joined("models/", "a"), "models/a");
}

TEST(Path, NamesAFileAFolderOrNothing) {
  const TemporaryFolder folder;
  write_file(folder / "a", "12345");
  EXPECT_EQ(path_kind(folder / "a"), PathKind::file);
  EXPECT_EQ(path_kind(folder / "."), PathKind::folder);
  EXPECT_EQ(path_kind(folder / "b"), PathKind::missing);
  EXPECT_EQ(file_size(folder / "a"), 5u);
  EXPECT_EQ(file_size(folder / "b"), std::nullopt);
  EXPECT_EQ(file_size(folder / "."), std::nullopt);
  EXPECT_EQ(last_part(full_path(folder / "./a")), "a");
}

TEST(Path, OfAFolderListsItsNames) {
  const TemporaryFolder folder;
  for (const char* name : {"a", "b", "c"}) write_file(folder / name, "");
  std::vector<std::string> names = names_in(folder / ".", 10);
  std::ranges::sort(names);
  EXPECT_EQ(names, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(names_in(folder / ".", 2).size(), 2u);
  EXPECT_THROW(names_in(folder / "d", 10), Error);
}

}  // namespace
}  // namespace bitnet
