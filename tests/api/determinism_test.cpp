// SPDX-License-Identifier: MIT
// One model, one sequence of tokens: the same logits, bit for bit, on every instruction set, at any thread count,
// however the tokens are split into calls, in either packing, alone or in a batch.
#include <string>
#include <thread>
#include <vector>

#include "test_model.h"

namespace bitnet_test {
namespace {

constexpr size_t kTokens = 45;  // more than two blocks of every kernel that takes many tokens at once

using Split = std::vector<size_t>;
const std::vector<Split> kSplits = {{45}, {1, 44}, {44, 1}, {16, 16, 13}, {7, 1, 30, 7}, {2, 3, 5, 35}};

// A pool with a thread for every piece: a session starts no more threads of its own than there are CPUs.
void run_on_threads(void*, uint32_t count, void (*task)(void*, uint32_t), void* data) {
  std::vector<std::jthread> threads;
  for (uint32_t i = 1; i < count; i++) threads.emplace_back(task, data, i);
  task(data, 0);
}

// Logits of every token, evaluated in the pieces of `split`, then of five more one by one.
std::vector<float> run(const Model& model, uint32_t threads, const Split& split, uint32_t batch = 0,
                       bitnet_kv kv = BITNET_KV_DEFAULT) {
  const Pool pool = make_pool({.threads = threads, .parallel = threads > 2 ? run_on_threads : nullptr});
  const Session session = make_session(model, {.context = 64, .kv = kv}, {.pool = pool.get(), .batch = batch});
  const Tokens tokens = random_tokens(kTokens + 5);
  std::vector<float> all;
  size_t at = 0;
  auto piece = [&](size_t count) {
    eval(session, std::span(tokens).subspan(at, count), BITNET_LOGITS_ALL);
    for (size_t i = 0; i < count; i++) {
      const auto row = logits(session, i);
      all.insert(all.end(), row.begin(), row.end());
    }
    at += count;
  };
  for (const size_t count : split) piece(count);
  while (at < tokens.size()) piece(1);
  return all;
}

class Determinism : public testing::TestWithParam<bitnet_head> {
 protected:
  std::string path(bitnet_packing packing = BITNET_PACKING_I2) const { return model_path(packing, GetParam()); }
};

TEST_P(Determinism, EveryIsaThreadCountAndSplitGivesTheSameBits) {
  const auto reference = run(open(path(), "scalar"), 1, {kTokens});
  ASSERT_NE(bitnet_isa_name(1), nullptr) << "there must be something to compare the scalar kernels with";
  for (size_t i = 0; bitnet_isa_name(i) != nullptr; i++) {
    const Model model = open(path(), bitnet_isa_name(i));
    for (const uint32_t threads : {1u, 2u, 3u, 7u}) {
      for (const Split& split : kSplits) {
        EXPECT_TRUE(same_bits(run(model, threads, split), reference))
            << bitnet_isa_name(i) << ", " << threads << " threads, split " << testing::PrintToString(split);
      }
    }
  }
}

TEST_P(Determinism, BatchSizeDoesNotMatter) {
  const Model model = open(path());
  const auto reference = run(model, 2, {kTokens});
  for (const uint32_t batch : {1u, 3u, 16u, 45u}) {
    EXPECT_TRUE(same_bits(run(model, 2, {kTokens}, batch), reference)) << batch;
  }
}

TEST_P(Determinism, PackingDoesNotMatter) {
  EXPECT_TRUE(same_bits(run(open(path(BITNET_PACKING_T5)), 2, {kTokens}), run(open(path()), 2, {kTokens})));
}

TEST_P(Determinism, EveryIsaAgreesOnT5) {
  const auto reference = run(open(path(BITNET_PACKING_T5), "scalar"), 1, {kTokens});
  for (size_t i = 0; bitnet_isa_name(i) != nullptr; i++) {
    const Model model = open(path(BITNET_PACKING_T5), bitnet_isa_name(i));
    for (const Split& split : kSplits) EXPECT_TRUE(same_bits(run(model, 3, split), reference)) << bitnet_isa_name(i);
  }
}

INSTANTIATE_TEST_SUITE_P(Heads, Determinism,
                         testing::Values(BITNET_HEAD_F16, BITNET_HEAD_INT8, BITNET_HEAD_Q6, BITNET_HEAD_SCREENED),
                         [](const auto& head) {
                           return head.param == BITNET_HEAD_F16    ? "f16"
                                  : head.param == BITNET_HEAD_INT8 ? "int8"
                                  : head.param == BITNET_HEAD_Q6   ? "q6"
                                                                   : "screened";
                         });

// The same weights as those of int8 activations, but with 16-bit ones.
TEST(Determinism, EveryIsaThreadCountAndSplitAgreesOn16BitActivations) {
  const std::string path = temporary_folder() + "/groups.bitnet";
  const bitnet_convert_options options = {.size = sizeof options, .activation_bits = BITNET_ACTIVATION_BITS_INT16};
  ASSERT_OK(bitnet_convert(model_path().c_str(), path.c_str(), &options));
  const auto reference = run(open(path, "scalar"), 1, {kTokens});
  EXPECT_FALSE(same_bits(reference, run(open(model_path()), 1, {kTokens})));
  EXPECT_LT(distance(run(open(model_path()), 1, {kTokens}), reference), 0.2);
  for (size_t i = 0; bitnet_isa_name(i) != nullptr; i++) {
    const Model model = open(path, bitnet_isa_name(i));
    for (const Split& split : kSplits) {
      for (const uint32_t threads : {1u, 3u}) {
        EXPECT_TRUE(same_bits(run(model, threads, split), reference)) << bitnet_isa_name(i) << ", " << threads;
      }
    }
  }
}

TEST(Determinism, EachKindOfCacheGivesTheSameBitsEverywhere) {
  for (const bitnet_kv kv : {BITNET_KV_F16, BITNET_KV_INT8, BITNET_KV_INT16}) {
    const auto reference = run(open(model_path(), "scalar"), 1, {kTokens}, 0, kv);
    for (size_t i = 0; bitnet_isa_name(i) != nullptr; i++) {
      const Model model = open(model_path(), bitnet_isa_name(i));
      for (const Split& split : kSplits) {
        EXPECT_TRUE(same_bits(run(model, 3, split, 16, kv), reference)) << bitnet_isa_name(i) << ", kv " << kv;
      }
    }
  }
}

// Rounding keys and values costs little: less than a tenth of how far logits are spread.
TEST(Determinism, TheKindsOfCacheAreNearOneAnother) {
  const Model model = open(model_path());
  const auto int16 = run(model, 2, {kTokens}, 0, BITNET_KV_INT16);
  EXPECT_TRUE(same_bits(run(model, 2, {kTokens}, 0, BITNET_KV_DEFAULT), int16));
  for (const bitnet_kv kv : {BITNET_KV_F16, BITNET_KV_INT8}) {
    const double error = distance(run(model, 2, {kTokens}, 0, kv), int16);
    EXPECT_GT(error, 0) << kv;
    EXPECT_LT(error, 0.1) << kv;
  }
}

TEST(Determinism, AScreenChangesNoLogitAndNoToken) {
  const Model plain = open(model_path()), screened = open(model_path(BITNET_PACKING_I2, BITNET_HEAD_SCREENED));
  EXPECT_TRUE(same_bits(run(screened, 2, {kTokens}), run(plain, 1, {kTokens})));
  const bitnet_logit_bias bias[] = {{3, 2.5f}, {5, -1.0f}};
  const bitnet_sampler_options samplers[] = {
      {.size = sizeof(bitnet_sampler_options)},
      {.size = sizeof(bitnet_sampler_options), .seed = 5, .temperature = 0.9f, .top_k = 5, .top_p = 0.9f},
      {.size = sizeof(bitnet_sampler_options), .temperature = 2, .top_k = 3, .repetition_penalty = 1.2f},
      {.size = sizeof(bitnet_sampler_options), .presence_penalty = 1, .logit_bias = bias, .logit_bias_count = 2},
      {.size = sizeof(bitnet_sampler_options), .temperature = 1, .min_p = 0.01f},
  };
  const Tokens prompt = random_tokens(4);
  for (const bitnet_sampler_options& options : samplers) {
    std::vector<bitnet_token> drawn[2];
    for (const bool with_screen : {false, true}) {
      const Session session = make_session(with_screen ? screened : plain, {.context = 64}, {.threads = 2});
      bitnet_sampler* sampler = nullptr;
      ASSERT_OK(bitnet_sampler_create(&options, &sampler));
      eval(session, prompt);
      for (int i = 0; i < 50; i++) {
        bitnet_token token;
        ASSERT_OK(bitnet_sample(sampler, session.get(), &token));
        drawn[with_screen].push_back(token);
        eval(session, std::span(&token, 1));
      }
      bitnet_sampler_free(sampler);
    }
    EXPECT_EQ(drawn[0], drawn[1]);
  }
}

// Logits that are computed late are those of the evaluation, also for a fork, and once asked for, sampling uses them.
TEST(Determinism, LogitsOfAScreenedHeadAreThereWhenAskedFor) {
  const Model plain = open(model_path()), screened = open(model_path(BITNET_PACKING_I2, BITNET_HEAD_SCREENED));
  const Session expected = make_session(plain, {.context = 64}), session = make_session(screened, {.context = 64});
  const Tokens tokens = random_tokens(9);
  eval(expected, tokens);
  eval(session, tokens);
  bitnet_session* copy = nullptr;
  ASSERT_OK(bitnet_session_fork(session.get(), &copy));
  const Session fork(copy);
  EXPECT_TRUE(same_bits(logits(session), logits(expected)));
  EXPECT_TRUE(same_bits(logits(session), logits(expected))) << "asked for twice";
  eval(session, std::span(tokens).first(1));
  EXPECT_TRUE(same_bits(logits(fork), logits(expected)));
  ASSERT_OK(bitnet_session_rewind(session.get(), 3));
  const float* none;
  EXPECT_EQ(bitnet_session_logits(session.get(), 0, &none), BITNET_ERROR_ARGUMENT);
}

// Attention cuts positions into blocks and splits, rows into tiles, and a row alone among threads.
TEST(Determinism, ALongSequenceIsTheSameHoweverItIsSplit) {
  constexpr size_t kLong = 1100;
  const Tokens tokens = random_tokens(kLong);
  const auto run_long = [&](const Model& model, uint32_t threads, const Split& split, bitnet_kv kv) {
    const Session session =
        make_session(model, {.size = sizeof(bitnet_session_options), .context = kLong, .kv = kv}, {.threads = threads});
    size_t at = 0;
    for (const size_t count : split) {
      eval(session, std::span(tokens).subspan(at, count));
      at += count;
    }
    EXPECT_EQ(at, kLong);
    return logits(session);
  };
  const Split one_by_one = [] {
    Split split = {kLong - 100};
    split.insert(split.end(), 100, 1);
    return split;
  }();
  const std::vector<Split> splits = {{kLong}, {511, 588, 1}, {63, 1, 448, 1, 587}, one_by_one};
  const auto check = [&](bitnet_kv kv, const std::vector<uint32_t>& thread_counts) {
    const auto reference = run_long(open(model_path(), "scalar"), 2, {kLong}, kv);
    for (size_t i = 0; std::string(bitnet_isa_name(i)) != "scalar"; i++) {
      const Model model = open(model_path(), bitnet_isa_name(i));
      for (const uint32_t threads : thread_counts) {
        for (const Split& split : splits) {
          EXPECT_TRUE(same_bits(run_long(model, threads, split, kv), reference))
              << bitnet_isa_name(i) << ", kv " << kv << ", " << threads << " threads, " << split.size()
              << " calls from " << split[0];
        }
      }
    }
  };
  check(BITNET_KV_INT16, {1, 2, 5});
  check(BITNET_KV_INT8, {5});
  check(BITNET_KV_F16, {5});
}

TEST(Determinism, ABatchOfSessionsGivesWhatEachGivesAlone) {
  const Model model = open(model_path());
  const Tokens tokens = random_tokens(60);
  const std::vector<std::span<const bitnet_token>> pieces = {
      std::span(tokens).first(20), std::span(tokens).subspan(20, 1), std::span(tokens).subspan(21, 39),
      std::span(tokens).subspan(10, 30)};
  const Engine engine = make_engine(model, {.threads = 2, .batch = 16});
  std::vector<Session> sessions;
  std::vector<bitnet_batch_item> items;
  const bitnet_kv kinds[] = {BITNET_KV_INT16, BITNET_KV_INT16, BITNET_KV_INT8, BITNET_KV_F16};
  for (const auto piece : pieces) {
    sessions.push_back(make_session(model, {.context = 64, .kv = kinds[sessions.size()], .engine = engine.get()}));
    items.push_back({sessions.back().get(), piece.data(), piece.size(), BITNET_LOGITS_LAST});
  }
  ASSERT_OK(bitnet_eval_batch(items.data(), items.size()));
  for (size_t i = 0; i < pieces.size(); i++) {
    const Session alone = make_session(model, {.size = sizeof(bitnet_session_options), .context = 64, .kv = kinds[i]});
    eval(alone, pieces[i]);
    EXPECT_TRUE(same_bits(logits(sessions[i]), logits(alone))) << "session " << i;
    EXPECT_EQ(bitnet_session_position(sessions[i].get()), pieces[i].size());
  }
}

// More sessions than are screened together, with samplers that take few logits or all, and some that are asked for
// their logits as well.
TEST(Determinism, ABatchOfScreenedSessionsDrawsWhatEachDrawsAlone) {
  constexpr size_t kSessions = 19, kSteps = 5;
  const Model plain = open(model_path()), screened = open(model_path(BITNET_PACKING_I2, BITNET_HEAD_SCREENED));
  const bitnet_sampler_options kinds[] = {
      {.size = sizeof(bitnet_sampler_options)},
      {.size = sizeof(bitnet_sampler_options), .seed = 5, .temperature = 0.9f, .top_k = 5},
      {.size = sizeof(bitnet_sampler_options), .temperature = 2, .top_k = 3, .repetition_penalty = 1.2f},
      {.size = sizeof(bitnet_sampler_options), .seed = 7, .temperature = 1, .min_p = 0.01f},
  };
  const bitnet_session_options options = {.context = 32};
  struct Member {
    Session alone, together;
    Sampler draws_alone, draws_together;
    Tokens tokens;
  };
  const auto make_sampler = [](const bitnet_sampler_options& kind) {
    bitnet_sampler* sampler = nullptr;
    EXPECT_OK(bitnet_sampler_create(&kind, &sampler));
    return Sampler(sampler);
  };
  std::vector<Member> members;
  for (size_t i = 0; i < kSessions; i++) {
    const auto& kind = kinds[i % std::size(kinds)];
    members.push_back({make_session(plain, options), make_session(screened, options), make_sampler(kind),
                       make_sampler(kind), random_tokens(1 + i % 7, static_cast<uint32_t>(i))});
  }
  for (size_t step = 0; step < kSteps; step++) {
    std::vector<bitnet_batch_item> items;
    for (const Member& m : members) {
      items.push_back({m.together.get(), m.tokens.data(), m.tokens.size(), BITNET_LOGITS_LAST});
    }
    ASSERT_OK(bitnet_eval_batch(items.data(), items.size()));
    for (size_t i = 0; i < kSessions; i++) {
      Member& m = members[i];
      eval(m.alone, m.tokens);
      const auto expect_same_logits = [&] {
        EXPECT_TRUE(same_bits(logits(m.together), logits(m.alone))) << i << ", " << step;
      };
      if (i % 6 == 1 && step > 0) expect_same_logits();
      bitnet_token expected, drawn;
      ASSERT_OK(bitnet_sample(m.draws_alone.get(), m.alone.get(), &expected));
      ASSERT_OK(bitnet_sample(m.draws_together.get(), m.together.get(), &drawn));
      EXPECT_EQ(drawn, expected) << "session " << i << ", step " << step;
      if (i % 6 == 2) expect_same_logits();
      m.tokens = {expected};
    }
  }
}

}  // namespace
}  // namespace bitnet_test
