// SPDX-License-Identifier: MIT
// Telling the caller how far long work has come, and letting him stop it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>

#include "base/error.h"

namespace bitnet {

// Called from the thread that asked for the work, with bytes done of bytes in all. False cancels.
using Progress = std::function<bool(uint64_t done, uint64_t total)>;

// Any thread may advance it; the callback is only called on the thread that made it.
class ProgressMeter {
 public:
  ProgressMeter(const Progress& progress, uint64_t total) : progress_(progress), total_(total) { advance(0); }

  // Throws BITNET_ERROR_CANCELLED if the caller wants no more.
  void advance(uint64_t bytes) {
    const uint64_t done = done_.fetch_add(bytes) + bytes;
    if (!progress_ || std::this_thread::get_id() != owner_) return;
    if (!progress_(done, total_)) fail(BITNET_ERROR_CANCELLED, "cancelled by the progress callback");
  }

 private:
  const Progress& progress_;
  const std::thread::id owner_ = std::this_thread::get_id();
  std::atomic<uint64_t> done_{0};
  const uint64_t total_;
};

}  // namespace bitnet
