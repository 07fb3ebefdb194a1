// SPDX-License-Identifier: MIT
// A folder that stands for the root of a machine's file system.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace bitnet_test {

class FakeRoot : public testing::Test {
 protected:
  FakeRoot() {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    root_ = testing::TempDir() + "root_" + test->test_suite_name() + "_" + test->name();
    std::filesystem::remove_all(root_);
  }
  ~FakeRoot() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_ + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text << "\n";
  }

  std::string root_;
};

}  // namespace bitnet_test
