// SPDX-License-Identifier: MIT
// thread_pool_bench [THREADS] [RUNS]: how long the session's threads take to begin a run, in microseconds, when they
// look for work (as between the steps of a forward pass) and when they sleep (as between two calls of the host
// program).
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "engine/thread_pool.h"

namespace {

using Clock = std::chrono::steady_clock;

// From the call until every thread has a piece. Each piece waits for the others, so that no thread can take two.
double microseconds_to_begin(bitnet::ThreadPool& pool, uint32_t threads) {
  std::atomic<uint32_t> begun{0};
  std::atomic<Clock::duration> last{};
  const auto call = Clock::now();
  pool.run(threads, [&](uint32_t) {
    const auto now = Clock::now() - call;
    if (begun.fetch_add(1) + 1 == threads) last = now;
    while (begun.load() != threads) std::this_thread::yield();
  });
  return std::chrono::duration<double, std::micro>(last.load()).count();
}

void measure(const char* name, uint32_t threads, int runs, std::chrono::microseconds pause) {
  bitnet::ThreadPool pool({.threads = threads});
  std::vector<double> times;
  for (int i = 0; i < runs; i++) {
    if (pause.count() > 0) std::this_thread::sleep_for(pause);
    times.push_back(microseconds_to_begin(pool, threads));
  }
  std::sort(times.begin(), times.end());
  std::printf("%-8s  %7u  %9.1f  %19.1f\n", name, threads, times[times.size() / 2], times[times.size() * 9 / 10]);
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : static_cast<int>(std::thread::hardware_concurrency());
  const int runs = argc > 2 ? std::atoi(argv[2]) : 1000;
  if (threads < 2 || threads > 1024 || runs < 1) {
    std::fprintf(stderr, "usage: thread_pool_bench [THREADS, at least 2] [RUNS]\n");
    return 2;
  }
  std::printf("waiting   threads  median us  90 of 100 within us\n");
  measure("looking", static_cast<uint32_t>(threads), runs, std::chrono::microseconds{0});
  measure("asleep", static_cast<uint32_t>(threads), runs, std::chrono::milliseconds{2});
  return 0;
}
