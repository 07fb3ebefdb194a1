// SPDX-License-Identifier: MIT
#include "engine/thread_pool.h"

#include <algorithm>
#include <chrono>
#include <system_error>

#include "base/cores.h"
#include "base/error.h"
#include "base/float_environment.h"
#include "base/waiting.h"

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

ThreadPool::ThreadPool(const PoolOptions& options) : options_(options), width_(options.threads) {
  if (options.parallel != nullptr) return;
  const uint32_t threads = options.threads;
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

// Threads beyond the CPUs would wait for one another, and the work would be cut finer for nothing.
uint32_t ThreadPool::usable(uint32_t threads) {
  if (threads == 0) threads = std::min(usable_cores(), kMostThreads);
  require(threads <= kMostThreads, BITNET_ERROR_ARGUMENT, threads, " threads asked for; the most is ", kMostThreads);
  return std::min(threads, usable_cpus());
}

std::shared_ptr<ThreadPool> ThreadPool::create(PoolOptions options) {
  // How many CPUs there are to a caller's own pool, the caller knows.
  const uint32_t usable_threads = usable(options.threads);
  if (options.parallel == nullptr || options.threads == 0) options.threads = usable_threads;
  return std::make_shared<ThreadPool>(options);
}

std::shared_ptr<ThreadPool> ThreadPool::shared_default() {
  static std::mutex mutex;
  static std::weak_ptr<ThreadPool> latest;
  static uint64_t process;  // whose that is: a child of fork() has none of its threads
  const std::lock_guard lock(mutex);
  auto pool = process == process_id() ? latest.lock() : nullptr;
  if (pool == nullptr) latest = pool = create({});
  process = process_id();
  return pool;
}

ThreadPool::Turn::Turn(ThreadPool& pool) : pool_(pool) {
  const std::lock_guard lock(pool.line_mutex_);
  Turn** end = &pool.first_;
  while (*end != nullptr) end = &(*end)->next_;
  *end = this;
}

ThreadPool::Turn::~Turn() {
  const std::lock_guard lock(pool_.line_mutex_);
  Turn** place = &pool_.first_;
  while (*place != this) place = &(*place)->next_;
  *place = next_;
  pool_.line_moved_.notify_all();
}

bool ThreadPool::Turn::come(std::chrono::nanoseconds patience) {
  std::unique_lock lock(pool_.line_mutex_);
  return pool_.line_moved_.wait_for(lock, patience, [&] { return pool_.first_ == this; });
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() {
  stopping_.store(true, std::memory_order_release);
  use(options_.threads);
  signal_.fetch_add(1, std::memory_order_release);
  wake_all(signal_);
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
}

void ThreadPool::use(uint32_t threads) {
  if (width_.exchange(threads, std::memory_order_acq_rel) < threads) wake_all(width_);
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
  finished_.store(0, std::memory_order_relaxed);
  const uint32_t run = signal_.load(std::memory_order_relaxed) + 1;
  ticket_.store(Ticket{run, count, 0}.pack(), std::memory_order_release);
  signal_.store(run, std::memory_order_release);
  if (options_.parallel != nullptr) {
    // Each call claims a piece, whatever its index. So each is run once, however often the caller's pool calls.
    const auto piece = [](void* self, uint32_t) {
      const DefaultFloatEnvironment environment;
      static_cast<ThreadPool*>(self)->run_one();
    };
    options_.parallel(options_.parallel_user, count, piece, this);
  } else {
    wake_all(signal_);
  }

  const DefaultFloatEnvironment environment;
  while (run_one()) {
  }
  const auto finished = [&] { return finished_.load(std::memory_order_acquire) == count; };
  if (comes_soon(finished)) return;
  for (uint32_t seen; (seen = finished_.load(std::memory_order_acquire)) != count;) {
    wait_while(finished_, seen);
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
    if (finished_.fetch_add(1, std::memory_order_acq_rel) + 1 == ticket.count) wake_one(finished_);
    return true;
  }
}

void ThreadPool::work(uint32_t index) {
  if (options_.on_thread_start != nullptr) options_.on_thread_start(options_.on_thread_start_user, index);
  const DefaultFloatEnvironment environment;
  uint32_t seen = 0;
  while (!stopping_.load(std::memory_order_acquire)) {
    for (uint32_t width; (width = width_.load(std::memory_order_acquire)) <= index;) {
      wait_while(width_, width);
    }
    while (run_one()) {
    }
    const auto called = [&] { return signal_.load(std::memory_order_acquire) != seen; };
    if (!comes_soon(called)) wait_while(signal_, seen);
    seen = signal_.load(std::memory_order_acquire);
  }
}

}  // namespace bitnet
