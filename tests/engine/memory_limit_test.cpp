// SPDX-License-Identifier: MIT
#include <string>

#include "base/error.h"
#include "base/memory.h"
#include "fake_root.h"

namespace bitnet {
namespace {

class MemoryLimit : public bitnet_test::FakeRoot {};

constexpr uint64_t kMiB = 1 << 20;

TEST_F(MemoryLimit, IsNotKnownWithoutControlGroups) { EXPECT_EQ(memory_limit(root_), UINT64_MAX); }

TEST_F(MemoryLimit, IsTheTightestOfVersion2) {
  write("/proc/self/cgroup", "0::/user/program");
  write("/sys/fs/cgroup/user/program/memory.max", "max");
  EXPECT_EQ(memory_limit(root_), UINT64_MAX);
  write("/sys/fs/cgroup/user/memory.max", "104857600");
  EXPECT_EQ(memory_limit(root_), 100 * kMiB);
  write("/sys/fs/cgroup/user/program/memory.max", "209715200");
  EXPECT_EQ(memory_limit(root_), 100 * kMiB);
}

TEST_F(MemoryLimit, IsTheTightestOfVersion1) {
  write("/proc/self/cgroup", "4:memory:/user");
  write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712");
  EXPECT_GT(memory_limit(root_), uint64_t{1} << 60);
  write("/sys/fs/cgroup/memory/user/memory.limit_in_bytes", "104857600");
  EXPECT_EQ(memory_limit(root_), 100 * kMiB);
}

TEST_F(MemoryLimit, CountsSwapThatTheGroupMayUse) {
  write("/proc/meminfo", "MemTotal:       8000000 kB\nSwapTotal:       204800 kB");
  write("/proc/self/cgroup", "0::/a\n4:memory:/b");
  write("/sys/fs/cgroup/a/memory.max", "104857600");
  EXPECT_EQ(memory_limit(root_), 300 * kMiB);
  write("/sys/fs/cgroup/a/memory.swap.max", "52428800");
  EXPECT_EQ(memory_limit(root_), 150 * kMiB);
  write("/sys/fs/cgroup/a/memory.swap.max", "0");
  EXPECT_EQ(memory_limit(root_), 100 * kMiB);
  write("/sys/fs/cgroup/memory/b/memory.limit_in_bytes", "20971520");
  write("/sys/fs/cgroup/memory/b/memory.memsw.limit_in_bytes", "31457280");
  EXPECT_EQ(memory_limit(root_), 30 * kMiB);
}

TEST(MemoryNeeds, BeyondTheLimitAreRefusedWithTheFigures) {
  const MemoryNeed need = {300 * kMiB, "a session of 8192 tokens", "a smaller context takes less"};
  require_memory(need, 0, UINT64_MAX);
  require_memory(need, 100 * kMiB, 400 * kMiB);
  try {
    require_memory(need, 100 * kMiB, 400 * kMiB - 1);
    FAIL() << "not refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), BITNET_ERROR_MEMORY);
    EXPECT_STREQ(error.what(),
                 "cannot allocate 300.0 MiB for a session of 8192 tokens: the control group of this process allows it "
                 "400.0 MiB, of which 100.0 MiB are taken; a smaller context takes less");
  }
  EXPECT_THROW(require_memory({UINT64_MAX, "", ""}, 2, 1), Error) << "the sum does not fit";
}

TEST(MemoryNeeds, SizesReadWell) {
  EXPECT_EQ(size_text(0), "0 bytes");
  EXPECT_EQ(size_text(1023), "1023 bytes");
  EXPECT_EQ(size_text(1536), "1.5 KiB");
  EXPECT_EQ(size_text(100 * kMiB), "100.0 MiB");
  EXPECT_EQ(size_text(5583457485), "5.2 GiB");
  EXPECT_EQ(size_text(UINT64_MAX), "16.0 EiB");
}

}  // namespace
}  // namespace bitnet
