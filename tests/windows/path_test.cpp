// SPDX-License-Identifier: MIT
// Names of files as Windows has them.
#include "base/path.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "base/windows/system.h"

namespace bitnet {
namespace {

TEST(Path, PartsEndAtEitherSlashAndAtTheDrive) {
  EXPECT_EQ(folder_of("C:\\models\\a.bitnet"), "C:\\models");
  EXPECT_EQ(folder_of("C:/models/a.bitnet"), "C:/models");
  EXPECT_EQ(folder_of("C:\\a.bitnet"), "C:\\");
  EXPECT_EQ(folder_of("C:a.bitnet"), "C:");
  EXPECT_EQ(folder_of("a.bitnet"), ".");
  EXPECT_EQ(last_part("C:\\models/a.bitnet"), "a.bitnet");
  EXPECT_EQ(joined("C:\\", "a"), "C:\\a");
}

TEST(Path, NamesAreUtf8) {
  EXPECT_EQ(to_utf16("\xc3\xa4"), L"\u00e4");
  EXPECT_EQ(to_utf8(L"\U0001f600"), "\xf0\x9f\x98\x80");
  EXPECT_EQ(to_utf8(std::wstring(1, static_cast<wchar_t>(0xd800))), "\xef\xbf\xbd") << "half a pair";
  EXPECT_THROW(to_utf16("\xff"), Error);
  EXPECT_THROW(path_kind("a\xff"), Error);
  EXPECT_THROW(system_path(std::string("a\0b", 3)), Error);
}

TEST(Path, OnlyLongOnesAreMarkedAsSuch) {
  const std::string name(200, 'x');
  EXPECT_EQ(system_path("C:\\a"), L"C:\\a");
  const std::wstring local = system_path("C:/" + name + "/../" + name + "/" + name);
  EXPECT_TRUE(local.starts_with(L"\\\\?\\C:\\x"));
  EXPECT_EQ(local.find(L'/'), local.npos);
  EXPECT_EQ(local.find(L".."), local.npos);
  EXPECT_TRUE(system_path("\\\\server\\share\\" + name + "\\" + name).starts_with(L"\\\\?\\UNC\\server\\share\\x"));
  EXPECT_EQ(system_path("\\\\?\\C:\\a/b"), L"\\\\?\\C:\\a\\b") << "as it is, but for what cannot be part of a name";
}

TEST(Path, DevicesAndPipesAreNoFiles) {
  EXPECT_NE(path_kind("NUL"), PathKind::file);
  try {
    const MappedFile file("NUL");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), BITNET_ERROR_IO);
    EXPECT_NE(std::string(error.what()).find("not a regular file"), std::string::npos) << error.what();
  }
  EXPECT_THROW(OutputFile("NUL"), Error);
}

}  // namespace
}  // namespace bitnet
