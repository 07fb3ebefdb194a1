// SPDX-License-Identifier: MIT
// Threads of a measurement, which begin at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "base/waiting.h"

namespace bitnet::program {

// Runs each of the functions on a thread. The first exception is thrown again here.
class Threads {
 public:
  template <typename Function>
  void start(const Function& function) {
    threads_.emplace_back([this, function] {
      try {
        function();
      } catch (...) {
        const std::lock_guard lock(mutex_);
        if (error_ == nullptr) error_ = std::current_exception();
      }
    });
  }
  void join() {
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    if (error_ != nullptr) std::rethrow_exception(error_);
  }
  ~Threads() {
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::exception_ptr error_;
};

// Lets threads go when all of them have come.
class StartingLine {
 public:
  explicit StartingLine(uint32_t threads) : missing_(threads) {}
  void wait() {
    const uint32_t missing = missing_.fetch_sub(1, std::memory_order_acq_rel) - 1;
    if (missing == 0) return wake_all(missing_);
    for (uint32_t seen = missing; seen != 0; seen = missing_.load(std::memory_order_acquire))
      wait_while(missing_, seen);
  }

 private:
  std::atomic<uint32_t> missing_;
};

}  // namespace bitnet::program
