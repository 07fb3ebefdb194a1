// SPDX-License-Identifier: MIT
// Cuts work into pieces and runs them on the session's own threads, or on the caller's pool.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "bitnet.h"

namespace bitnet {

class ThreadPool {
 public:
  // `threads` counts the calling one: threads - 1 are started. With `parallel`, none are, and it runs the pieces.
  explicit ThreadPool(uint32_t threads, bitnet_parallel_fn parallel = nullptr, void* parallel_user = nullptr);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // The number of pieces that run() is best called with: all threads, or as many as use() says.
  uint32_t width() const { return width_.load(std::memory_order_relaxed); }

  // From the next run on, so many threads at the most take part; the others sleep. Not during a run.
  void use(uint32_t threads);

  // Calls function(i) for i < count, in any order, and returns when all have returned. function must not throw, nor
  // call run. Pieces find the default floating-point environment, whatever the host program has set.
  template <typename Function>
  void run(uint32_t count, const Function& function) {
    run_task(
        count, [](void* data, uint32_t index) { (*static_cast<const Function*>(data))(index); },
        const_cast<Function*>(&function));
  }

 private:
  using Task = void (*)(void* data, uint32_t index);

  void run_task(uint32_t count, Task task, void* data);
  bool run_one();
  void work(uint32_t index);
  void stop();

  const uint32_t threads_;
  std::atomic<uint32_t> width_;  // workers from here on sleep on it
  const bitnet_parallel_fn parallel_;
  void* const parallel_user_;

  std::mutex running_;  // forked sessions share a pool: one run at a time

  // The current run. ticket_ packs its number, count of pieces and next piece (32, 16, 16 bits), so that a piece is
  // claimed by one compare-and-swap, and a worker that wakes late can never claim a piece of a run that is over.
  Task task_ = nullptr;
  void* data_ = nullptr;
  alignas(64) std::atomic<uint64_t> ticket_{0};
  alignas(64) std::atomic<uint32_t> finished_{0};
  alignas(64) std::atomic<uint32_t> signal_{0};  // counts runs; workers sleep on it
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> workers_;
};

}  // namespace bitnet
