// SPDX-License-Identifier: MIT
// Sessions of one model that compute at the same time share passes over the weights, and notice nothing of it. Run
// under the thread sanitizer as well.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include "base/waiting.h"
#include "test_model.h"

namespace bitnet_test {
namespace {

constexpr uint32_t kContext = 200;  // more than three pages

// Sessions on the default engine, unless they are made with another.
constexpr bitnet_session_options kOptions = {.size = sizeof(bitnet_session_options), .context = kContext};
constexpr bitnet_engine_options kEngine = {.size = sizeof(bitnet_engine_options), .threads = 2, .batch = 24};
constexpr uint64_t kPage = 126976;  // of the test model
// Its prefixes and its sessions have less room than they want.
constexpr bitnet_engine_options kTightEngine = {.size = sizeof(bitnet_engine_options),
                                                .threads = 2,
                                                .batch = 24,
                                                .prefix_bytes = 8 * kPage,
                                                .kv_bytes = 60 * kPage,
                                                .overcommit = 1,
                                                .queue_ms = 2};

// Some sequences of tokens, two of which begin alike, and the logits after each token as a session computes them alone,
// one token at a time.
struct Sequences {
  static constexpr uint32_t kCount = 4;

  explicit Sequences(const Model& of) : model(of) {
    for (uint32_t i = 0; i < kCount; i++) {
      tokens.push_back(random_tokens(kContext, 10 + i));
      if (i % 2 != 0) std::copy_n(tokens[i - 1].begin(), kContext / 2, tokens[i].begin());  // go on otherwise
      const Session alone = make_session(model, kOptions, {.threads = 1});
      logits.emplace_back();
      for (uint32_t t = 0; t < kContext; t++) {
        eval(alone, std::span(tokens[i]).subspan(t, 1));
        logits[i].push_back(bitnet_test::logits(alone));
      }
    }
  }

  // The likeliest tokens after the first `length` of a sequence, as a session draws them alone.
  Tokens continuation(uint32_t sequence, uint32_t length) {
    const std::lock_guard lock(mutex);
    Tokens& drawn = continuations[{sequence, length}];
    if (!drawn.empty()) return drawn;
    const Session alone = make_session(model, kOptions, {.threads = 1});
    eval(alone, std::span(tokens[sequence]).first(length));
    while (drawn.size() < kMostDrawn) {
      const std::vector<float> row = bitnet_test::logits(alone);
      drawn.push_back(static_cast<bitnet_token>(std::max_element(row.begin(), row.end()) - row.begin()));
      if (length + drawn.size() > kContext) break;
      eval(alone, std::span(&drawn.back(), 1));
    }
    return drawn;
  }

  static constexpr uint32_t kMostDrawn = 8;
  const Model& model;
  std::vector<Tokens> tokens;
  std::vector<std::vector<std::vector<float>>> logits;
  std::mutex mutex;
  std::map<std::pair<uint32_t, uint32_t>, Tokens> continuations;
};

// What one thread does with a few sessions of its own, which all hold the beginning of some sequence. Some share
// prefixes with those of other threads.
class Driver {
 public:
  Driver(const Model& model, const Engine& engine, Sequences& sequences, uint32_t seed)
      : model_(model), engine_(engine), sequences_(sequences), random_(seed) {
    for (uint32_t i = 0; i < kSessions; i++) {
      states_[i].sequence = below(Sequences::kCount);
      bitnet_session_options options = kOptions;
      options.abort = [](void* user) { return static_cast<Driver*>(user)->aborts() ? 1 : 0; };
      options.abort_user = this;
      options.engine = engine.get();
      options.prefix_scope = below(3);
      options.priority = i % 2 == 0 ? BITNET_PRIORITY_INTERACTIVE : BITNET_PRIORITY_BACKGROUND;
      states_[i].session = make_session(model, options);
    }
    const bitnet_sampler_options greedy = {.size = sizeof greedy};
    bitnet_sampler* sampler = nullptr;
    EXPECT_OK(bitnet_sampler_create(&greedy, &sampler));
    sampler_.reset(sampler);
  }

  // A session that lives as long as this, for others to cancel.
  bitnet_session* first() const { return states_[0].session.get(); }

  void step() {
    State& state = states_[below(kSessions)];
    switch (below(11)) {
      case 10:
        ASSERT_OK(bitnet_engine_trim(model_.get(), engine_.get(), nullptr));
        return;
      case 0:
        return rewind(state);
      case 1:
        return fork(state);
      case 2:
        return save_and_load(state);
      case 3:
      case 4:
        return generate(state);
      default:
        return evaluate(state);
    }
  }

  uint32_t evaluated = 0, cancelled = 0, refused = 0;

 private:
  static constexpr uint32_t kSessions = 4;
  struct State {
    Session session;
    uint32_t sequence = 0;
  };

  uint32_t below(uint32_t n) { return static_cast<uint32_t>(random_() % n); }
  bool aborts() { return abort_ && below(20) == 0; }
  // Whether it was cancelled, or found no room.
  bool leaves(bitnet_status status) {
    cancelled += status == BITNET_ERROR_CANCELLED ? 1 : 0;
    refused += status == BITNET_ERROR_MEMORY ? 1 : 0;
    return status == BITNET_ERROR_CANCELLED || status == BITNET_ERROR_MEMORY;
  }

  void rewind(const State& state) {
    ASSERT_OK(bitnet_session_rewind(state.session.get(), below(bitnet_session_position(state.session.get()) + 1)));
  }

  void fork(const State& state) {
    State& other = states_[1 + below(kSessions - 1)];
    bitnet_session* fork = nullptr;
    ASSERT_OK(bitnet_session_fork(state.session.get(), &fork));
    other.session.reset(fork);
    other.sequence = state.sequence;
  }

  void save_and_load(const State& state) {
    State& other = states_[below(kSessions)];
    std::vector<char> saved(2 << 20);
    size_t length = 0;
    ASSERT_OK(bitnet_session_save_memory(state.session.get(), saved.data(), saved.size(), &length));
    const uint32_t held = bitnet_session_position(other.session.get());
    const bitnet_status status = bitnet_session_load_memory(other.session.get(), saved.data(), length);
    if (leaves(status)) {
      EXPECT_EQ(bitnet_session_position(other.session.get()), held);
      return;
    }
    ASSERT_OK(status);
    other.sequence = state.sequence;
  }

  void evaluate(const State& state) {
    bitnet_session* const session = state.session.get();
    uint32_t position = bitnet_session_position(session);
    if (position == kContext) {
      position = below(kContext);
      ASSERT_OK(bitnet_session_rewind(session, position));
    }
    const uint32_t most = below(2) == 0 ? 1 : kContext - position, count = 1 + below(most);
    const auto which = static_cast<bitnet_logits_of>(below(3));
    abort_ = below(4) == 0;
    const bitnet_status status =
        bitnet_eval(session, sequences_.tokens[state.sequence].data() + position, count, which);
    if (leaves(status)) {
      EXPECT_EQ(bitnet_session_position(session), position);
      return;
    }
    ASSERT_OK(status);
    evaluated++;
    EXPECT_EQ(bitnet_session_position(session), position + count);
    check(state, position, count, which);
  }

  // Through calls that wait or through the queue, to some end or other. Forgets it afterwards.
  void generate(const State& state) {
    bitnet_session* const session = state.session.get();
    uint32_t position = bitnet_session_position(session);
    if (position + 2 >= kContext) {
      position = below(kContext / 2);
      ASSERT_OK(bitnet_session_rewind(session, position));
    }
    const uint32_t count = 1 + below(kContext - position - 2), most = 1 + below(Sequences::kMostDrawn);
    const bitnet_generate_options options = {
        .size = sizeof options, .max_tokens = most, .flags = BITNET_GENERATE_IGNORE_END};
    abort_ = below(4) == 0;
    const bool submits = below(2) == 0;
    const Tokens expected = sequences_.continuation(state.sequence, position + count);
    bitnet_generation* made = nullptr;
    ASSERT_OK(bitnet_generation_start_tokens(session, sequences_.tokens[state.sequence].data() + position, count,
                                             &options, &made));
    Generation generation(made);
    const uint32_t wanted = below(most + 2);
    Tokens drawn;
    bitnet_status status = BITNET_OK;
    while (status == BITNET_OK && drawn.size() < wanted) {
      if (submits) {
        void* user = nullptr;
        ASSERT_OK(bitnet_generation_submit(made, queue_.get(), made));
        ASSERT_OK(bitnet_queue_next(queue_.get(), UINT32_MAX, &user));
        ASSERT_EQ(user, made);
      }
      bitnet_piece piece = {.size = sizeof piece};
      status = bitnet_generation_next(made, &piece);
      if (status == BITNET_OK) drawn.push_back(piece.token);
    }
    if (!leaves(status)) {
      ASSERT_GE(status, 0) << bitnet_last_error();
      evaluated++;
    }
    ASSERT_LE(drawn.size(), expected.size());
    EXPECT_TRUE(std::equal(drawn.begin(), drawn.end(), expected.begin())) << testing::PrintToString(drawn);
    generation.reset();
    const uint32_t held = bitnet_session_position(session);
    if (status == BITNET_END) {
      EXPECT_EQ(held, std::min<size_t>(kContext, position + count + drawn.size()));
    } else if (!drawn.empty()) {
      EXPECT_EQ(held, position + count + drawn.size() - 1);
    }
    ASSERT_OK(bitnet_session_rewind(session, std::min(held, position + below(count + 1))));
  }

  void check(const State& state, uint32_t position, uint32_t count, bitnet_logits_of which) {
    const auto& expected = sequences_.logits[state.sequence];
    if (which == BITNET_LOGITS_NONE) return;
    bitnet_token token = 0;
    ASSERT_OK(bitnet_sample(sampler_.get(), state.session.get(), &token));
    const auto& last = expected[position + count - 1];
    EXPECT_EQ(token, std::max_element(last.begin(), last.end()) - last.begin());
    const uint32_t rows = which == BITNET_LOGITS_ALL ? count : 1;
    for (uint32_t i = 0; i < rows; i++) {
      ASSERT_TRUE(same_bits(logits(state.session, i), expected[position + count - rows + i])) << "row " << i;
    }
  }

  const Model& model_;
  const Engine& engine_;
  Sequences& sequences_;
  std::mt19937 random_;
  Queue queue_ = make_queue();
  State states_[kSessions];
  Sampler sampler_;
  bool abort_ = false;
};

// A seed from the environment repeats a run.
uint32_t seed() {
  const char* const given = std::getenv("BITNET_TEST_SEED");
  return given != nullptr ? static_cast<uint32_t>(std::strtoul(given, nullptr, 10)) : std::random_device()();
}

#ifdef BITNET_SANITIZED
constexpr int kSteps = 12;
#else
constexpr int kSteps = 40;
#endif

// For how long each of the tests below goes on, if not for kSteps.
std::chrono::seconds given_time() {
  const char* const given = std::getenv("BITNET_TEST_SECONDS");
  return std::chrono::seconds(given != nullptr ? std::atoi(given) : 0);
}

void drive(bitnet_head head, const bitnet_engine_options& engine_options, uint32_t first_seed, int count) {
  constexpr uint32_t kThreads = 8;
  SCOPED_TRACE("BITNET_TEST_SEED=" + std::to_string(first_seed));
  const Model model = open(model_path(BITNET_PACKING_I2, head));
  Sequences sequences(model);
  const Engine engine = make_engine(model, engine_options);
  std::vector<std::unique_ptr<Driver>> drivers;
  for (uint32_t i = 0; i < kThreads; i++) {
    drivers.push_back(std::make_unique<Driver>(model, engine, sequences, first_seed + i));
  }
  std::vector<std::thread> threads;
  for (const auto& driver : drivers) {
    threads.emplace_back([&] {
      for (int i = 0; i < count && !testing::Test::HasFailure(); i++) driver->step();
    });
  }
  std::atomic<bool> over{false};
  std::thread canceller([&] {
    std::mt19937 random(first_seed);
    while (!over.load()) {
      bitnet_session_cancel(drivers[random() % kThreads]->first(), 1);
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  });
  for (std::thread& thread : threads) thread.join();
  over.store(true);
  canceller.join();
  uint32_t evaluated = 0, refused = 0;
  for (const auto& driver : drivers) {
    evaluated += driver->evaluated;
    refused += driver->refused;
  }
  EXPECT_GT(evaluated, kThreads);
  EXPECT_TRUE(refused == 0 || engine_options.overcommit);
}

// Each round has another seed.
void drive(bitnet_head head, const bitnet_engine_options& engine_options) {
  const auto end = std::chrono::steady_clock::now() + given_time();
  uint32_t next = seed();
  do {
    drive(head, engine_options, next++, kSteps);
  } while (std::chrono::steady_clock::now() < end && !testing::Test::HasFailure());
}

TEST(Sharing, EverySessionGetsWhatItGetsAlone) { drive(BITNET_HEAD_F16, kEngine); }

TEST(Sharing, EverySessionGetsWhatItGetsAloneWithAScreen) { drive(BITNET_HEAD_SCREENED, kEngine); }

TEST(Sharing, EverySessionGetsWhatItGetsAloneWithLittleRoom) { drive(BITNET_HEAD_SCREENED, kTightEngine); }

TEST(Sharing, SessionsShareThreads) {
#ifndef __linux__
  GTEST_SKIP() << "the threads of a process are counted where Linux lists them";
#endif
  const auto threads = [] {
    const std::filesystem::directory_iterator tasks("/proc/self/task");
    return std::distance(begin(tasks), end(tasks));
  };
  const Model model = open(model_path());
  std::vector<Session> sessions;
  const auto before = threads();
  sessions.push_back(make_session(model, kOptions));
  const auto with_one = threads();
  while (sessions.size() < 64) sessions.push_back(make_session(model, kOptions));
  EXPECT_EQ(threads(), with_one);
  EXPECT_LE(with_one, before + 1);
}

// An evaluation that does not end by itself: its function to abort waits until it is told to go on.
struct Held {
  static int hold(void* user) {
    auto* held = static_cast<Held*>(user);
    held->reached.store(true);
    bitnet::wake_all(held->reached);
    bitnet::wait_while(held->free, false);
    return held->result;
  }
  std::atomic<bool> reached{false}, free{false};
  int result = 0;
};

TEST(Sharing, ASessionInUseAnswersABusyCaller) {
  const Model model = open(model_path());
  Held held;
  bitnet_session_options options = kOptions;
  options.abort = Held::hold;
  options.abort_user = &held;
  const Session session = make_session(model, options);
  const Tokens tokens = random_tokens(8);
  std::thread other([&] { EXPECT_OK(bitnet_eval(session.get(), tokens.data(), 4, BITNET_LOGITS_LAST)); });
  bitnet::wait_while(held.reached, false);
  EXPECT_EQ(bitnet_eval(session.get(), tokens.data(), 1, BITNET_LOGITS_LAST), BITNET_ERROR_BUSY);
  EXPECT_EQ(bitnet_session_rewind(session.get(), 0), BITNET_ERROR_BUSY);
  const float* row = nullptr;
  EXPECT_EQ(bitnet_session_logits(session.get(), 0, &row), BITNET_ERROR_BUSY);
  bitnet_session* fork = nullptr;
  EXPECT_EQ(bitnet_session_fork(session.get(), &fork), BITNET_ERROR_BUSY);
  EXPECT_EQ(bitnet_session_position(session.get()), 0u);
  held.free.store(true);
  bitnet::wake_all(held.free);
  other.join();
  EXPECT_EQ(bitnet_session_position(session.get()), 4u);
}

TEST(Sharing, CancellingConcernsOneCall) {
  const Model model = open(model_path());
  const Session session = make_session(model, kOptions);
  const Tokens tokens = random_tokens(8);
  bitnet_session_cancel(session.get(), 1);
  EXPECT_EQ(bitnet_eval(session.get(), tokens.data(), 1, BITNET_LOGITS_LAST), BITNET_ERROR_CANCELLED);
  EXPECT_OK(bitnet_eval(session.get(), tokens.data(), 1, BITNET_LOGITS_LAST));
  bitnet_session_cancel(session.get(), 1);
  bitnet_session_cancel(session.get(), 0);
  EXPECT_OK(bitnet_eval(session.get(), tokens.data(), 1, BITNET_LOGITS_LAST));
  bitnet_session_cancel(nullptr, 1);
}

TEST(Sharing, ASessionThatIsFreedCancelsItsCall) {
  const Model model = open(model_path());
  bitnet_session* session = make_session(model, {.size = sizeof(bitnet_session_options), .context = 8192}).release();
  const Tokens tokens = random_tokens(8000);
  std::atomic<bool> started{false};
  std::thread other([&] {
    started.store(true);
    bitnet::wake_all(started);
    EXPECT_EQ(bitnet_eval(session, tokens.data(), tokens.size(), BITNET_LOGITS_NONE), BITNET_ERROR_CANCELLED);
  });
  bitnet::wait_while(started, false);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  bitnet_session_free(session);
  other.join();
}

TEST(Sharing, ACallbackMayFreeItsOwnSession) {
  const Model model = open(model_path());
  struct Owner {
    bitnet_session* session = nullptr;
  } owner;
  bitnet_session_options options = kOptions;
  options.abort = [](void* user) {
    bitnet_session_free(std::exchange(static_cast<Owner*>(user)->session, nullptr));
    return 0;
  };
  options.abort_user = &owner;
  owner.session = make_session(model, options).release();
  const Tokens tokens = random_tokens(8);
  EXPECT_EQ(bitnet_eval(owner.session, tokens.data(), 8, BITNET_LOGITS_LAST), BITNET_ERROR_CANCELLED);
}

// Two callers of a pool whose threads are all taken: whoever leads runs every piece by itself.
TEST(Sharing, CallersOfOnePoolOfTheirOwnTakeTurns) {
  const Model model = open(model_path());
  const Tokens tokens = random_tokens(40);
  const auto parallel = [](void*, uint32_t count, void (*task)(void*, uint32_t), void* data) {
    for (uint32_t i = 0; i < count; i++) task(data, i);
  };
  const Pool pool = make_pool({.threads = 2, .parallel = parallel});
  const Engine engine = make_engine(model, {.pool = pool.get()});
  bitnet_session_options options = kOptions;
  options.engine = engine.get();
  const Session alone = make_session(model, kOptions);
  eval(alone, tokens);
  const auto reference = logits(alone);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) {
    threads.emplace_back([&] {
      const Session session = make_session(model, options);
      for (size_t t = 0; t < tokens.size(); t++) eval(session, std::span(tokens).subspan(t, 1));
      EXPECT_TRUE(same_bits(logits(session), reference));
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// A pool of the host program: jobs, and the pieces that they are cut into, which whoever waits for them runs as well.
class HostPool {
 public:
  explicit HostPool(uint32_t workers) {
    for (uint32_t i = 0; i < workers; i++) threads_.emplace_back([this] { work(); });
  }
  // When all jobs are done.
  ~HostPool() {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  void post(std::function<void()> job) {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
    changed_.notify_all();
  }
  static void parallel(void* user, uint32_t count, void (*task)(void*, uint32_t), void* data) {
    auto& pool = *static_cast<HostPool*>(user);
    uint32_t left = count;
    std::unique_lock lock(pool.mutex_);
    for (uint32_t i = 0; i < count; i++) {
      pool.pieces_.push_back([&pool, &left, task, data, i] {
        task(data, i);
        const std::lock_guard done(pool.mutex_);
        left--;
        pool.changed_.notify_all();
      });
    }
    pool.changed_.notify_all();
    while (left != 0) {
      if (!run_first(pool.pieces_, lock)) pool.changed_.wait(lock);
    }
  }

 private:
  using Jobs = std::deque<std::function<void()>>;
  static bool run_first(Jobs& jobs, std::unique_lock<std::mutex>& lock) {
    if (jobs.empty()) return false;
    const std::function<void()> job = std::move(jobs.front());
    jobs.pop_front();
    lock.unlock();
    job();
    lock.lock();
    return true;
  }
  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      if (run_first(pieces_, lock) || run_first(jobs_, lock)) continue;
      if (closing_) return;
      changed_.wait(lock);
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  Jobs pieces_, jobs_;
  bool closing_ = false;
  std::vector<std::thread> threads_;
};

// All workers of the pool wait in the library, in different models' engines or one: whoever leads runs every piece.
TEST(Sharing, AllWorkersOfAPoolMayEvaluate) {
  const Model model = open(model_path()), other = open(model_path());
  const Tokens tokens = random_tokens(30);
  const Session alone = make_session(model, kOptions);
  eval(alone, tokens);
  const auto reference = logits(alone);
  auto host = std::make_unique<HostPool>(2);
  const Pool pool = make_pool({.threads = 2, .parallel = HostPool::parallel, .parallel_user = host.get()});
  const Engine engines[] = {make_engine(model, {.pool = pool.get()}), make_engine(other, {.pool = pool.get()})};
  for (int i = 0; i < 6; i++) {
    host->post([&, i] {
      bitnet_session_options options = kOptions;
      options.engine = engines[i % 2].get();
      const Session session = make_session(i % 2 == 0 ? model : other, options);
      for (size_t t = 0; t < tokens.size(); t++) eval(session, std::span(tokens).subspan(t, 1));
      EXPECT_TRUE(same_bits(logits(session), reference));
    });
  }
  // Two callers that are no workers of it.
  std::vector<std::thread> callers;
  for (int i = 0; i < 2; i++) {
    callers.emplace_back([&] {
      bitnet_session_options options = kOptions;
      options.engine = engines[0].get();
      const Session session = make_session(model, options);
      eval(session, tokens);
      EXPECT_TRUE(same_bits(logits(session), reference));
    });
  }
  for (std::thread& caller : callers) caller.join();
  host.reset();
}

// It must not, but nothing worse comes of it than an error.
TEST(Sharing, ACallbackThatCallsBackIsTold) {
  const Model model = open(model_path());
  struct Caller {
    bitnet_session* session = nullptr;
    bitnet_status status = BITNET_OK;
    static int ask(void* user) {
      auto& caller = *static_cast<Caller*>(user);
      const bitnet_token token = 1;
      caller.status = bitnet_eval(caller.session, &token, 1, BITNET_LOGITS_LAST);
      return 0;
    }
  } caller;
  bitnet_session_options options = kOptions;
  options.abort = Caller::ask;
  options.abort_user = &caller;
  const Session session = make_session(model, options);
  caller.session = session.get();
  eval(session, random_tokens(8));
  EXPECT_EQ(caller.status, BITNET_ERROR_BUSY);
  EXPECT_EQ(bitnet_session_position(session.get()), 8u);
}

}  // namespace
}  // namespace bitnet_test
