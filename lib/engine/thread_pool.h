// SPDX-License-Identifier: MIT
// Cuts work into pieces and runs them on threads of its own, or on the caller's pool. The engines of several models may
// share one: they take turns, in the order in which they ask.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "bitnet.h"

namespace bitnet {

struct PoolOptions {
  uint32_t threads = 0;
  bitnet_parallel_fn parallel = nullptr;
  void* parallel_user = nullptr;
  bitnet_thread_start_fn on_thread_start = nullptr;
  void* on_thread_start_user = nullptr;
};

class ThreadPool {
 public:
  static constexpr uint32_t kMostThreads = 512;

  // `threads`, at most kMostThreads, counts the calling one: threads - 1 are started. With `parallel`, none are, and it
  // runs the pieces. What it leaves out the caller of run() makes up for, and waits for what it leaves running.
  explicit ThreadPool(const PoolOptions& options);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // How many threads a pool has for which so many are asked; 0: one per physical core. Throws Error for too many.
  static uint32_t usable(uint32_t threads);
  static std::shared_ptr<ThreadPool> create(PoolOptions options);
  // Of all who ask for none: as long as one of them has it.
  static std::shared_ptr<ThreadPool> shared_default();

  uint32_t threads() const { return options_.threads; }
  bool is_callers() const { return options_.parallel != nullptr; }

  // A place in the line of those who want to call use(), run() and each() undisturbed, from construction on. It is
  // their turn once come() has returned true, until destruction.
  class Turn {
   public:
    explicit Turn(ThreadPool& pool);
    ~Turn();
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    // Waits no longer than that.
    bool come(std::chrono::nanoseconds patience);

   private:
    ThreadPool& pool_;
    Turn* next_ = nullptr;
  };

  // The number of pieces that run() is best called with: all threads, or as many as use() says.
  uint32_t width() const { return width_.load(std::memory_order_relaxed); }

  // From the next run on, at most this many threads take part; the others sleep. Not during a run, nor beyond a turn.
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

  const PoolOptions options_;
  std::atomic<uint32_t> width_;  // workers from here on sleep on it

  std::mutex line_mutex_;  // guards the line of turns, whose first it is
  std::condition_variable line_moved_;
  Turn* first_ = nullptr;

  std::mutex running_;  // one run at a time

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
