// SPDX-License-Identifier: MIT
// Memory as Linux counts it.
#include <unistd.h>

#include <fstream>
#include <vector>

#include "test_model.h"

namespace bitnet_test {
namespace {

size_t resident_bytes() {
  size_t total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

// An allocator keeps what it gave out in pieces, from the second time on; a sanitizer's keeps what was freed.
TEST(Memory, OfClosedSessionsGoesBackToTheSystemEachTime) {
#ifdef BITNET_SANITIZED
  GTEST_SKIP() << "a sanitizer keeps memory";
#endif
  const Model model = open(model_path());
  const auto open_and_close = [&] {
    std::vector<Session> sessions;
    for (int i = 0; i < 40; ++i) {
      sessions.push_back(
          make_session(model, {.size = sizeof(bitnet_session_options), .context = 1024}, {.threads = 1}));
      eval(sessions.back(), random_tokens(128), BITNET_LOGITS_ALL);
    }
    return resident_bytes();
  };
  open_and_close();
  const size_t before = resident_bytes(), open = open_and_close();
  open_and_close();
  EXPECT_GT(open, before + (16 << 20)) << "the sessions are too small to show it";
  EXPECT_LT(resident_bytes(), before + (4 << 20));
}

}  // namespace
}  // namespace bitnet_test
