// SPDX-License-Identifier: MIT
// The interface between an engine and what computes for it, by two implementations: they come to the same, by
// themselves and under an engine that has many sessions.
#include <atomic>
#include <chrono>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "engine/check_backend.h"
#include "engine/cpu_backend.h"
#include "engine/engine.h"
#include "engine/runtime.h"
#include "engine/scalar_backend.h"
#include "engine/session.h"
#include "format/container.h"
#include "format/dummy.h"
#include "format/files.h"
#include "format/load.h"
#include "format/open.h"

namespace bitnet {
namespace {

using SharedRuntime = std::shared_ptr<const Runtime>;

SharedRuntime open_runtime(Packing packing, HeadType head, const std::string& shape = "tiny") {
  static const bitnet_test::TemporaryFolder folder;
  const std::string path = folder / (shape + std::to_string(static_cast<int>(packing) * 10 + static_cast<int>(head)));
  write_dummy(path, shape, {.packing = packing, .head = head});
  return std::make_shared<const Runtime>(load_model(open_container(path)), RuntimeOptions{});
}

std::vector<Token> random_tokens(size_t count, uint32_t seed) {
  std::minstd_rand random(seed);
  std::vector<Token> tokens(count);
  for (Token& token : tokens) token = static_cast<Token>(random() % 1000);
  return tokens;
}

bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

struct Case {
  Packing packing;
  HeadType head;
  const char* shape = "tiny";
  uint32_t steps = BackendCheck{}.steps;  // fewer where the scalar kernels take long
};

class BackendTest : public testing::TestWithParam<Case> {
 protected:
  std::unique_ptr<CpuBackend> cpu() {
    return std::make_unique<CpuBackend>(runtime->model(), runtime->kernels(), pool, CpuOptions{.batch = check.batch});
  }

  const SharedRuntime runtime = open_runtime(GetParam().packing, GetParam().head, GetParam().shape);
  ThreadPool pool{{.threads = 2}};
  const BackendCheck check = {.seed = std::random_device()(), .steps = GetParam().steps};
};

TEST_P(BackendTest, TheScalarOneHoldsToTheFirst) {
  const auto first = cpu();
  ScalarBackend scalar(runtime->model());
  EXPECT_TRUE(check_backend(runtime->model(), *first, scalar, check));
}

TEST_P(BackendTest, TheFirstHoldsToItself) {
  const auto one = cpu(), other = cpu();
  EXPECT_TRUE(check_backend(runtime->model(), *one, *other, check));
}

INSTANTIATE_TEST_SUITE_P(All, BackendTest,
                         testing::Values(Case{Packing::i2, HeadType::screened}, Case{Packing::t5, HeadType::int8},
                                         Case{Packing::i2, HeadType::f16, "tiny-maple", 12},
                                         Case{Packing::i2, HeadType::f16, "tiny-qwen3moe", 12},
                                         Case{Packing::i2, HeadType::f16, "tiny-minicpm", 12}));

TEST(CheckBackend, FindsMistakes) {
  const SharedRuntime runtime = open_runtime(Packing::i2, HeadType::f16);
  ThreadPool pool{{.threads = 1}};
  std::vector<Mistake> mistakes = {Mistake::wrong_bit, Mistake::aliased_forks};
#ifndef BITNET_SANITIZED  // which ends the test by itself: late results are a race
  mistakes.push_back(Mistake::late_results);
#endif
  for (const Mistake mistake : mistakes) {
    const BackendCheck check = {.seed = 1, .steps = 200};
    CpuBackend first(runtime->model(), runtime->kernels(), pool, {.batch = check.batch});
    ScalarBackend scalar(runtime->model(), mistake);
    EXPECT_FALSE(check_backend(runtime->model(), first, scalar, check)) << static_cast<int>(mistake);
  }
}

TEST(CheckBackend, LetsThoseRoundWhoSaySo) {
  const SharedRuntime runtime = open_runtime(Packing::i2, HeadType::f16);
  ThreadPool pool{{.threads = 1}};
  CpuBackend first(runtime->model(), runtime->kernels(), pool, {.batch = 24}),
      second(runtime->model(), runtime->kernels(), pool, {.batch = 24});
  ScalarBackend scalar(runtime->model(), Mistake::wrong_bit, false);
  EXPECT_TRUE(check_backend(runtime->model(), first, scalar));
  ScalarBackend again(runtime->model(), Mistake::wrong_bit, false);
  EXPECT_FALSE(check_backend(runtime->model(), second, again, {.steps = 200, .tolerance = 0}));
}

// Sessions of an engine that computes with the second one, from several threads, against sessions of the first.
class ScalarEngine {
 public:
  static constexpr uint32_t kContext = 100;

  explicit ScalarEngine(const SharedRuntime& runtime)
      : pool_(ThreadPool::create({.threads = 1})),
        first_(Engine::create(runtime, {.pool = pool_})),
        second_(Engine::create(runtime, {.pool = pool_, .batch = 16, .backend = [](const Runtime& r, const auto&) {
                                           return std::make_unique<ScalarBackend>(r.model());
                                         }})) {}

  // What one thread does.
  void drive(uint32_t seed, int steps) {
    std::mt19937 random(seed);
    const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
    const auto alone = Session::create(first_, {.context = kContext});
    int asks_left = 0;  // until one leaves; below 0: never, however slow a pass is
    const auto leaves = [](void* user) { return --*static_cast<int*>(user) == 0 ? 1 : 0; };
    auto session = Session::create(second_, {.context = kContext, .abort = leaves, .abort_user = &asks_left});
    for (int i = 0; i < steps && !testing::Test::HasFailure(); i++) {
      if (session->position() > kContext / 2 || below(5) == 0) session->rewind(below(session->position() + 1));
      if (below(6) == 0) {
        count(*session);
        session = session->fork();
      }
      const std::vector<Token> held(session->tokens().begin(), session->tokens().end());
      std::vector<Token> tokens = random_tokens(1 + below(below(2) == 0 ? 1 : 20), random());
      asks_left = below(4) == 0 ? static_cast<int>(1 + below(5)) : -1;
      try {
        session->eval(tokens, BITNET_LOGITS_LAST);
      } catch (const Error& error) {
        EXPECT_EQ(error.status(), BITNET_ERROR_CANCELLED) << error.what();
        EXPECT_EQ(session->position(), held.size());
        continue;
      }
      alone->rewind(0);
      tokens.insert(tokens.begin(), held.begin(), held.end());
      alone->eval(tokens, BITNET_LOGITS_LAST);
      EXPECT_TRUE(same_bits(session->logits(0), alone->logits(0)));
    }
    count(*session);
  }

  std::atomic<uint64_t> passes{0}, pass_sessions{0};

 private:
  void count(const Session& session) {
    passes += session.perf().passes;
    pass_sessions += session.perf().pass_sessions;
  }

  std::shared_ptr<ThreadPool> pool_;
  std::shared_ptr<Engine> first_, second_;
};

TEST(Backend, AnEngineHasManySessionsOnEither) {
  const SharedRuntime runtime = open_runtime(Packing::i2, HeadType::screened);
  constexpr uint32_t kThreads = 4;
  ScalarEngine engine(runtime);
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < kThreads; i++) {
    threads.emplace_back([&, i] { engine.drive(i, 15); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(engine.pass_sessions.load(), engine.passes.load()) << "they share passes";
}

TEST(Backend, OneLeavesDuringAPassOfEither) {
  const SharedRuntime runtime = open_runtime(Packing::i2, HeadType::f16);
  const auto engine = Engine::create(runtime, {.threads = 1, .backend = [](const Runtime& r, const auto&) {
                                                 return std::make_unique<ScalarBackend>(r.model());
                                               }});
  struct Abort {
    std::atomic<int> asked{0};
    static int ask(void* user) { return ++static_cast<Abort*>(user)->asked == 3 ? 1 : 0; }
  } abort;
  const auto stays = Session::create(engine, {.context = 64});
  const auto leaves = Session::create(engine, {.context = 64, .abort = Abort::ask, .abort_user = &abort});
  const std::vector<Token> tokens = random_tokens(40, 1);
  const Session::Item items[] = {{leaves.get(), tokens, BITNET_LOGITS_LAST}, {stays.get(), tokens, BITNET_LOGITS_LAST}};
  EXPECT_THROW(Session::eval_batch(items), Error);
  EXPECT_EQ(leaves->position(), 0u);
  EXPECT_EQ(stays->position(), tokens.size());
  leaves->eval(tokens, BITNET_LOGITS_LAST);
  EXPECT_TRUE(same_bits(leaves->logits(0), stays->logits(0)));
}

// The scalar one, whose passes take some time.
class LongPasses final : public Backend {
 public:
  static constexpr std::chrono::milliseconds kTime{100};

  explicit LongPasses(const Model& model) : inner_(model) {}
  bool is_exact() const override { return inner_.is_exact(); }
  bool has_screen() const override { return inner_.has_screen(); }
  std::unique_ptr<SequenceState> make_state(KvType type, uint32_t context, bool prefixes) override {
    return inner_.make_state(type, context, prefixes);
  }
  void submit(std::vector<Row>& rows) override { inner_.submit(rows); }
  bool wait() override {
    const bool over = inner_.wait();
    if (over) std::this_thread::sleep_for(kTime);
    return over;
  }
  void drop_left() noexcept override { inner_.drop_left(); }
  uint64_t trim() override { return inner_.trim(); }

 private:
  ScalarBackend inner_;
};

TEST(Backend, APassWaitsForSessionsThatDrawTheirTokens) {
  const SharedRuntime runtime = open_runtime(Packing::i2, HeadType::f16);
  const auto engine = Engine::create(runtime, {.threads = 1, .backend = [](const Runtime& r, const auto&) {
                                                 return std::make_unique<LongPasses>(r.model());
                                               }});
  constexpr uint32_t kSessions = 4, kTokens = 12;
  std::atomic<uint64_t> passes{0}, sessions{0};
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < kSessions; i++) {
    threads.emplace_back([&, i] {
      const auto session = Session::create(engine, {.context = kTokens});
      for (const Token token : random_tokens(kTokens, i)) {
        session->eval({&token, 1}, BITNET_LOGITS_LAST);
        std::this_thread::sleep_for(LongPasses::kTime / 12);  // it draws
      }
      passes += session->perf().passes;
      sessions += session->perf().pass_sessions;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(static_cast<double>(sessions), 0.75 * kSessions * static_cast<double>(passes));
}

}  // namespace
}  // namespace bitnet
