// SPDX-License-Identifier: MIT
// Forks and sessions with a prefix scope share pages of keys and values, and notice nothing of it but the time.
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "test_model.h"

namespace bitnet_test {
namespace {

constexpr bitnet_session_options kOptions = {.size = sizeof(bitnet_session_options), .context = 512};

class PrefixTest : public testing::Test {
 protected:
  Session make(uint64_t scope, bitnet_kv kv = BITNET_KV_DEFAULT) {
    bitnet_session_options options = kOptions;
    options.prefix_scope = scope;
    options.kv = kv;
    options.engine = engine.get();
    return make_session(model, options);
  }

  static Session fork_of(const Session& session) {
    bitnet_session* fork = nullptr;
    EXPECT_OK(bitnet_session_fork(session.get(), &fork));
    return Session(fork);
  }

  static uint64_t reused(const Session& session) {
    bitnet_perf perf = {.size = sizeof perf};
    EXPECT_OK(bitnet_session_get_perf(session.get(), &perf));
    return perf.reused_tokens;
  }

  static Tokens joined(Tokens first, const Tokens& second) {
    first.insert(first.end(), second.begin(), second.end());
    return first;
  }

  // Logits of the last of these tokens, as a session computes them that has nothing to do with others.
  std::vector<float> alone(const Tokens& tokens, bitnet_kv kv = BITNET_KV_DEFAULT) {
    const Session session = make(0, kv);
    eval(session, tokens);
    return logits(session);
  }

  const Model model = open(model_path());
  const Engine engine = make_engine(model, {.threads = 2, .batch = 64});
  const Tokens start = random_tokens(200, 1), one = random_tokens(90, 2), other = random_tokens(90, 3);
};

TEST_F(PrefixTest, ForksWriteOnBothSidesAndAreFreedInAnyOrder) {
  for (const size_t length : {1, 63, 64, 65, 200}) {
    const Tokens shared(start.begin(), start.begin() + static_cast<ptrdiff_t>(length));
    const std::vector<float> expected_one = alone(joined(shared, one)), expected_other = alone(joined(shared, other));
    for (const bool fork_first : {false, true}) {
      for (const bool free_first : {false, true}) {
        Session session = make(0);
        eval(session, shared);
        Session fork = fork_of(session);
        const Session idle = fork_of(fork);
        if (free_first) {
          session.reset();
        } else {
          eval(fork_first ? fork : session, fork_first ? other : one);
          eval(fork_first ? session : fork, fork_first ? one : other);
          EXPECT_TRUE(same_bits(logits(session), expected_one)) << length;
          EXPECT_TRUE(same_bits(logits(fork), expected_other)) << length;
          session.reset();
          fork.reset();
        }
        eval(idle, other);
        EXPECT_TRUE(same_bits(logits(idle), expected_other)) << length;
      }
    }
  }
}

// Between two layers, when some of a page has been copied.
TEST_F(PrefixTest, ACancelledForkHasWhatItHad) {
  std::atomic<int> asked{0};
  bitnet_session_options options = kOptions;
  options.abort = [](void* user) { return ++*static_cast<std::atomic<int>*>(user) == 3 ? 1 : 0; };
  options.abort_user = &asked;
  const auto parallel = [](void*, uint32_t count, void (*task)(void*, uint32_t), void* data) {
    for (uint32_t i = 0; i < count; i++) task(data, i);  // so that this thread leads, and asks between all layers
  };
  const Pool pool = make_pool({.threads = 2, .parallel = parallel});
  const Session session = make_session(model, options, {.pool = pool.get()});
  asked = 100;
  eval(session, start);
  const Session fork = fork_of(session);
  for (const size_t count : {size_t{1}, other.size()}) {
    asked = 0;
    EXPECT_EQ(bitnet_eval(fork.get(), other.data(), count, BITNET_LOGITS_LAST), BITNET_ERROR_CANCELLED);
    EXPECT_EQ(bitnet_session_position(fork.get()), start.size());
  }
  asked = 100;
  const Session late = fork_of(fork);
  for (const Session* each : {&late, &fork, &session}) {
    eval(*each, one);
    EXPECT_TRUE(same_bits(logits(*each), alone(joined(start, one))));
  }
}

TEST_F(PrefixTest, IsReusedWithTheSameBits) {
  for (const bitnet_kv kv : {BITNET_KV_F16, BITNET_KV_INT8, BITNET_KV_INT16}) {
    const Session first = make(7, kv);
    eval(first, joined(start, one));
    EXPECT_EQ(reused(first), 0u);
    const Session second = make(7, kv);
    eval(second, joined(start, other));
    EXPECT_EQ(reused(second), 192u) << "three pages of the 200 tokens that are the same";
    EXPECT_TRUE(same_bits(logits(second), alone(joined(start, other), kv)));
    const bitnet_token* tokens = nullptr;
    size_t count = 0;
    ASSERT_OK(bitnet_session_tokens(second.get(), &tokens, &count));
    EXPECT_EQ(Tokens(tokens, tokens + count), joined(start, other));
    bitnet_perf perf = {.size = sizeof perf};
    ASSERT_OK(bitnet_session_get_perf(second.get(), &perf));
    EXPECT_EQ(perf.prompt_tokens, 290u - 192u);
    for (const Session* each : {&first, &second}) eval(*each, random_tokens(1));
    EXPECT_TRUE(same_bits(logits(first), alone(joined(joined(start, one), random_tokens(1)), kv)));
  }
}

TEST_F(PrefixTest, IsReusedButForTheLastToken) {
  const Tokens whole(start.begin(), start.begin() + 128);
  const std::vector<float> expected = alone(whole);
  const Session first = make(7);
  eval(first, whole);
  const Session second = make(7);
  eval(second, whole);
  EXPECT_EQ(reused(second), 127u);
  EXPECT_TRUE(same_bits(logits(second), expected));
  for (const Session* each : {&first, &second}) {
    eval(*each, one);
    EXPECT_TRUE(same_bits(logits(*each), alone(joined(whole, one))));
  }
}

TEST_F(PrefixTest, IsReusedAfterItsSessionsHaveGone) {
  eval(make(7), joined(start, one));
  const Session later = make(7);
  eval(later, joined(start, other));
  EXPECT_EQ(reused(later), 192u);
  EXPECT_TRUE(same_bits(logits(later), alone(joined(start, other))));
}

TEST_F(PrefixTest, IsReusedFromTheMiddleOn) {
  const Session first = make(7);
  eval(first, joined(start, one));
  const Session second = make(7);
  eval(second, Tokens(start.begin(), start.begin() + 64));
  const uint64_t before = reused(second);
  const Tokens rest = joined(Tokens(start.begin() + 64, start.end()), other);
  eval(second, rest);
  EXPECT_EQ(reused(second) - before, 128u);
  EXPECT_TRUE(same_bits(logits(second), alone(joined(start, other))));
  ASSERT_OK(bitnet_session_rewind(second.get(), 30));  // within a page that both have
  eval(second, one);
  eval(second, other);
  const Tokens changed = joined(joined(Tokens(start.begin(), start.begin() + 30), one), other);
  EXPECT_TRUE(same_bits(logits(second), alone(changed)));
  eval(first, other);
  EXPECT_TRUE(same_bits(logits(first), alone(joined(joined(start, one), other))));
  const Session third = make(7);
  eval(third, changed);
  EXPECT_EQ(reused(third), changed.size() / 64 * 64);
  EXPECT_TRUE(same_bits(logits(third), alone(changed)));
}

TEST_F(PrefixTest, IsNotSharedOutsideOfItsScope) {
  const Session first = make(7);
  eval(first, start);
  const Session others[] = {make(8), make(0), make(7, BITNET_KV_INT8)};
  for (const Session& session : others) {
    eval(session, start);
    EXPECT_EQ(reused(session), 0u);
  }
  const Session all = make(7);
  eval(all, start, BITNET_LOGITS_ALL);
  EXPECT_EQ(reused(all), 0u) << "all logits are to be computed";
  EXPECT_TRUE(same_bits(logits(all, start.size() - 1), logits(first)));
  const Session none = make(7);
  eval(none, start, BITNET_LOGITS_NONE);
  EXPECT_EQ(reused(none), 192u);
}

TEST_F(PrefixTest, OfACancelledCallIsForgotten) {
  const Session first = make(7);
  eval(first, joined(start, one));
  const Session second = make(7);
  bitnet_session_cancel(second.get(), 1);
  EXPECT_EQ(bitnet_eval(second.get(), start.data(), start.size(), BITNET_LOGITS_LAST), BITNET_ERROR_CANCELLED);
  EXPECT_EQ(bitnet_session_position(second.get()), 0u);
  EXPECT_EQ(reused(second), 0u);
  eval(second, other);
  EXPECT_TRUE(same_bits(logits(second), alone(other)));
}

// Whoever writes the file could give others wrong keys and values.
TEST_F(PrefixTest, OfALoadedStateIsNeitherGivenNorTaken) {
  std::vector<char> state(4 << 20);
  size_t length = 0;
  {
    const Session writer = make(0);
    eval(writer, Tokens(start.begin(), start.begin() + 128));
    ASSERT_OK(bitnet_session_save_memory(writer.get(), state.data(), state.size(), &length));
  }
  const Session loaded = make(7);
  eval(loaded, one);
  ASSERT_OK(bitnet_session_load_memory(loaded.get(), state.data(), length));
  const Tokens rest(start.begin() + 128, start.end());
  eval(loaded, joined(rest, one));
  EXPECT_TRUE(same_bits(logits(loaded), alone(joined(start, one))));
  const Session second = make(7);
  eval(second, joined(start, other));
  EXPECT_EQ(reused(second), 0u);
  const Session fork = fork_of(loaded);
  ASSERT_OK(bitnet_session_rewind(fork.get(), 128));
  eval(fork, joined(rest, other));
  EXPECT_EQ(reused(fork), 0u);
  ASSERT_OK(bitnet_session_rewind(loaded.get(), 0));
  eval(loaded, joined(start, other));
  EXPECT_EQ(reused(loaded), 256u) << "it is a session like others again";
  EXPECT_TRUE(same_bits(logits(loaded), logits(second)));
}

// A state of reused tokens is like any other.
TEST_F(PrefixTest, IsSavedWhole) {
  const Session first = make(7), second = make(7);
  eval(first, start);
  eval(second, start);
  ASSERT_EQ(reused(second), 192u);
  std::vector<char> states[2] = {std::vector<char>(4 << 20), std::vector<char>(4 << 20)};
  size_t lengths[2];
  ASSERT_OK(bitnet_session_save_memory(first.get(), states[0].data(), states[0].size(), &lengths[0]));
  ASSERT_OK(bitnet_session_save_memory(second.get(), states[1].data(), states[1].size(), &lengths[1]));
  ASSERT_EQ(lengths[0], lengths[1]);
  EXPECT_EQ(states[0], states[1]);
}

}  // namespace
}  // namespace bitnet_test
