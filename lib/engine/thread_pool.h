// SPDX-License-Identifier: MIT
// Cuts work into pieces and runs them on the session's own threads, or on the caller's pool.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "bitnet.h"

namespace bitnet {

class ThreadPool {
 public:
  static constexpr uint32_t kMostThreads = 512;

  // `threads`, at most kMostThreads, counts the calling one: threads - 1 are started. With `parallel`, none are, and it
  // runs the pieces.
  explicit ThreadPool(uint32_t threads, bitnet_parallel_fn parallel = nullptr, void* parallel_user = nullptr);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // The number of pieces that run() is best called with: all threads, or as many as use() says.
  uint32_t width() const { return width_.load(std::memory_order_relaxed); }

  // From the next run on, at most this many threads take part; the others sleep. Not during a run.
  void use(uint32_t threads);

  // Calls function(i) for i < count, in any order, and returns when all have returned. function must not throw, nor
  // call run. Pieces find the default floating-point environment, whatever the host program has set.
  template <typename Function>
  void run(uint32_t count, const Function& function) {
    run_task(
        count, [](void* data, uint32_t index) { (*static_cast<const Function*>(data))(index); },
        const_cast<Function*>(&function));
  }

  // Calls function(i, worker) for i < count; free threads take the next i. No two calls at a time have the same worker,
  // which is below width().
  template <typename Function>
  void each(uint32_t count, const Function& function) {
    std::atomic<uint32_t> next{0};
    run(std::min(count, width()), [&](uint32_t worker) {
      for (uint32_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) function(i, worker);
    });
  }

  // The same, but each thread goes through a run of neighbours, and then through what is left of the others' runs. For
  // pieces of memory that are read once: they come sooner straight on, and what is fetched beyond the end of one piece
  // is what the same thread wants next.
  template <typename Function>
  void each_in_runs(uint32_t count, const Function& function) {
    const uint32_t runs = std::min(count, width());
    const auto begin = [&](uint32_t i) { return static_cast<uint32_t>(uint64_t{count} * i / runs); };
    std::array<std::atomic<uint32_t>, kMostThreads> next;
    for (uint32_t i = 0; i < runs; i++) next[i].store(begin(i), std::memory_order_relaxed);
    run(runs, [&](uint32_t worker) {
      for (uint32_t k = 0; k < runs; k++) {
        const uint32_t taken = (worker + k) % runs, end = begin(taken + 1);
        for (uint32_t i; (i = next[taken].fetch_add(1, std::memory_order_relaxed)) < end;) function(i, worker);
      }
    });
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
