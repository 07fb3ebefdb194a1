// SPDX-License-Identifier: MIT
#include "base/cores.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "fake_root.h"

namespace bitnet {
namespace {

class Cores : public bitnet_test::FakeRoot {
 protected:
  void siblings(int cpu, const std::string& list) {
    write("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list", list);
  }
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

// Version 1, where each controller has a hierarchy of its own.
TEST_F(Cores, TheTightestQuotaOfVersion1Holds) {
  write("/proc/self/cgroup", "9:name=systemd:/user/program\n2:cpuset:/other\n1:cpu:/user/program\n0::/");
  write("/sys/fs/cgroup/cpu/user/program/cpu.cfs_period_us", "100000");
  write("/sys/fs/cgroup/cpu/user/program/cpu.cfs_quota_us", "-1");
  EXPECT_EQ(cpu_quota(root_), 0u);
  write("/sys/fs/cgroup/cpu/user/program/cpu.cfs_quota_us", "350000");
  EXPECT_EQ(cpu_quota(root_), 4u) << "3.5 CPUs";
  write("/sys/fs/cgroup/cpu/user/cpu.cfs_period_us", "20000");
  write("/sys/fs/cgroup/cpu/user/cpu.cfs_quota_us", "10000");
  EXPECT_EQ(cpu_quota(root_), 1u) << "half a CPU";
}

// As systemd mounts them beside one another: the controllers where version 1 is, without any in version 2.
TEST_F(Cores, QuotasOfVersion1AreFoundWhereTheyAreMounted) {
  write("/proc/self/cgroup", "4:cpu,cpuacct:/user.slice/program\n0::/user.slice/program");
  write("/proc/self/mountinfo",
        "24 23 0:21 / /proc rw,relatime shared:5 - proc proc rw\n"
        "25 31 0:22 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
        "26 31 0:23 / /sys/fs/cgroup/cpuset rw shared:10 - cgroup cgroup rw,cpuset\n"
        "27 31 0:24 / /mnt/c\\040p\\134u rw shared:11 - cgroup cgroup rw,cpu,cpuacct");
  write("/mnt/c p\\u/user.slice/program/cpu.cfs_quota_us", "150000");
  write("/mnt/c p\\u/user.slice/program/cpu.cfs_period_us", "100000");
  EXPECT_EQ(cpu_quota(root_), 2u);
}

// A container sees its own group as the mount's top, and its path with or without what is above that.
TEST_F(Cores, AContainersGroupOfVersion1IsTheMountsTop) {
  const std::string folder = "/sys/fs/cgroup/cpu,cpuacct";
  write("/proc/self/mountinfo", "27 31 0:24 /docker/1f " + folder + " ro shared:11 - cgroup cgroup rw,cpu,cpuacct");
  write(folder + "/cpu.cfs_quota_us", "50000");
  write(folder + "/cpu.cfs_period_us", "100000");
  for (const char* path : {"/docker/1f", "/docker/1f/init", "/", "/elsewhere/1f", "/docker/1f2"}) {
    write("/proc/self/cgroup", std::string("4:cpu,cpuacct:") + path);
    EXPECT_EQ(cpu_quota(root_), 1u) << path;
  }
  write(folder + "/init/cpu.cfs_quota_us", "10000");
  write(folder + "/init/cpu.cfs_period_us", "100000");
  write("/proc/self/cgroup", "4:cpu,cpuacct:/docker/1f/init");
  EXPECT_EQ(cpu_quota(root_), 1u);
}

TEST_F(Cores, TheTighterQuotaOfBothVersionsHolds) {
  write("/proc/self/cgroup", "1:cpu:/a\n0::/a");
  write("/sys/fs/cgroup/a/cpu.max", "200000 100000");
  write("/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000");
  write("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "300000");
  EXPECT_EQ(cpu_quota(root_), 2u);
  write("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "100000");
  EXPECT_EQ(cpu_quota(root_), 1u);
}

TEST_F(Cores, NonsenseOfVersion1IsNoQuota) {
  write("/proc/self/cgroup", "1:cpu:/a");
  const std::string group = "/sys/fs/cgroup/cpu/a";
  const std::pair<const char*, const char*> pairs[] = {{"", ""}, {"-1", "100000"}, {"100000", "0"}, {"x", "y"}};
  for (const auto& [quota, period] : pairs) {
    write(group + "/cpu.cfs_quota_us", quota);
    write(group + "/cpu.cfs_period_us", period);
    EXPECT_EQ(cpu_quota(root_), 0u) << quota << " of " << period;
  }
  for (const char* text : {"", ":", "1", "1:cpu", "1:cpu:", "::", ":::", "0::", "\n\n"}) {
    write("/proc/self/cgroup", text);
    write("/proc/self/mountinfo", text);
    EXPECT_EQ(cpu_quota(root_), 0u) << text;
  }
}

TEST(UsableCores, AreSomeAndNoMoreThanCpus) {
  EXPECT_GE(usable_cores(), 1u);
  EXPECT_LE(usable_cores(), std::max(1u, std::thread::hardware_concurrency()));
}

}  // namespace
}  // namespace bitnet
