// SPDX-License-Identifier: MIT
#include "engine/thread_tuner.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>

namespace bitnet {
namespace {

using Milliseconds = std::function<double(uint32_t threads)>;

// Generates tokens that take so long; returns how many were computed with each number of threads.
std::map<uint32_t, int> generate(ThreadTuner& tuner, int tokens, const Milliseconds& milliseconds) {
  std::map<uint32_t, int> with;
  for (int i = 0; i < tokens; i++) {
    const uint32_t threads = tuner.threads();
    with[threads]++;
    tuner.record(std::chrono::nanoseconds(static_cast<int64_t>(1e6 * milliseconds(threads))));
  }
  return with;
}

TEST(ThreadTuner, TriesFewerThreadsForATokenNowAndThen) {
  ThreadTuner tuner(8, false);
  EXPECT_EQ(tuner.threads(), 8u);
  EXPECT_EQ(generate(tuner, 1000, [](uint32_t threads) { return 80.0 / threads; }),
            (std::map<uint32_t, int>{{8, 996}, {4, 4}}));
}

TEST(ThreadTuner, FindsTheCountThatSaturatesMemory) {
  ThreadTuner tuner(16, false);
  const auto milliseconds = [](uint32_t threads) { return threads <= 4 ? 40.0 / threads : 10 + 0.3 * threads; };
  generate(tuner, 60, milliseconds);
  EXPECT_EQ(tuner.threads(), 4u);
  EXPECT_GE(generate(tuner, 1000, milliseconds)[4], 990);
}

TEST(ThreadTuner, FollowsWhenTheOthersGetTheirCoresBack) {
  ThreadTuner tuner(2, false);
  generate(tuner, 30, [](uint32_t threads) { return threads == 1 ? 30.0 : 40.0; });
  EXPECT_EQ(tuner.threads(), 1u);
  generate(tuner, 300, [](uint32_t threads) { return threads == 1 ? 30.0 : 20.0; });
  EXPECT_EQ(tuner.threads(), 2u);
}

TEST(ThreadTuner, ReachesNumbersThatAreNoPowersOfTwo) {
  ThreadTuner tuner(6, false);
  const auto slow = [](uint32_t threads) { return 10.0 + threads; };
  generate(tuner, 60, slow);
  EXPECT_EQ(tuner.threads(), 1u);
  const auto fast = [](uint32_t threads) { return 60.0 / threads; };
  generate(tuner, 600, fast);
  EXPECT_EQ(tuner.threads(), 6u);
}

TEST(ThreadTuner, AFewFastTokensAreNoGain) {
  ThreadTuner tuner(4, false);
  int tokens = 0;
  generate(tuner, 2000, [&](uint32_t threads) { return threads == 2 ? (++tokens % 3 == 0 ? 30.0 : 10.0) : 20.0; });
  EXPECT_EQ(tuner.threads(), 4u);
}

TEST(ThreadTuner, KeepsAFixedNumber) {
  ThreadTuner fixed(4, true), one(1, false);
  const auto same = [](uint32_t) { return 1.0; };
  EXPECT_EQ(generate(fixed, 600, same), (std::map<uint32_t, int>{{4, 600}}));
  EXPECT_EQ(generate(one, 600, same), (std::map<uint32_t, int>{{1, 600}}));
}

}  // namespace
}  // namespace bitnet
