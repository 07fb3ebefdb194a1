// SPDX-License-Identifier: MIT
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "format/sample_model.h"
#include "test_model.h"

namespace bitnet_test {
namespace {

constexpr bitnet_session_options kSmall = {.size = sizeof kSmall, .context = 64};

class SessionTest : public testing::Test {
 protected:
  Model model = open(model_path());
  Tokens tokens = random_tokens(64);

  Session with(size_t count) {
    Session session = make_session(model, kSmall);
    eval(session, std::span(tokens).first(count));
    return session;
  }
  std::vector<float> next_logits(const Session& session) {
    eval(session, std::span(tokens).subspan(bitnet_session_position(session.get()), 1));
    return logits(session);
  }
};

TEST_F(SessionTest, KnowsItsTokens) {
  const Session session = with(10);
  const bitnet_token* held = nullptr;
  size_t count = 0;
  ASSERT_OK(bitnet_session_tokens(session.get(), &held, &count));
  EXPECT_EQ(Tokens(held, held + count), Tokens(tokens.begin(), tokens.begin() + 10));
  EXPECT_EQ(bitnet_session_position(session.get()), 10u);
  EXPECT_EQ(bitnet_session_context(session.get()), 64u);
}

TEST_F(SessionTest, LogitsOfTheLastAreTheLastOfAll) {
  const Session last = with(10), all = make_session(model, kSmall), none = make_session(model, kSmall);
  eval(all, std::span(tokens).first(10), BITNET_LOGITS_ALL);
  EXPECT_TRUE(same_bits(logits(last), logits(all, 9)));
  eval(none, std::span(tokens).first(10), BITNET_LOGITS_NONE);
  const float* data = nullptr;
  EXPECT_EQ(bitnet_session_logits(none.get(), 0, &data), BITNET_ERROR_ARGUMENT);
  EXPECT_EQ(bitnet_session_logits(last.get(), 1, &data), BITNET_ERROR_ARGUMENT);
  EXPECT_EQ(bitnet_session_logits(all.get(), 10, &data), BITNET_ERROR_ARGUMENT);
  EXPECT_TRUE(same_bits(next_logits(none), next_logits(last)));
}

TEST_F(SessionTest, RewindForgetsWhatCameAfter) {
  const Session session = with(20), reference = with(10);
  ASSERT_OK(bitnet_session_rewind(session.get(), 10));
  EXPECT_EQ(bitnet_session_position(session.get()), 10u);
  const float* data = nullptr;
  EXPECT_EQ(bitnet_session_logits(session.get(), 0, &data), BITNET_ERROR_ARGUMENT);
  EXPECT_TRUE(same_bits(next_logits(session), next_logits(reference)));
  EXPECT_EQ(bitnet_session_rewind(session.get(), 12), BITNET_ERROR_ARGUMENT);
  ASSERT_OK(bitnet_session_rewind(session.get(), 0));
  EXPECT_EQ(bitnet_session_position(session.get()), 0u);
}

TEST_F(SessionTest, EachKindOfCacheIsRewound) {
  for (const bitnet_kv kv : {BITNET_KV_F16, BITNET_KV_INT8, BITNET_KV_INT16}) {
    bitnet_session_options options = kSmall;
    options.kv = kv;
    const Session session = make_session(model, options), reference = make_session(model, options);
    for (const Session* each : {&session, &reference}) eval(*each, std::span(tokens).first(30));
    eval(session, std::span(tokens).subspan(7, 30));
    ASSERT_OK(bitnet_session_rewind(session.get(), 30));
    EXPECT_TRUE(same_bits(next_logits(session), next_logits(reference))) << kv;
  }
}

TEST_F(SessionTest, ForkGoesItsOwnWay) {
  const Session session = with(10), reference = with(10);
  bitnet_session* raw = nullptr;
  ASSERT_OK(bitnet_session_fork(session.get(), &raw));
  const Session fork(raw);
  EXPECT_TRUE(same_bits(logits(fork), logits(session)));
  eval(fork, std::vector<bitnet_token>{3, 2, 1});
  EXPECT_EQ(bitnet_session_position(session.get()), 10u);
  EXPECT_TRUE(same_bits(next_logits(session), next_logits(reference)));
}

TEST_F(SessionTest, FullContextIsAnErrorThatChangesNothing) {
  const Session session = with(60), reference = with(60);
  EXPECT_EQ(bitnet_eval(session.get(), tokens.data(), 5, BITNET_LOGITS_LAST), BITNET_ERROR_CONTEXT);
  EXPECT_NE(std::string(bitnet_last_error()).find("60 of 64"), std::string::npos) << bitnet_last_error();
  EXPECT_EQ(bitnet_session_position(session.get()), 60u);
  EXPECT_TRUE(same_bits(next_logits(session), next_logits(reference)));
  eval(session, std::span(tokens).first(3));
  EXPECT_EQ(bitnet_eval(session.get(), tokens.data(), 1, BITNET_LOGITS_LAST), BITNET_ERROR_CONTEXT);
}

TEST_F(SessionTest, TokensOutOfRangeAreRefused) {
  const Session session = with(3);
  for (const bitnet_token bad : {-1, INT32_MIN, static_cast<int>(kVocabulary), INT32_MAX}) {
    const Tokens some = {1, bad};
    EXPECT_EQ(bitnet_eval(session.get(), some.data(), 2, BITNET_LOGITS_LAST), BITNET_ERROR_ARGUMENT) << bad;
  }
  EXPECT_EQ(bitnet_eval(session.get(), tokens.data(), 0, BITNET_LOGITS_LAST), BITNET_ERROR_ARGUMENT);
  EXPECT_EQ(bitnet_eval(session.get(), nullptr, 2, BITNET_LOGITS_LAST), BITNET_ERROR_ARGUMENT);
  EXPECT_EQ(bitnet_eval(session.get(), tokens.data(), 1, static_cast<bitnet_logits_of>(9)), BITNET_ERROR_ARGUMENT);
  EXPECT_EQ(bitnet_session_position(session.get()), 3u);
}

TEST_F(SessionTest, AbortStopsBetweenLayersAndChangesNothing) {
  struct State {
    int calls = 0, stop_at = 0;
  } state;
  bitnet_session_options options = kSmall;
  options.abort = [](void* user) {
    auto* s = static_cast<State*>(user);
    return static_cast<int>(++s->calls == s->stop_at);
  };
  options.abort_user = &state;
  const Session session = make_session(model, options);
  eval(session, std::span(tokens).first(10));
  ASSERT_GT(state.calls, 1) << "asked between layers";
  for (int stop = 1; stop <= state.calls / 2; stop++) {
    state = {.calls = 0, .stop_at = stop};
    EXPECT_EQ(bitnet_eval(session.get(), tokens.data() + 10, 20, BITNET_LOGITS_LAST), BITNET_ERROR_CANCELLED);
    EXPECT_EQ(bitnet_session_position(session.get()), 10u);
  }
  state = {};
  const Session reference = with(10);
  EXPECT_TRUE(same_bits(next_logits(session), next_logits(reference)));
}

TEST_F(SessionTest, ACallersThreadPoolGivesTheSame) {
  const auto parallel = [](void* user, uint32_t count, void (*task)(void*, uint32_t), void* data) {
    ++*static_cast<int*>(user);
    std::vector<std::thread> threads;
    for (uint32_t i = 0; i < count; i++) threads.emplace_back(task, data, i);
    for (std::thread& thread : threads) thread.join();
  };
  int runs = 0;
  const Pool pool = make_pool({.threads = 3, .parallel = parallel, .parallel_user = &runs});
  const Session session = make_session(model, kSmall, {.pool = pool.get()}), reference = with(10);
  eval(session, std::span(tokens).first(10));
  EXPECT_GT(runs, 0);
  EXPECT_TRUE(same_bits(logits(session), logits(reference)));
}

TEST_F(SessionTest, BatchIsAllOrNothing) {
  const Session a = with(10), b = with(60), reference = with(10);
  const bitnet_batch_item too_long[] = {{a.get(), tokens.data(), 5, BITNET_LOGITS_LAST},
                                        {b.get(), tokens.data(), 5, BITNET_LOGITS_LAST}};
  EXPECT_EQ(bitnet_eval_batch(too_long, 2), BITNET_ERROR_CONTEXT);
  const bitnet_batch_item twice[] = {{a.get(), tokens.data(), 5, BITNET_LOGITS_LAST},
                                     {a.get(), tokens.data(), 5, BITNET_LOGITS_LAST}};
  EXPECT_EQ(bitnet_eval_batch(twice, 2), BITNET_ERROR_ARGUMENT);
  const Model other = open(model_path(BITNET_PACKING_I2, BITNET_HEAD_F16, 2));
  const Session c = make_session(other, kSmall);
  const bitnet_batch_item mixed[] = {{a.get(), tokens.data(), 5, BITNET_LOGITS_LAST},
                                     {c.get(), tokens.data(), 5, BITNET_LOGITS_LAST}};
  EXPECT_EQ(bitnet_eval_batch(mixed, 2), BITNET_ERROR_ARGUMENT);
  EXPECT_EQ(bitnet_eval_batch(nullptr, 0), BITNET_ERROR_ARGUMENT);
  EXPECT_EQ(bitnet_session_position(a.get()), 10u);
  EXPECT_TRUE(same_bits(next_logits(a), next_logits(reference)));
}

TEST_F(SessionTest, PerfCountsWhatWasDone) {
  const Session session = with(10);
  next_logits(session);
  bitnet_perf perf = {.size = sizeof perf};
  ASSERT_OK(bitnet_session_get_perf(session.get(), &perf));
  EXPECT_EQ(perf.prompt_tokens, 10u);
  EXPECT_EQ(perf.generated_tokens, 1u);
  EXPECT_GT(perf.prompt_ns, 0u);
  EXPECT_GT(perf.generated_ns, 0u);
  bitnet_session_reset_perf(session.get());
  ASSERT_OK(bitnet_session_get_perf(session.get(), &perf));
  EXPECT_EQ(perf.prompt_tokens + perf.prompt_ns + perf.generated_tokens + perf.generated_ns, 0u);
}

TEST_F(SessionTest, AbsurdCountsAreRefused) {
  bitnet_pool* pool = nullptr;
  bitnet_engine* engine = nullptr;
  for (const uint32_t threads : {513u, UINT32_MAX}) {
    const bitnet_pool_options of_pool = {.size = sizeof of_pool, .threads = threads};
    EXPECT_EQ(bitnet_pool_create(&of_pool, &pool), BITNET_ERROR_ARGUMENT) << threads;
    const bitnet_engine_options of_engine = {.size = sizeof of_engine, .threads = threads};
    EXPECT_EQ(bitnet_engine_create(model.get(), &of_engine, &engine), BITNET_ERROR_ARGUMENT) << threads;
  }
  const Pool some = make_pool({.threads = 1});
  for (const bitnet_engine_options& of_engine : {
           bitnet_engine_options{.size = sizeof(bitnet_engine_options), .batch = 5000},
           bitnet_engine_options{.size = sizeof(bitnet_engine_options), .pass_ms = 60001},
           bitnet_engine_options{.size = sizeof(bitnet_engine_options), .pool = some.get(), .threads = 1},
       }) {
    EXPECT_EQ(bitnet_engine_create(model.get(), &of_engine, &engine), BITNET_ERROR_ARGUMENT) << bitnet_last_error();
  }
  EXPECT_EQ(pool, nullptr);
  EXPECT_EQ(engine, nullptr);
  bitnet_session* session = nullptr;
  bitnet_session_options options = {.size = sizeof options, .context = UINT32_MAX};
  EXPECT_EQ(bitnet_session_create(model.get(), &options, &session), BITNET_ERROR_ARGUMENT);
  options = {.size = sizeof options, .kv = static_cast<bitnet_kv>(99)};
  EXPECT_EQ(bitnet_session_create(model.get(), &options, &session), BITNET_ERROR_ARGUMENT);
  options = {.size = sizeof options, .priority = static_cast<bitnet_priority>(2)};
  EXPECT_EQ(bitnet_session_create(model.get(), &options, &session), BITNET_ERROR_ARGUMENT);
  EXPECT_EQ(session, nullptr);
}

// What bitnet.h says that zero stands for.
TEST(Defaults, AreAsDocumented) {
  const Model model = open(model_path());
  const auto bytes = [&](bitnet_session_options options) {
    options.size = sizeof options;
    uint64_t result = 0;
    EXPECT_EQ(bitnet_session_memory(model.get(), &options, &result), BITNET_OK) << bitnet_last_error();
    return result;
  };
  EXPECT_EQ(bytes({.context = 4096}), bytes({.context = 4096, .kv = BITNET_KV_INT16}));
  const auto engine_bytes = [&](bitnet_engine_options options) {
    options.size = sizeof options;
    uint64_t result = 0;
    EXPECT_EQ(bitnet_engine_memory(model.get(), &options, &result), BITNET_OK) << bitnet_last_error();
    return result;
  };
  EXPECT_EQ(engine_bytes({.threads = 1}), engine_bytes({.threads = 1, .batch = 256}));
  EXPECT_LT(engine_bytes({.threads = 1}), engine_bytes({.threads = 1, .batch = 257}));

  const auto draw = [](uint32_t window, const std::vector<bitnet_token>& recent) {
    const bitnet_sampler_options options = {
        .size = sizeof options, .frequency_penalty = 1.0f, .penalty_window = window};
    bitnet_sampler* sampler = nullptr;
    EXPECT_EQ(bitnet_sampler_create(&options, &sampler), BITNET_OK) << bitnet_last_error();
    const float logits[] = {0.5f, 0, -9};
    bitnet_token token = BITNET_NO_TOKEN;
    EXPECT_EQ(bitnet_sample_logits(sampler, logits, 3, recent.data(), recent.size(), &token), BITNET_OK);
    bitnet_sampler_free(sampler);
    return token;
  };
  std::vector<bitnet_token> recent(64, 2);
  recent.front() = 0;  // the 64th last
  EXPECT_EQ(draw(0, recent), 1);
  EXPECT_EQ(draw(64, recent), 1);
  EXPECT_EQ(draw(63, recent), 0);
  recent.push_back(2);
  EXPECT_EQ(draw(0, recent), 0);
}

// A model that was trained for a million tokens.
TEST(DefaultContext, IsWhatTheModelWasTrainedForButNotTooMuch) {
  const std::string path = temporary_folder() + "/long.gguf";
  std::string gguf = small_model().gguf().build();
  const std::string key = "bitnet-b1.58.context_length";
  const size_t at = gguf.find(key);
  ASSERT_NE(at, gguf.npos);
  const uint32_t trained = 1 << 20;
  std::memcpy(gguf.data() + at + key.size() + sizeof(uint32_t), &trained, sizeof trained);
  std::ofstream(path, std::ios::binary) << gguf;

  std::string said;
  const auto note = [](void* user, bitnet_log_level, const char* message) {
    static_cast<std::string*>(user)->append(message).append("\n");
  };
  const bitnet_open_options open_options = {.size = sizeof open_options, .log = note, .log_user = &said};
  bitnet_model* raw = nullptr;
  ASSERT_OK(bitnet_open(path.c_str(), &open_options, &raw));
  const Model model(raw);
  EXPECT_EQ(bitnet_session_context(make_session(model).get()), 8192u);
  EXPECT_NE(said.find("context: 8192 of the 1048576 tokens that the model was trained for"), std::string::npos) << said;
  said.clear();
  EXPECT_EQ(bitnet_session_context(make_session(model, {.context = 10000}).get()), 10000u);
  EXPECT_EQ(said, "");

  const bitnet_session_options named = {.size = sizeof named, .context = 8192};
  uint64_t by_default = 0, by_name = 0;
  ASSERT_OK(bitnet_session_memory(model.get(), nullptr, &by_default));
  ASSERT_OK(bitnet_session_memory(model.get(), &named, &by_name));
  EXPECT_EQ(by_default, by_name);

  const Model shorter = open(model_path());
  EXPECT_EQ(bitnet_session_context(make_session(shorter).get()), 512u);
}

// Of the most dimensions that a head may have.
TEST(LongHeads, HaveIntegerCaches) {
  SampleModel shape = small_model();
  shape.layers = shape.heads = shape.kv_heads = 1;
  shape.hidden = 4096;
  shape.ffn = 64;
  shape.vocabulary = kVocabulary;
  const std::string path = temporary_folder() + "/long_heads.gguf";
  std::ofstream(path, std::ios::binary) << shape.draw().gguf().build();
  const Tokens tokens = random_tokens(20);
  const auto run = [&](const char* isa, bitnet_kv kv) {
    const Model model = open(path, isa);
    bitnet_session_options options = kSmall;
    options.kv = kv;
    const Session session = make_session(model, options);
    eval(session, tokens);
    return logits(session);
  };
  const std::vector<float> f16 = run(nullptr, BITNET_KV_F16);
  for (const bitnet_kv kv : {BITNET_KV_INT8, BITNET_KV_INT16}) {
    const std::vector<float> integers = run(nullptr, kv);
    EXPECT_TRUE(same_bits(integers, run("scalar", kv))) << kv;
    const double error = distance(integers, f16);
    EXPECT_GT(error, 0) << kv;
    EXPECT_LT(error, 0.1) << kv;
  }
}

class StateTest : public SessionTest {
 protected:
  std::vector<unsigned char> save(const Session& session) {
    size_t length = 0;
    EXPECT_EQ(bitnet_session_save_memory(session.get(), nullptr, 0, &length), BITNET_ERROR_BUFFER);
    std::vector<unsigned char> state(length);
    EXPECT_OK(bitnet_session_save_memory(session.get(), state.data(), state.size(), &length));
    EXPECT_EQ(length, state.size());
    return state;
  }
};

TEST_F(StateTest, LoadedSessionGoesOnAsTheSavedOne) {
  const Session session = with(20), loaded = with(5), reference = with(20);
  const auto state = save(session);
  ASSERT_OK(bitnet_session_load_memory(loaded.get(), state.data(), state.size()));
  EXPECT_EQ(bitnet_session_position(loaded.get()), 20u);
  EXPECT_TRUE(same_bits(next_logits(loaded), next_logits(reference)));

  const std::string path = temporary_folder() + "/session.state";
  ASSERT_OK(bitnet_session_save(session.get(), path.c_str()));
  const Session from_file = make_session(model, kSmall);
  ASSERT_OK(bitnet_session_load(from_file.get(), path.c_str()));
  ASSERT_OK(bitnet_session_rewind(reference.get(), 20));
  EXPECT_TRUE(same_bits(next_logits(from_file), next_logits(reference)));
}

// Beyond a block of positions, and not at its end.
TEST_F(StateTest, LongSessionsAreSavedAndForkedWhole) {
  for (const bitnet_kv kv : {BITNET_KV_F16, BITNET_KV_INT8, BITNET_KV_INT16}) {
    const bitnet_session_options options = {.size = sizeof options, .context = 200, .kv = kv};
    const Tokens tokens = random_tokens(151, 7);
    const Session session = make_session(model, options), loaded = make_session(model, options);
    eval(session, std::span(tokens).first(150), BITNET_LOGITS_NONE);
    const auto state = save(session);
    ASSERT_OK(bitnet_session_load_memory(loaded.get(), state.data(), state.size()));
    EXPECT_EQ(save(loaded), state);
    bitnet_session* raw = nullptr;
    ASSERT_OK(bitnet_session_fork(session.get(), &raw));
    const Session fork(raw);
    for (const Session* each : {&session, &loaded, &fork}) eval(*each, std::span(tokens).last(1));
    EXPECT_TRUE(same_bits(logits(loaded), logits(session))) << kv;
    EXPECT_TRUE(same_bits(logits(fork), logits(session))) << kv;
  }
}

TEST_F(StateTest, AStateOfAnotherKindOfCacheIsRefused) {
  const std::pair<bitnet_kv, std::string> kinds[] = {
      {BITNET_KV_F16, "f16"}, {BITNET_KV_INT8, "int8"}, {BITNET_KV_INT16, "int16"}};
  for (const auto& [from_kv, from_name] : kinds) {
    for (const auto& [to_kv, to_name] : kinds) {
      if (from_kv == to_kv) continue;
      bitnet_session_options options = kSmall;
      options.kv = from_kv;
      const Session from = make_session(model, options);
      options.kv = to_kv;
      const Session to = make_session(model, options);
      eval(from, std::span(tokens).first(20));
      eval(to, std::span(tokens).first(10));
      const auto state = save(from);
      EXPECT_EQ(bitnet_session_load_memory(to.get(), state.data(), state.size()), BITNET_ERROR_MISMATCH);
      EXPECT_NE(std::string(bitnet_last_error()).find("KV cache is " + from_name + ", this one's " + to_name + ";"),
                std::string::npos)
          << bitnet_last_error();
      EXPECT_EQ(bitnet_session_position(to.get()), 10u);
    }
  }
}

TEST_F(StateTest, EmptySessionCanBeSaved) {
  const auto state = save(make_session(model, kSmall));
  const Session session = with(5);
  ASSERT_OK(bitnet_session_load_memory(session.get(), state.data(), state.size()));
  EXPECT_EQ(bitnet_session_position(session.get()), 0u);
}

TEST_F(StateTest, AnotherModelsStateIsRefused) {
  const auto state = save(with(20));
  const Model other = open(model_path(BITNET_PACKING_I2, BITNET_HEAD_F16, 2));
  const Session session = make_session(other, kSmall);
  EXPECT_EQ(bitnet_session_load_memory(session.get(), state.data(), state.size()), BITNET_ERROR_MISMATCH);
  EXPECT_EQ(bitnet_session_position(session.get()), 0u);
}

TEST_F(StateTest, AnEarlierVersionsStateIsRefused) {
  auto state = save(with(20));
  state[8] = 1;  // the version, behind the magic number
  const Session session = with(5);
  EXPECT_EQ(bitnet_session_load_memory(session.get(), state.data(), state.size()), BITNET_ERROR_UNSUPPORTED);
  EXPECT_NE(std::string(bitnet_last_error()).find("version 1"), std::string::npos) << bitnet_last_error();
  EXPECT_NE(std::string(bitnet_last_error()).find("evaluate its tokens anew"), std::string::npos);
  EXPECT_EQ(bitnet_session_position(session.get()), 5u);
}

TEST_F(StateTest, ALongerSessionIsRefused) {
  const auto state = save(with(20));
  const Session session = make_session(model, {.size = sizeof(bitnet_session_options), .context = 10});
  EXPECT_EQ(bitnet_session_load_memory(session.get(), state.data(), state.size()), BITNET_ERROR_CONTEXT);
}

TEST_F(StateTest, DamageIsFoundAndChangesNothing) {
  const auto state = save(with(20));
  const Session session = with(10), reference = with(10);
  auto expect_refused = [&](const std::vector<unsigned char>& bad, const std::string& what) {
    const bitnet_status status = bitnet_session_load_memory(session.get(), bad.data(), bad.size());
    EXPECT_TRUE(status == BITNET_ERROR_FORMAT || status == BITNET_ERROR_UNSUPPORTED) << what << ": " << status;
  };
  for (size_t length = 0; length < state.size(); length += length < 64 ? 1 : 997) {
    expect_refused({state.begin(), state.begin() + length}, "cut at " + std::to_string(length));
  }
  for (size_t bit = 0; bit < state.size() * 8; bit += bit < 256 ? 1 : 1009) {
    auto bad = state;
    bad[bit / 8] ^= 1 << bit % 8;
    expect_refused(bad, "bit " + std::to_string(bit));
  }
  auto longer = state;
  longer.push_back(0);
  expect_refused(longer, "one byte more");
  EXPECT_EQ(bitnet_session_load(session.get(), "/nonexistent/state"), BITNET_ERROR_NOT_FOUND);
  EXPECT_EQ(bitnet_session_position(session.get()), 10u);
  EXPECT_TRUE(same_bits(next_logits(session), next_logits(reference)));
}

TEST_F(StateTest, SavingToABadPathLeavesNothing) {
  const Session session = with(5);
  EXPECT_EQ(bitnet_session_save(session.get(), (temporary_folder() + "/missing/state").c_str()), BITNET_ERROR_IO);
  EXPECT_FALSE(std::filesystem::exists(temporary_folder() + "/missing"));
}

}  // namespace
}  // namespace bitnet_test
