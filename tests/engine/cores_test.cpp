// SPDX-License-Identifier: MIT
#include "engine/cores.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

namespace bitnet {
namespace {

// A folder that stands for the root of a machine's file system.
class Cores : public testing::Test {
 protected:
  Cores() : root_(testing::TempDir() + "cores_" + testing::UnitTest::GetInstance()->current_test_info()->name()) {
    std::filesystem::remove_all(root_);
  }
  ~Cores() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_ + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text << "\n";
  }
  void siblings(int cpu, const std::string& list) {
    write("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list", list);
  }

  const std::string root_;
};

TEST_F(Cores, HyperthreadsOfACoreCountOnce) {
  for (const int cpu : {0, 2}) siblings(cpu, "0,2");
  for (const int cpu : {1, 3}) siblings(cpu, "1,3");
  siblings(4, "4-5");
  siblings(5, "4-5");
  EXPECT_EQ(count_cores(std::vector<uint32_t>{0, 1, 2, 3, 4, 5}, root_), 3u);
  EXPECT_EQ(count_cores(std::vector<uint32_t>{2, 3}, root_), 2u);
  EXPECT_EQ(count_cores(std::vector<uint32_t>{0, 2}, root_), 1u);
}

TEST_F(Cores, CpusOfAnUnknownTopologyAreCores) { EXPECT_EQ(count_cores(std::vector<uint32_t>{0, 1, 7}, root_), 3u); }

TEST_F(Cores, TheTightestQuotaOfAllGroupsHolds) {
  write("/proc/self/cgroup", "0::/user/program");
  write("/sys/fs/cgroup/user/program/cpu.max", "max 100000");
  EXPECT_EQ(cpu_quota(root_), 0u);
  write("/sys/fs/cgroup/user/cpu.max", "350000 100000");
  EXPECT_EQ(cpu_quota(root_), 4u) << "3.5 CPUs";
  write("/sys/fs/cgroup/user/program/cpu.max", "200000 100000");
  EXPECT_EQ(cpu_quota(root_), 2u);
}

TEST_F(Cores, AContainersOwnGroupIsTheTopmost) {
  write("/proc/self/cgroup", "0::/");
  write("/sys/fs/cgroup/cpu.max", "50000 100000");
  EXPECT_EQ(cpu_quota(root_), 1u);
}

TEST_F(Cores, NonsenseIsNoQuota) {
  EXPECT_EQ(cpu_quota(root_), 0u);
  write("/proc/self/cgroup", "0::/a");
  for (const char* text : {"", "max", "-1 100000", "100000 0", "100000", "words here"}) {
    write("/sys/fs/cgroup/a/cpu.max", text);
    EXPECT_EQ(cpu_quota(root_), 0u) << text;
  }
}

TEST(UsableCores, AreSomeAndNoMoreThanCpus) {
  EXPECT_GE(usable_cores(), 1u);
  EXPECT_LE(usable_cores(), std::max(1u, std::thread::hardware_concurrency()));
}

}  // namespace
}  // namespace bitnet
