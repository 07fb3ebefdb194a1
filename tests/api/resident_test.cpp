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

TEST(Memory, OfASessionIsTakenWhenItIsUsed) {
#ifdef BITNET_SANITIZED
  GTEST_SKIP() << "a sanitizer keeps memory";
#endif
  constexpr size_t kSessions = 64, kPage = 128 << 10;  // of the test model
  const Model model = open(model_path());
  std::vector<Session> sessions;
  const Engine engine = make_engine(model, {.threads = 1});
  const auto make = [&] { sessions.push_back(make_session(model, {.context = 8192, .engine = engine.get()})); };
  make();
  eval(sessions.back(), random_tokens(40));
  const size_t before = resident_bytes();
  while (sessions.size() < kSessions) make();
  const size_t made = resident_bytes();
  EXPECT_LT(made, before + kSessions * (64 << 10));
  for (const Session& session : sessions) eval(session, random_tokens(20));
  EXPECT_LT(resident_bytes(), made + kSessions * (kPage + (16 << 10)) + (4 << 20));
}

TEST(Memory, OfForksIsSharedAndGoesBackWhenAllHaveRewound) {
#ifdef BITNET_SANITIZED
  GTEST_SKIP() << "a sanitizer keeps memory";
#endif
  const Model model = open(model_path());
  const Session session = make_session(model, {.context = 8192}, {.threads = 1});
  eval(session, random_tokens(10), BITNET_LOGITS_NONE);
  const size_t empty = resident_bytes();
  eval(session, random_tokens(6000), BITNET_LOGITS_NONE);
  const size_t full = resident_bytes();
  ASSERT_GT(full, empty + (10 << 20));
  std::vector<Session> forks;
  for (int i = 0; i < 32; ++i) {
    bitnet_session* fork = nullptr;
    ASSERT_OK(bitnet_session_fork(session.get(), &fork));
    forks.emplace_back(fork);
    eval(forks.back(), random_tokens(1));
  }
  EXPECT_LT(resident_bytes(), full + 32 * (256 << 10) + (1 << 20));
  ASSERT_OK(bitnet_session_rewind(session.get(), 0));
  EXPECT_GT(resident_bytes(), full - (1 << 20)) << "the forks have these pages";
  for (const Session& fork : forks) ASSERT_OK(bitnet_session_rewind(fork.get(), 64));
  EXPECT_LT(resident_bytes(), empty + (6 << 20));
  eval(forks[7], random_tokens(100));
}

}  // namespace
}  // namespace bitnet_test
