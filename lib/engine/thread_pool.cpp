// SPDX-License-Identifier: MIT
#include "engine/thread_pool.h"

#include <chrono>
#include <system_error>

#include "base/error.h"
#include "base/float_environment.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace bitnet {
namespace {

// How long a thread looks for work before it sleeps: longer than the serial steps between two runs of a forward pass,
// short enough to cost nothing when the host program goes on to something else.
constexpr std::chrono::microseconds kSpin{50};

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Whether ready() comes true within kSpin.
template <typename Ready>
bool comes_soon(const Ready& ready) {
  constexpr int kLooks = 16;  // for each look at the clock
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < kLooks; i++) {
      if (ready()) return true;
      pause();
    }
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

struct Ticket {
  uint32_t run;
  uint32_t count;
  uint32_t next;

  static Ticket unpack(uint64_t packed) {
    return {static_cast<uint32_t>(packed >> 32), static_cast<uint32_t>(packed >> 16 & 0xffff),
            static_cast<uint32_t>(packed & 0xffff)};
  }
  uint64_t pack() const { return uint64_t{run} << 32 | uint64_t{count} << 16 | next; }
};

}  // namespace

ThreadPool::ThreadPool(uint32_t threads, bitnet_parallel_fn parallel, void* parallel_user)
    : threads_(threads), width_(threads), parallel_(parallel), parallel_user_(parallel_user) {
  if (parallel != nullptr) return;
  try {
    workers_.reserve(threads - 1);
    for (uint32_t i = 1; i < threads; i++) workers_.emplace_back([this, i] { work(i); });
  } catch (const std::system_error&) {
    const size_t started = workers_.size();
    stop();
    fail(BITNET_ERROR_MEMORY, "cannot start ", counted(threads - 1, "thread"),
         started == 0 ? "" : ", but only " + std::to_string(started),
         ": the system allows no more threads, or no more memory for their stacks (ulimit -s each); ask for fewer");
  } catch (...) {
    stop();
    throw;
  }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() {
  stopping_.store(true, std::memory_order_release);
  use(threads_);
  signal_.fetch_add(1, std::memory_order_release);
  signal_.notify_all();
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
}

void ThreadPool::use(uint32_t threads) {
  if (width_.exchange(threads, std::memory_order_acq_rel) < threads) width_.notify_all();
}

void ThreadPool::run_task(uint32_t count, Task task, void* data) {
  if (count == 0) return;
  if (count == 1) {
    const DefaultFloatEnvironment environment;
    return task(data, 0);
  }
  const std::lock_guard lock(running_);
  task_ = task;
  data_ = data;
  if (parallel_ != nullptr) {
    auto piece = [](void* self, uint32_t index) {
      const DefaultFloatEnvironment environment;
      auto* pool = static_cast<ThreadPool*>(self);
      pool->task_(pool->data_, index);
    };
    return parallel_(parallel_user_, count, piece, this);
  }
  finished_.store(0, std::memory_order_relaxed);
  const uint32_t run = signal_.load(std::memory_order_relaxed) + 1;
  ticket_.store(Ticket{run, count, 0}.pack(), std::memory_order_release);
  signal_.store(run, std::memory_order_release);
  signal_.notify_all();

  const DefaultFloatEnvironment environment;
  while (run_one()) {
  }
  const auto finished = [&] { return finished_.load(std::memory_order_acquire) == count; };
  if (comes_soon(finished)) return;
  for (uint32_t seen; (seen = finished_.load(std::memory_order_acquire)) != count;) {
    finished_.wait(seen, std::memory_order_acquire);
  }
}

// Claims one piece of the current run and runs it. Returns false if none is left.
bool ThreadPool::run_one() {
  uint64_t packed = ticket_.load(std::memory_order_acquire);
  for (;;) {
    Ticket ticket = Ticket::unpack(packed);
    if (ticket.next >= ticket.count) return false;
    const uint32_t index = ticket.next++;
    if (!ticket_.compare_exchange_weak(packed, ticket.pack(), std::memory_order_acq_rel, std::memory_order_acquire)) {
      continue;
    }
    task_(data_, index);
    if (finished_.fetch_add(1, std::memory_order_acq_rel) + 1 == ticket.count) finished_.notify_one();
    return true;
  }
}

void ThreadPool::work(uint32_t index) {
  const DefaultFloatEnvironment environment;
  uint32_t seen = 0;
  while (!stopping_.load(std::memory_order_acquire)) {
    for (uint32_t width; (width = width_.load(std::memory_order_acquire)) <= index;) {
      width_.wait(width, std::memory_order_acquire);
    }
    while (run_one()) {
    }
    const auto called = [&] { return signal_.load(std::memory_order_acquire) != seen; };
    if (!comes_soon(called)) signal_.wait(seen, std::memory_order_acquire);
    seen = signal_.load(std::memory_order_acquire);
  }
}

}  // namespace bitnet
