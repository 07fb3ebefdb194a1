// SPDX-License-Identifier: MIT
// What an engine's keys and values may take: whoever asks for more is told so, and nobody else notices.
#include <atomic>
#include <chrono>
#include <initializer_list>
#include <thread>

#include "test_model.h"

namespace bitnet_test {
namespace {

constexpr uint32_t kBlock = 64;            // positions in a page
constexpr uint32_t kContext = 3 * kBlock;  // of the sessions below
constexpr uint32_t kForever = 3'600'000;   // milliseconds

class BudgetTest : public testing::Test {
 protected:
  // What a page takes.
  uint64_t page() const { return memory(2 * kBlock) - memory(kBlock) - kBlock * sizeof(bitnet_token); }

  Engine reserving(uint64_t pages) const {
    return make_engine(model, {.threads = 2, .batch = 64, .kv_bytes = pages * page()});
  }
  Engine overcommitting(uint64_t pages, uint32_t queue_ms = 0) const {
    return make_engine(model,
                       {.threads = 2, .batch = 64, .kv_bytes = pages * page(), .overcommit = 1, .queue_ms = queue_ms});
  }

  Session make(const Engine& engine, uint64_t scope = 0) const { return Session(try_to_make(engine, scope)); }
  bitnet_session* try_to_make(const Engine& engine, uint64_t scope = 0, uint32_t context = kContext) const {
    const bitnet_session_options options = {
        .size = sizeof options, .context = context, .engine = engine.get(), .prefix_scope = scope};
    bitnet_session* session = nullptr;
    status = bitnet_session_create(model.get(), &options, &session);
    return session;
  }

  std::span<const bitnet_token> first(size_t count) const { return std::span(tokens).first(count); }

  // Logits of the last of the first `count` tokens.
  std::vector<float> alone(size_t count) const {
    const Session session = make_session(model, {.context = kContext});
    eval(session, first(count));
    return logits(session);
  }

  // Of one more token.
  static bitnet_status go_on(const Session& session, std::span<const bitnet_token> with) {
    return bitnet_eval(session.get(), with.data(), with.size(), BITNET_LOGITS_LAST);
  }

  void expect_refused(bitnet_status given, std::initializer_list<const char*> words) const {
    EXPECT_EQ(given, BITNET_ERROR_MEMORY);
    for (const char* word : words) {
      EXPECT_NE(std::string(bitnet_last_error()).find(word), std::string::npos) << bitnet_last_error();
    }
  }

  const Model model = open(model_path());
  const Tokens tokens = random_tokens(kContext);
  mutable bitnet_status status = BITNET_OK;

 private:
  uint64_t memory(uint32_t context) const {
    const bitnet_session_options options = {.size = sizeof options, .context = context};
    uint64_t bytes = 0;
    EXPECT_OK(bitnet_session_memory(model.get(), &options, &bytes));
    return bytes;
  }
};

TEST_F(BudgetTest, IsReservedWhenASessionIsMade) {
  const Engine engine = reserving(9);  // a session of three pages needs a fourth while one is copied
  const Session one = make(engine);
  Session two = make(engine);
  EXPECT_EQ(try_to_make(engine), nullptr);
  expect_refused(status, {"kv_bytes", "other sessions have reserved", "smaller context"});
  bitnet_session* fork = nullptr;
  expect_refused(bitnet_session_fork(one.get(), &fork), {"kv_bytes"});
  EXPECT_EQ(fork, nullptr);
  eval(one, tokens);
  two.reset();
  const Session three = make(engine);
  eval(three, tokens);
  EXPECT_TRUE(same_bits(logits(one), alone(kContext)));
  EXPECT_TRUE(same_bits(logits(three), logits(one)));
}

TEST_F(BudgetTest, KeptPromptsMakeWayForSessions) {
  for (const bool overcommits : {false, true}) {
    const Engine engine = overcommits ? overcommitting(4) : reserving(4);
    eval(make(engine, 7), tokens);
    eval(make(engine, 7), tokens);
    {
      const Session session = make(engine);
      eval(session, tokens);
      EXPECT_TRUE(same_bits(logits(session), alone(kContext)));
    }
    const Session session = make(engine, 7);
    eval(session, tokens);
    bitnet_perf perf = {.size = sizeof perf};
    ASSERT_OK(bitnet_session_get_perf(session.get(), &perf));
    EXPECT_EQ(perf.reused_tokens, kBlock) << "of three pages one was left";
    EXPECT_TRUE(same_bits(logits(session), alone(kContext)));
  }
}

TEST_F(BudgetTest, OnlyTheOneThatAskedIsRefused) {
  const Engine engine = overcommitting(4);
  const Session one = make(engine), two = make(engine);
  eval(one, first(150));
  eval(two, first(kBlock));
  const Tokens more = random_tokens(10, 5);
  expect_refused(go_on(two, more), {"no memory for keys and values", "kv_bytes", "queue_ms"});
  EXPECT_EQ(bitnet_session_position(two.get()), kBlock);
  EXPECT_OK(go_on(one, std::span(tokens).subspan(150)));
  EXPECT_TRUE(same_bits(logits(one), alone(kContext)));
  ASSERT_OK(bitnet_session_rewind(one.get(), 2 * kBlock));
  EXPECT_OK(go_on(two, std::span(tokens).subspan(kBlock, 5)));
  EXPECT_TRUE(same_bits(logits(two), alone(kBlock + 5)));
}

TEST_F(BudgetTest, OneItemOfABatchIsRefused) {
  const Engine engine = overcommitting(4);
  const Session one = make(engine), two = make(engine);
  eval(one, first(150));
  eval(two, first(kBlock));
  const bitnet_batch_item items[] = {{two.get(), tokens.data() + kBlock, 1, BITNET_LOGITS_LAST},
                                     {one.get(), tokens.data() + 150, 1, BITNET_LOGITS_LAST}};
  expect_refused(bitnet_eval_batch(items, 2), {"kv_bytes"});
  EXPECT_EQ(bitnet_session_position(two.get()), kBlock);
  EXPECT_EQ(bitnet_session_position(one.get()), 151u);
  EXPECT_TRUE(same_bits(logits(one), alone(151)));
}

TEST_F(BudgetTest, WaitsUntilOthersLeaveRoom) {
  const Engine engine = overcommitting(4, kForever);
  Session one = make(engine);
  const Session two = make(engine), three = make(engine);
  eval(one, first(kContext));
  eval(two, first(kBlock));
  std::atomic<bool> left{false};
  std::thread waiting([&] {
    EXPECT_OK(go_on(two, std::span(tokens).subspan(kBlock, 5)));
    EXPECT_TRUE(left.load());
    EXPECT_TRUE(same_bits(logits(two), alone(kBlock + 5)));
  });
  ASSERT_OK(bitnet_session_rewind(one.get(), kContext - 10));  // no whole page
  for (uint32_t i = kContext - 10; i < kContext; i++) EXPECT_OK(go_on(one, first(i + 1).last(1)));
  EXPECT_TRUE(same_bits(logits(one), alone(kContext))) << "others go on meanwhile";
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  left.store(true);
  one.reset();
  waiting.join();
}

TEST_F(BudgetTest, WaitsNoLongerThanItIsTold) {
  const Engine engine = overcommitting(4, 30);
  const Session one = make(engine), two = make(engine);
  eval(one, first(kContext));
  eval(two, first(kBlock));
  const auto start = std::chrono::steady_clock::now();
  expect_refused(go_on(two, first(1)), {"kv_bytes"});
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(30));
}

TEST_F(BudgetTest, WhoWaitsCanBeCancelledAndFreed) {
  const Engine engine = overcommitting(4, kForever);
  const Session one = make(engine);
  eval(one, first(kContext));
  for (const bool frees : {false, true}) {
    Session two = make(engine);
    eval(two, first(kBlock));
    std::atomic<bool> calls{false};
    bitnet_session* const raw = two.get();
    std::thread waiting([&] {
      calls.store(true);
      EXPECT_EQ(bitnet_eval(raw, tokens.data(), 1, BITNET_LOGITS_LAST), BITNET_ERROR_CANCELLED);
    });
    while (!calls.load()) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (frees) {
      two.reset();
    } else {
      bitnet_session_cancel(raw, 1);
    }
    waiting.join();
  }
}

// Nobody's thread waits for it, but the engine's.
TEST_F(BudgetTest, ASubmittedGenerationWaitsAndIsRefusedByItself) {
  const bitnet_generate_options options = {
      .size = sizeof options, .max_tokens = 20, .flags = BITNET_GENERATE_IGNORE_END};
  const Queue queue = make_queue();
  const auto next = [&](bitnet_generation* generation) {
    bitnet_piece piece = {.size = sizeof piece};
    void* user = nullptr;
    EXPECT_OK(bitnet_generation_submit(generation, queue.get(), generation));
    EXPECT_OK(bitnet_queue_next(queue.get(), UINT32_MAX, &user));
    EXPECT_EQ(user, generation);
    status = bitnet_generation_next(generation, &piece);
    return piece.token;
  };
  const auto start = [&](const Session& session, size_t count) {
    bitnet_generation* generation = nullptr;
    EXPECT_OK(bitnet_generation_start_tokens(session.get(), tokens.data(), count, &options, &generation));
    return Generation(generation);
  };
  Tokens expected;
  {
    const Session session = make_session(model, {.context = kContext});
    const Generation generation = start(session, kBlock - 5);
    while (expected.size() < 20) expected.push_back(next(generation.get()));
  }
  const Engine engine = overcommitting(4, 20);
  const Session one = make(engine), two = make(engine);
  eval(one, first(kContext));
  const Generation generation = start(two, kBlock - 5);
  Tokens drawn;
  while (drawn.size() <= kBlock) {
    const bitnet_token token = next(generation.get());
    if (status != BITNET_OK) break;
    drawn.push_back(token);
  }
  expect_refused(status, {"kv_bytes"});
  EXPECT_EQ(drawn.size(), 6u) << "all that fits";
  ASSERT_OK(bitnet_session_rewind(one.get(), kBlock));
  while (drawn.size() < 20) {
    drawn.push_back(next(generation.get()));
    ASSERT_OK(status);
  }
  EXPECT_EQ(drawn, expected);
}

TEST_F(BudgetTest, LoadingIsAllOrNothing) {
  const Engine engine = overcommitting(4);
  const Session one = make(engine), two = make(engine);
  eval(one, first(2 * kBlock));
  eval(two, first(kBlock));
  std::vector<char> state(4 << 20);
  size_t length = 0;
  ASSERT_OK(bitnet_session_save_memory(one.get(), state.data(), state.size(), &length));
  expect_refused(bitnet_session_load_memory(two.get(), state.data(), length), {"kv_bytes"});
  EXPECT_EQ(bitnet_session_position(two.get()), kBlock);
  EXPECT_OK(go_on(two, std::span(tokens).subspan(kBlock, 1)));
  EXPECT_TRUE(same_bits(logits(two), alone(kBlock + 1)));
  ASSERT_OK(bitnet_session_rewind(one.get(), 0));
  ASSERT_OK(bitnet_session_rewind(two.get(), kBlock));
  EXPECT_OK(bitnet_session_load_memory(two.get(), state.data(), length));
  EXPECT_OK(go_on(two, std::span(tokens).subspan(2 * kBlock, 1)));
  EXPECT_TRUE(same_bits(logits(two), alone(2 * kBlock + 1)));
}

TEST_F(BudgetTest, TrimmingGivesWhatIsKeptBack) {
  const Engine engine = make_engine(model, {.threads = 2});
  {
    const Session session = make(engine, 7);
    eval(session, tokens);
    uint64_t bytes = 1;
    ASSERT_OK(bitnet_engine_trim(model.get(), engine.get(), &bytes));
    EXPECT_EQ(bytes, 0u) << "a session has all";
    ASSERT_OK(bitnet_session_rewind(session.get(), kContext - 1));
    EXPECT_OK(go_on(session, std::span(tokens).last(1)));
    EXPECT_TRUE(same_bits(logits(session), alone(kContext)));
  }
  uint64_t bytes = 0;
  ASSERT_OK(bitnet_engine_trim(model.get(), engine.get(), &bytes));
  EXPECT_EQ(bytes, 3 * page());
  ASSERT_OK(bitnet_engine_trim(model.get(), engine.get(), nullptr));
  const Session session = make(engine, 7);
  eval(session, tokens);
  bitnet_perf perf = {.size = sizeof perf};
  ASSERT_OK(bitnet_session_get_perf(session.get(), &perf));
  EXPECT_EQ(perf.reused_tokens, 0u);
  EXPECT_TRUE(same_bits(logits(session), alone(kContext)));
}

TEST_F(BudgetTest, TheDefaultEngineIsTrimmedToo) {
  uint64_t bytes = 1;
  ASSERT_OK(bitnet_engine_trim(model.get(), nullptr, &bytes));
  EXPECT_EQ(bytes, 0u) << "it has not been made";
  eval(make_session(model, {.context = kContext, .prefix_scope = 1}), tokens);
  ASSERT_OK(bitnet_engine_trim(model.get(), nullptr, &bytes));
  EXPECT_EQ(bytes, 3 * page());
  const Model other = open(model_path());
  const Engine engine = make_engine(model, {.threads = 1});
  EXPECT_EQ(bitnet_engine_trim(other.get(), engine.get(), &bytes), BITNET_ERROR_ARGUMENT);
  EXPECT_EQ(bitnet_engine_trim(nullptr, engine.get(), &bytes), BITNET_ERROR_ARGUMENT);
}

TEST_F(BudgetTest, ImpossibleOnesAreRefused) {
  const auto refused = [&](bitnet_engine_options options) {
    options.size = sizeof options;
    bitnet_engine* engine = nullptr;
    const bitnet_status given = bitnet_engine_create(model.get(), &options, &engine);
    bitnet_engine_free(engine);
    return given == BITNET_ERROR_ARGUMENT;
  };
  EXPECT_TRUE(refused({.threads = 1, .kv_bytes = 1}));
  EXPECT_TRUE(refused({.threads = 1, .overcommit = 1}));
  EXPECT_TRUE(refused({.threads = 1, .kv_bytes = UINT64_MAX, .queue_ms = 5}));
  EXPECT_TRUE(refused({.threads = 1, .kv_bytes = UINT64_MAX, .overcommit = 1, .queue_ms = kForever + 1}));
  const Engine all = make_engine(
      model, {.threads = 1, .prefix_bytes = 1 << 20, .kv_bytes = UINT64_MAX, .overcommit = 1, .queue_ms = kForever});
  eval(make(all, 1), tokens);
  const Engine small = overcommitting(3);
  EXPECT_EQ(try_to_make(small), nullptr);
  expect_refused(status, {"kv_bytes", "smaller context"});
  const Session session(try_to_make(small, 0, 2 * kBlock));
  eval(session, first(2 * kBlock));
}

}  // namespace
}  // namespace bitnet_test
