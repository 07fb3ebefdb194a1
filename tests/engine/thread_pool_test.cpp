// SPDX-License-Identifier: MIT
#include "engine/thread_pool.h"

#include <gtest/gtest.h>
#ifdef _WIN32
#include <windows.h>
#else
#include <pthread.h>
#endif

#include <array>
#include <atomic>
#include <cfenv>
#include <chrono>
#include <cstring>
#include <ctime>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"

namespace bitnet {
namespace {

TEST(ThreadPool, RunsEveryPieceOnce) {
  for (const uint32_t threads : {1u, 2u, 3u, 7u}) {
    ThreadPool pool({.threads = threads});
    for (uint32_t run = 0; run < 2000; run++) {
      const uint32_t count = run % 9;
      std::vector<std::atomic<int>> calls(9);
      pool.run(count, [&](uint32_t i) { calls[i]++; });
      for (uint32_t i = 0; i < 9; i++) ASSERT_EQ(calls[i], i < count) << threads << " threads, run " << run;
    }
  }
}

template <typename Each>
void expect_every_piece_once(const Each& each) {
  for (const uint32_t threads : {1u, 2u, 3u, 7u}) {
    ThreadPool pool({.threads = threads});
    for (uint32_t run = 0; run < 2000; run++) {
      const uint32_t count = run % 23;
      std::vector<std::atomic<int>> calls(23), busy(threads);
      each(pool, count, [&](uint32_t i, uint32_t worker) {
        EXPECT_EQ(busy[worker]++, 0);
        calls[i]++;
        busy[worker]--;
      });
      for (uint32_t i = 0; i < 23; i++) ASSERT_EQ(calls[i], i < count) << threads << " threads, run " << run;
    }
  }
}

TEST(ThreadPool, EachPieceInTurn) {
  expect_every_piece_once([](ThreadPool& pool, uint32_t count, const auto& f) { pool.each(count, f); });
}

TEST(ThreadPool, EachPieceInRuns) {
  expect_every_piece_once([](ThreadPool& pool, uint32_t count, const auto& f) { pool.each_in_runs(count, f); });
}

TEST(ThreadPool, RunsAreOfNeighboursAndWhatIsLeftOfThemIsTaken) {
  auto backwards = [](void*, uint32_t count, void (*task)(void*, uint32_t), void* data) {
    while (count-- > 0) task(data, count);
  };
  ThreadPool pool({.threads = 3, .parallel = backwards});
  std::vector<uint32_t> pieces, workers;
  pool.each_in_runs(10, [&](uint32_t i, uint32_t worker) {
    pieces.push_back(i);
    workers.push_back(worker);
  });
  EXPECT_EQ(pieces, (std::vector<uint32_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  EXPECT_EQ(workers, std::vector<uint32_t>(10, 0));
}

TEST(ThreadPool, WakesAfterSleep) {
  ThreadPool pool({.threads = 3});
  for (int i = 0; i < 5; i++) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    std::atomic<int> sum{0};
    pool.run(3, [&](uint32_t index) { sum += static_cast<int>(index); });
    EXPECT_EQ(sum, 3);
  }
}

// Of all threads of this process.
double cpu_seconds() {
#ifdef _WIN32  // whose clock() counts the time that has gone by
  FILETIME created, exited, kernel, user;
  GetProcessTimes(GetCurrentProcess(), &created, &exited, &kernel, &user);
  const auto ticks = [](FILETIME t) { return static_cast<double>(uint64_t{t.dwHighDateTime} << 32 | t.dwLowDateTime); };
  return (ticks(kernel) + ticks(user)) * 1e-7;
#else
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
#endif
}

TEST(ThreadPool, SleepsWhenIdle) {
  ThreadPool pool({.threads = 4});
  for (const uint32_t width : {4u, 2u, 1u}) {
    pool.use(width);
    pool.run(4, [](uint32_t) {});
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    const double before = cpu_seconds();
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    EXPECT_LT(cpu_seconds() - before, 0.02) << width << " threads in use";
  }
}

TEST(ThreadPool, UsesFewerThreadsAndAllAgain) {
  ThreadPool pool({.threads = 4});
  for (int round = 0; round < 200; round++) {
    for (const uint32_t width : {1u, 3u, 2u, 4u}) {
      pool.use(width);
      EXPECT_EQ(pool.width(), width);
      std::atomic<uint32_t> sum{0};
      pool.run(5, [&](uint32_t index) { sum += index; });
      ASSERT_EQ(sum, 10u);
    }
  }
  pool.use(1);
  const auto self = std::this_thread::get_id();
  const auto runs_alone = [&] {
    std::atomic<int> elsewhere{0};
    for (int i = 0; i < 100; i++) pool.run(4, [&](uint32_t) { elsewhere += std::this_thread::get_id() != self; });
    return elsewhere == 0;
  };
  // A thread that the system has just interrupted may notice late.
  bool alone = false;
  for (int round = 0; round < 1000 && !alone; round++) alone = runs_alone();
  EXPECT_TRUE(alone);
}

TEST(ThreadPool, RunsOfSeveralCallersTakeTurns) {
  ThreadPool pool({.threads = 2});
  std::atomic<int> inside{0}, most{0}, total{0};
  auto call = [&] {
    for (int i = 0; i < 200; i++) {
      std::atomic<bool> first{true};
      pool.run(2, [&](uint32_t) {
        if (first.exchange(false)) most = std::max<int>(most, ++inside);
        total++;
      });
      inside--;
    }
  };
  std::thread other(call);
  call();
  other.join();
  EXPECT_EQ(total, 800);
}

TEST(ThreadPool, UsesTheCallersPool) {
  struct Calls {
    uint32_t runs = 0;
    std::vector<uint32_t> pieces;
  } calls;
  auto parallel = [](void* user, uint32_t count, void (*task)(void*, uint32_t), void* data) {
    auto* c = static_cast<Calls*>(user);
    c->runs++;
    for (uint32_t i = count; i-- > 0;) {
      c->pieces.push_back(i);
      task(data, i);
    }
  };
  ThreadPool pool({.threads = 4, .parallel = parallel, .parallel_user = &calls});
  std::vector<uint32_t> seen;
  pool.run(4, [&](uint32_t i) { seen.push_back(i); });
  EXPECT_EQ(calls.runs, 1u);
  EXPECT_EQ(seen, (std::vector<uint32_t>{0, 1, 2, 3})) << "whichever is asked for, the next one is computed";
}

#ifdef __linux__
// Where stacks are larger than what can be addressed, no thread starts.
TEST(ThreadPool, SaysHowManyThreadsDidNotStart) {
  const auto set_stack = [](size_t bytes) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, bytes);
    pthread_setattr_default_np(&attributes);
    pthread_attr_destroy(&attributes);
  };
  for (const auto& [threads, wanted] : {std::pair{2u, "cannot start 1 thread: "}, {4u, "cannot start 3 threads: "}}) {
    set_stack(size_t{1} << 50);
    try {
      ThreadPool pool({.threads = threads});
      ADD_FAILURE() << "started";
    } catch (const Error& error) {
      EXPECT_EQ(error.status(), BITNET_ERROR_MEMORY);
      EXPECT_EQ(std::string_view(error.what()).substr(0, std::strlen(wanted)), wanted) << error.what();
    }
    set_stack(size_t{8} << 20);
  }
}
#endif

TEST(ThreadPool, PiecesFindTheDefaultFloatEnvironment) {
  ASSERT_EQ(std::fesetround(FE_UPWARD), 0);
  ThreadPool pool({.threads = 3});
  std::atomic<int> wrong{0};
  pool.run(3, [&](uint32_t) { wrong += std::fegetround() != FE_TONEAREST; });
  pool.run(1, [&](uint32_t) { wrong += std::fegetround() != FE_TONEAREST; });
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(std::fegetround(), FE_UPWARD) << "the host's own mode must come back";
  std::fesetround(FE_TONEAREST);
}

// Each piece is computed once, and all before run() returns.
TEST(ThreadPool, TheCallersPoolMayBeWrong) {
  using Parallel = void (*)(void*, uint32_t, void (*)(void*, uint32_t), void*);
  static std::vector<std::thread> late;
  const Parallel pools[] = {
      [](void*, uint32_t count, void (*task)(void*, uint32_t), void* data) {
        for (uint32_t i = 0; i < 2 * count; i++) task(data, i / 2);
      },
      [](void*, uint32_t count, void (*task)(void*, uint32_t), void* data) {
        for (uint32_t i = 0; i < count; i += 2) task(data, i);
      },
      [](void*, uint32_t, void (*)(void*, uint32_t), void*) {},
      [](void*, uint32_t count, void (*task)(void*, uint32_t), void* data) {
        for (uint32_t i = 0; i < count; i++) late.emplace_back(task, data, i);
      },
  };
  for (const Parallel parallel : pools) {
    ThreadPool pool({.threads = 4, .parallel = parallel});
    for (int run = 0; run < 50; run++) {
      std::array<std::atomic<int>, 4> times = {};
      pool.run(4, [&](uint32_t i) { ++times[i]; });
      for (const auto& n : times) EXPECT_EQ(n.load(), 1);
    }
    for (std::thread& thread : late) thread.join();
    late.clear();
  }
}

}  // namespace
}  // namespace bitnet
