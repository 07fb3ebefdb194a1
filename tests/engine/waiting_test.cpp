// SPDX-License-Identifier: MIT
#include "base/waiting.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <thread>

namespace bitnet {
namespace {

// Two threads that take turns: one wake that is missed, and both sleep for good.
TEST(Waiting, NoChangeIsMissed) {
  constexpr uint32_t kTurns = 20000;
  std::atomic<uint32_t> turn{0};
  std::thread other([&] {
    for (uint32_t i = 0; i < kTurns; i += 2) {
      wait_while(turn, i);
      turn.store(i + 2, std::memory_order_release);
      wake_one(turn);
    }
  });
  for (uint32_t i = 0; i < kTurns; i += 2) {
    turn.store(i + 1, std::memory_order_release);
    wake_all(turn);
    wait_while(turn, i + 1);
  }
  other.join();
  EXPECT_EQ(turn.load(), kTurns);
}

TEST(Waiting, WhatHasChangedAlreadyIsNotWaitedFor) {
  const std::atomic<bool> over{true};
  wait_while(over, false);
}

}  // namespace
}  // namespace bitnet
