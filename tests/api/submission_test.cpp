// SPDX-License-Identifier: MIT
// Generations that go on by themselves: submitted to a queue, or pulled by several threads. They give what they give
// alone. Also pools that several engines share. Run under the thread sanitizer as well.
#include <atomic>
#include <chrono>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "test_model.h"

namespace bitnet_test {
namespace {

constexpr uint32_t kForever = UINT32_MAX;

// A generation, what it has given, and the session that it is of.
struct Client {
  Session session;
  Generation generation;
  Tokens tokens = {};
  std::string text = {};
  bitnet_status status = BITNET_OK;
  bitnet_finish finish = BITNET_FINISH_NOT;

  // Takes the next piece. Returns whether there is more to come.
  bool take() {
    bitnet_piece piece = {.size = sizeof piece};
    status = bitnet_generation_next(generation.get(), &piece);
    if (status >= 0) text.append(piece.text, piece.length);
    if (status == BITNET_OK) tokens.push_back(piece.token);
    finish = piece.finish;
    return status == BITNET_OK;
  }
};

// Some ways to draw tokens: with few logits, with all, and with penalties.
bitnet_sampler_options sampling(size_t i) {
  const bitnet_sampler_options kinds[] = {
      {.size = sizeof(bitnet_sampler_options)},
      {.size = sizeof(bitnet_sampler_options), .seed = i, .temperature = 0.9f, .top_k = 5},
      {.size = sizeof(bitnet_sampler_options), .seed = i, .temperature = 1, .min_p = 0.01f},
      {.size = sizeof(bitnet_sampler_options), .temperature = 2, .top_k = 3, .repetition_penalty = 1.2f},
  };
  return kinds[i % std::size(kinds)];
}

Client make_client(const Model& model, const Engine& engine, size_t i) {
  Client client{.session = make_session(model, {.context = 64, .engine = engine.get()}), .generation = {}};
  const bitnet_sampler_options sampler = sampling(i);
  const bitnet_generate_options options = {.size = sizeof options,
                                           .max_tokens = static_cast<uint32_t>(5 + i % 13),
                                           .flags = i % 3 == 0 ? uint32_t{BITNET_GENERATE_IGNORE_END} : 0,
                                           .sampler = &sampler};
  const Tokens prompt = random_tokens(1 + i * 7 % 60, static_cast<uint32_t>(i));
  bitnet_generation* generation = nullptr;
  EXPECT_OK(bitnet_generation_start_tokens(client.session.get(), prompt.data(), prompt.size(), &options, &generation));
  client.generation.reset(generation);
  return client;
}

Tokens tokens_of(const Session& session) {
  const bitnet_token* tokens = nullptr;
  size_t count = 0;
  EXPECT_OK(bitnet_session_tokens(session.get(), &tokens, &count));
  return {tokens, tokens + count};
}

void expect_same(const Client& client, const Client& alone, size_t i) {
  EXPECT_EQ(client.tokens, alone.tokens) << i;
  EXPECT_EQ(client.text, alone.text) << i;
  EXPECT_EQ(client.status, alone.status) << i;
  EXPECT_EQ(client.finish, alone.finish) << i;
  EXPECT_EQ(tokens_of(client.session), tokens_of(alone.session)) << i;
  if (alone.finish != BITNET_FINISH_CONTEXT) {
    EXPECT_TRUE(same_bits(logits(client.session), logits(alone.session))) << i;
  }
}

class Submission : public testing::TestWithParam<bitnet_head> {
 protected:
#ifdef BITNET_SANITIZED
  static constexpr size_t kClients = 9;
#else
  static constexpr size_t kClients = 20;
#endif

  Model model = open(model_path(BITNET_PACKING_I2, GetParam()));
  Engine engine = make_engine(model, {.threads = 2});

  // What each gives by itself.
  std::vector<Client> alone() {
    std::vector<Client> clients;
    for (size_t i = 0; i < kClients; i++) {
      clients.push_back(make_client(model, make_engine(model, {.threads = 1}), i));
      while (clients.back().take()) {
      }
      EXPECT_EQ(clients.back().status, BITNET_END) << bitnet_last_error();
    }
    return clients;
  }
};

TEST_P(Submission, OneThreadDrivesManyGenerations) {
  const std::vector<Client> expected = alone();
  const Queue queue = make_queue();
  std::vector<Client> clients;
  for (size_t i = 0; i < kClients; i++) clients.push_back(make_client(model, engine, i));
  size_t open = 0;
  for (Client& client : clients) {
    ASSERT_OK(bitnet_generation_submit(client.generation.get(), queue.get(), &client));
    open++;
  }
  while (open != 0) {
    void* user = nullptr;
    ASSERT_OK(bitnet_queue_next(queue.get(), kForever, &user));
    auto& client = *static_cast<Client*>(user);
    if (client.take()) {
      ASSERT_OK(bitnet_generation_submit(client.generation.get(), queue.get(), &client));
    } else {
      open--;
    }
  }
  for (size_t i = 0; i < kClients; i++) expect_same(clients[i], expected[i], i);
}

TEST_P(Submission, ThreadsThatPullGetTheSame) {
  const std::vector<Client> expected = alone();
  std::vector<Client> clients;
  for (size_t i = 0; i < kClients; i++) clients.push_back(make_client(model, engine, i));
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kClients; i++) {
    threads.emplace_back([&, i] {
      while (clients[i].take()) {
        if (i % 4 == 0) std::this_thread::sleep_for(std::chrono::microseconds(500));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < kClients; i++) expect_same(clients[i], expected[i], i);
}

// However far ahead the engine was.
TEST_P(Submission, AGenerationThatIsFreedLeavesWhatItHasGivenOut) {
  const std::vector<Client> expected = alone();
  const Queue queue = make_queue();
  for (size_t i = 0; i < kClients; i++) {
    Client client = make_client(model, engine, i);
    const size_t pieces = i % expected[i].tokens.size();
    for (size_t taken = 0; taken < pieces; taken++) {
      ASSERT_OK(bitnet_generation_submit(client.generation.get(), queue.get(), &client));
      void* user = nullptr;
      ASSERT_OK(bitnet_queue_next(queue.get(), kForever, &user));
      ASSERT_TRUE(client.take());
    }
    if (i % 2 == 0) {
      ASSERT_OK(bitnet_generation_submit(client.generation.get(), queue.get(), &client));
    }
    if (i % 4 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    client.generation.reset();
    void* user = nullptr;
    EXPECT_EQ(bitnet_queue_next(queue.get(), 0, &user), BITNET_END) << "what is freed is not given";
    const Tokens prompt = random_tokens(1 + i * 7 % 60, static_cast<uint32_t>(i)), held = tokens_of(client.session);
    if (pieces == 0) continue;
    ASSERT_EQ(held.size(), prompt.size() + pieces - 1) << i;
    EXPECT_TRUE(std::equal(prompt.begin(), prompt.end(), held.begin()));
    EXPECT_TRUE(std::equal(held.begin() + static_cast<ptrdiff_t>(prompt.size()), held.end(), client.tokens.begin()));
    const float* row = nullptr;
    EXPECT_EQ(bitnet_session_logits(client.session.get(), 0, &row), BITNET_ERROR_ARGUMENT) << "there are none";
  }
}

INSTANTIATE_TEST_SUITE_P(Heads, Submission, testing::Values(BITNET_HEAD_F16, BITNET_HEAD_SCREENED));

class SubmissionTest : public testing::Test {
 protected:
  Model model = open(model_path());
  Engine engine = make_engine(model, {.threads = 2});
  Queue queue = make_queue();
  int mark = 0;

  void submit(const Client& client) {
    ASSERT_OK(bitnet_generation_submit(client.generation.get(), queue.get(), &mark));
  }
  void expect_given() {
    void* user = nullptr;
    ASSERT_OK(bitnet_queue_next(queue.get(), kForever, &user));
    EXPECT_EQ(user, &mark);
  }
};

TEST_F(SubmissionTest, WhatIsSubmittedIsBusy) {
  Client client = make_client(model, engine, 4);
  submit(client);
  bitnet_piece piece = {.size = sizeof piece};
  EXPECT_EQ(bitnet_generation_next(client.generation.get(), &piece), BITNET_ERROR_BUSY);
  EXPECT_EQ(bitnet_generation_submit(client.generation.get(), queue.get(), nullptr), BITNET_ERROR_BUSY);
  const bitnet_token token = 1;
  EXPECT_EQ(bitnet_eval(client.session.get(), &token, 1, BITNET_LOGITS_LAST), BITNET_ERROR_BUSY);
  EXPECT_EQ(bitnet_session_rewind(client.session.get(), 0), BITNET_ERROR_BUSY);
  bitnet_session* fork = nullptr;
  EXPECT_EQ(bitnet_session_fork(client.session.get(), &fork), BITNET_ERROR_BUSY);
  expect_given();
  EXPECT_TRUE(client.take());
  EXPECT_EQ(bitnet_eval(client.session.get(), &token, 1, BITNET_LOGITS_LAST), BITNET_ERROR_BUSY);
  client.generation.reset();
  EXPECT_OK(bitnet_eval(client.session.get(), &token, 1, BITNET_LOGITS_LAST));
}

TEST_F(SubmissionTest, ErrorsComeThroughTheQueue) {
  Client client = make_client(model, engine, 4);
  submit(client);
  bitnet_generation_cancel(client.generation.get());
  expect_given();
  EXPECT_FALSE(client.take());
  EXPECT_EQ(client.status, BITNET_ERROR_CANCELLED);
  submit(client);
  expect_given();
  EXPECT_FALSE(client.take());
  EXPECT_EQ(client.status, BITNET_ERROR_CANCELLED) << "it stays cancelled";

  const Session small = make_session(model, {.context = 4, .engine = engine.get()});
  const Tokens prompt = random_tokens(5);
  bitnet_generation* generation = nullptr;
  ASSERT_OK(bitnet_generation_start_tokens(small.get(), prompt.data(), prompt.size(), nullptr, &generation));
  EXPECT_EQ(bitnet_generation_submit(generation, queue.get(), &mark), BITNET_ERROR_CONTEXT);
  bitnet_generation_free(generation);
}

// The session does not wait until the engine has noticed.
TEST_F(SubmissionTest, WhatIsCancelledComesBackAlsoIfItsSessionIsUsedAtOnce) {
  for (size_t i = 0; i < 20; i++) {
    Client client = make_client(model, engine, 4);
    submit(client);
    bitnet_generation_cancel(client.generation.get());
    ASSERT_OK(bitnet_session_rewind(client.session.get(), 0));
    expect_given();
    EXPECT_FALSE(client.take());
    EXPECT_EQ(client.status, BITNET_ERROR_CANCELLED);
  }
}

TEST_F(SubmissionTest, TheEndComesAsOftenAsItIsAskedFor) {
  Client client = make_client(model, engine, 0);
  while (client.take()) {
  }
  ASSERT_EQ(client.status, BITNET_END);
  for (int i = 0; i < 2; i++) {
    submit(client);
    expect_given();
    EXPECT_FALSE(client.take());
    EXPECT_EQ(client.finish, BITNET_FINISH_MAX_TOKENS);
  }
}

TEST_F(SubmissionTest, ACancelledSessionsGenerationCanGoOn) {
  Client client = make_client(model, engine, 6);
  ASSERT_TRUE(client.take());
  bitnet_session_cancel(client.session.get(), 1);
  Client expected = make_client(model, engine, 6);
  while (expected.take()) {
  }
  for (int cancelled = 0; client.status != BITNET_END; cancelled++) {
    ASSERT_LE(cancelled, 1);
    while (client.take()) {
    }
    if (client.status != BITNET_END) {
      ASSERT_EQ(client.status, BITNET_ERROR_CANCELLED);
    }
  }
  EXPECT_EQ(client.tokens, expected.tokens);
}

TEST_F(SubmissionTest, AQueueCanBeWoken) {
  void* user = nullptr;
  EXPECT_EQ(bitnet_queue_next(queue.get(), 1, &user), BITNET_END);
  bitnet_queue_wake(queue.get());
  EXPECT_EQ(bitnet_queue_next(queue.get(), kForever, &user), BITNET_END);
  std::thread other([&] {
    void* nothing = nullptr;
    EXPECT_EQ(bitnet_queue_next(queue.get(), kForever, &nothing), BITNET_END);
  });
  bitnet_queue_wake(queue.get());
  other.join();
  bitnet_queue_wake(nullptr);
  bitnet_queue_free(nullptr);
}

TEST_F(SubmissionTest, AQueueMayGoBeforeWhatIsSubmittedToIt) {
  Client client = make_client(model, engine, 2);
  submit(client);
  queue.reset();
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  client.generation.reset();
}

// A pool of the host program's, nobody of which waits.
TEST_F(SubmissionTest, WorksOnACallersPool) {
  const auto parallel = [](void*, uint32_t count, void (*task)(void*, uint32_t), void* data) {
    for (uint32_t i = 0; i < count; i++) task(data, i);
  };
  const Pool pool = make_pool({.threads = 2, .parallel = parallel});
  const Engine of_caller = make_engine(model, {.pool = pool.get()});
  Client client = make_client(model, of_caller, 5), expected = make_client(model, engine, 5);
  do {
    submit(client);
    expect_given();
  } while (client.take());
  while (expected.take()) {
  }
  expect_same(client, expected, 5);
}

TEST(Pools, EnginesOfSeveralModelsTakeTurns) {
  const Model models[] = {open(model_path()), open(model_path(BITNET_PACKING_I2, BITNET_HEAD_SCREENED, 2))};
  const Pool pool = make_pool({.threads = 2});
  const Engine engines[] = {make_engine(models[0], {.pool = pool.get()}), make_engine(models[1], {.pool = pool.get()})};
  std::vector<std::thread> threads;
  for (size_t i = 0; i < 8; i++) {
    threads.emplace_back([&, i] {
      Client client = make_client(models[i % 2], engines[i % 2], i);
      Client alone = make_client(models[i % 2], make_engine(models[i % 2], {.threads = 1}), i);
      while (client.take()) {
      }
      while (alone.take()) {
      }
      expect_same(client, alone, i);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// For a time fewer threads compute than the pool has; an engine that is made then will use them all.
TEST(Pools, AnEngineHasRoomForAllThreads) {
  const Model model = open(model_path());
  const Pool pool = make_pool({.threads = 2});
  const Session narrow = make_session(model, {.context = 128}, {.pool = pool.get(), .generation_threads = 1});
  const Tokens tokens = random_tokens(100);
  eval(narrow, tokens);
  for (int i = 0; i < 5; i++) {
    eval(narrow, std::span(tokens).first(1));
    const Session wide = make_session(model, {.context = 128}, {.pool = pool.get()});
    eval(wide, tokens);
    eval(wide, std::span(tokens).first(i + 1));
    const Session alone = make_session(model, {.context = 128}, {.threads = 1});
    eval(alone, tokens);
    eval(alone, std::span(tokens).first(i + 1));
    ASSERT_TRUE(same_bits(logits(wide), logits(alone))) << i;
  }
}

TEST(Pools, AnnounceEachThread) {
  struct Started {
    std::mutex mutex;
    std::set<std::thread::id> threads;
    std::multiset<uint32_t> indices;
  } started;
  const auto on_start = [](void* user, uint32_t index) {
    auto& all = *static_cast<Started*>(user);
    const std::lock_guard lock(all.mutex);
    all.threads.insert(std::this_thread::get_id());
    all.indices.insert(index);
  };
  {
    const Pool pool = make_pool({.threads = 2, .on_thread_start = on_start, .on_thread_start_user = &started});
    const Model model = open(model_path());
    eval(make_session(model, {.context = 16}, {.pool = pool.get()}), random_tokens(8));
  }
  if (std::thread::hardware_concurrency() < 2) GTEST_SKIP() << "a pool has no more threads than there are CPUs";
  EXPECT_EQ(started.threads.size(), 1u);
  EXPECT_EQ(started.indices, std::multiset<uint32_t>{1});
}

TEST(Engines, AnEngineOfAnotherModelIsRefused) {
  const Model model = open(model_path()), other = open(model_path());
  const Engine engine = make_engine(other);
  const bitnet_session_options options = {.size = sizeof options, .context = 16, .engine = engine.get()};
  bitnet_session* session = nullptr;
  EXPECT_EQ(bitnet_session_create(model.get(), &options, &session), BITNET_ERROR_ARGUMENT);
  EXPECT_EQ(session, nullptr);
}

// In any order, with work left over.
TEST(Engines, OutliveTheirHandles) {
  Model model = open(model_path());
  Pool pool = make_pool({.threads = 2});
  Engine engine = make_engine(model, {.pool = pool.get()});
  Client client = make_client(model, engine, 3);
  model.reset();
  pool.reset();
  engine.reset();
  EXPECT_TRUE(client.take());
  bitnet_pool_free(nullptr);
  bitnet_engine_free(nullptr);
}

// While tokens are drawn, sessions may come by the hundred.
TEST(Priorities, SessionsComeWhileOthersGoOn) {
  const Model model = open(model_path());
  const Engine engine = make_engine(model, {.threads = 2, .batch = 8});
  std::atomic<bool> over{false};
  std::vector<std::thread> clients;
  for (size_t i = 0; i < 2; i++) {
    clients.emplace_back([&, i] {
      while (!over) {
        Client client = make_client(model, engine, i);
        while (client.take()) {
        }
      }
    });
  }
  for (size_t round = 0; round < 4; round++) {
    std::vector<Session> sessions;
    for (size_t i = 0; i < 200; i++) sessions.push_back(make_session(model, {.context = 8, .engine = engine.get()}));
  }
  over = true;
  for (std::thread& client : clients) client.join();
}

// What is in the background is computed beside what is not, in small parts if there is no time, and to its end.
TEST(Priorities, NobodyStarves) {
  const Model model = open(model_path());
  const Engine engine = make_engine(model, {.threads = 2, .batch = 8, .pass_ms = 1});
  const Tokens tokens = random_tokens(30);
  const auto expected = [&] {
    const Session alone = make_session(model, {.context = 256});
    eval(alone, tokens);
    return logits(alone);
  }();
  std::atomic<bool> over{false};
  std::vector<std::thread> interactive;
  for (size_t i = 0; i < 2; i++) {
    interactive.emplace_back([&, i] {
      while (!over) {
        Client client = make_client(model, engine, i);
        while (client.take()) {
        }
      }
    });
  }
  const Session background =
      make_session(model, {.context = 256, .engine = engine.get(), .priority = BITNET_PRIORITY_BACKGROUND});
  eval(background, tokens);
  over = true;
  for (std::thread& thread : interactive) thread.join();
  EXPECT_TRUE(same_bits(logits(background), expected));
}

}  // namespace
}  // namespace bitnet_test
