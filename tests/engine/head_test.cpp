// SPDX-License-Identifier: MIT
// The screened head against the whole one: the largest logits, and the tokens that samplers draw from them, are the
// same bit for bit, whatever the weights and the hidden state; and no screened logit is farther off than its bound
// says.
#include "engine/head.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cfenv>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <thread>

#include "base/half.h"
#include "format/planes_quantizer.h"

namespace bitnet {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

using Weight = std::function<float(size_t row, size_t col)>;

// A head of its own weights with its screen, and all that goes with them.
struct Fixture {
  size_t rows, cols, stride;
  Buffer f16, tiles;
  std::vector<float> scales, bounds;
  Model model;
  ThreadPool threads{{.threads = 2}};
  Head head;
  const Screen screen;

  Fixture(size_t rows, size_t cols, const Weight& weight)
      : rows(rows),
        cols(cols),
        stride((cols + 31) / 32 * 32),
        f16(rows * stride * sizeof(uint16_t)),
        tiles(planes_bytes(Planes::q5, rows, cols)),
        scales(rows),
        bounds(rows),
        model(make_model(weight)),
        head(model, *find_kernels(nullptr), threads),
        screen(model, *find_kernels(nullptr)) {}

  uint16_t* halves() { return reinterpret_cast<uint16_t*>(f16.data()); }

  Model make_model(const Weight& weight) {
    std::vector<uint16_t> dense(kTileRows * cols);
    for (size_t row = 0; row < rows; row += kTileRows) {
      const size_t count = std::min(kTileRows, rows - row);
      for (size_t i = 0; i < count * cols; ++i) {
        const size_t r = row + i / cols, c = i % cols;
        dense[i] = halves()[r * stride + c] = float_to_half(weight(r, c));
      }
      quantize_planes(Planes::q5, dense.data(), count, cols,
                      reinterpret_cast<uint8_t*>(tiles.data()) + planes_bytes(Planes::q5, row, cols), &scales[row],
                      &bounds[row]);
    }
    Model made;
    made.hyper.hidden = static_cast<uint32_t>(cols);
    made.hyper.vocabulary = static_cast<uint32_t>(rows);
    const auto n = static_cast<uint32_t>(rows), k = static_cast<uint32_t>(cols);
    made.head = {Numbers::f16, n, k, stride, f16.data(), nullptr, false, nullptr};
    made.screen = {Numbers::q5, n, k, 0, tiles.data(), scales.data(), true, bounds.data()};
    return made;
  }

  std::vector<float> logits(const std::vector<float>& x) {
    std::vector<float> all(rows);
    float* out = all.data();
    head.logits(x.data(), {&out, 1});
    return all;
  }

  bool find_largest(const std::vector<float>& x, size_t count, std::span<const Token> also,
                    std::vector<TokenLogit>& found) {
    Screened screened;
    Screened* const one = &screened;
    head.screen(x.data(), {&one, 1});
    return screen.find_largest(screened, x.data(), count, also, found, &threads);
  }

  std::vector<float> screened(const std::vector<float>& x) {
    std::vector<float> out(rows);
    std::vector<std::byte> scratch(kPlanesScratch * tiles_per_row(cols) * kTileCols + 64);
    void* aligned = scratch.data();
    size_t space = scratch.size();
    std::align(64, 64, aligned, space);
    find_kernels(nullptr)->head_q5(
        {tiles.data(), scales.data(), cols, 0, 0, rows, x.data(), cols, 1, out.data(), rows, aligned});
    return out;
  }
};

struct Random {
  std::mt19937 bits{1};
  float gaussian() { return std::normal_distribution<float>()(bits); }
  std::vector<float> state(size_t n, float outlier = 0) {
    std::vector<float> x(n);
    for (float& v : x) v = gaussian();
    if (outlier != 0) x[n / 3] = outlier;
    return x;
  }
};

// Tokens in the order of their logits, the lower first among equals.
std::vector<Token> order(const std::vector<float>& logits) {
  std::vector<Token> tokens(logits.size());
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<Token>(i);
  std::stable_sort(tokens.begin(), tokens.end(), [&](Token a, Token b) { return logits[a] > logits[b]; });
  return tokens;
}

// Whether the `count` largest were found, with the logits that the whole head gives.
testing::AssertionResult holds_largest(const std::vector<TokenLogit>& found, const std::vector<float>& logits,
                                       size_t count, const std::vector<Token>& also = {}) {
  for (size_t i = 0; i < found.size(); ++i) {
    if (i > 0 && found[i - 1].token >= found[i].token) return testing::AssertionFailure() << "not in order";
    if (found[i].logit != logits[found[i].token]) {
      return testing::AssertionFailure() << "token " << found[i].token << ": " << found[i].logit << ", not "
                                         << logits[found[i].token];
    }
  }
  std::vector<Token> wanted = order(logits);
  wanted.resize(count);
  wanted.insert(wanted.end(), also.begin(), also.end());
  for (const Token token : wanted) {
    if (std::none_of(found.begin(), found.end(), [&](const TokenLogit& f) { return f.token == token; })) {
      return testing::AssertionFailure() << "token " << token << " is missing of " << count;
    }
  }
  return testing::AssertionSuccess();
}

void expect_bounds_hold(Fixture& f, const std::vector<float>& x) {
  const auto exact = f.logits(x), screened = f.screened(x);
  double squares = 0;
  for (const float v : x) squares += double{v} * v;
  for (size_t row = 0; row < f.rows; ++row) {
    ASSERT_LE(std::fabs(double{exact[row]} - screened[row]), f.bounds[row] * std::sqrt(squares)) << "row " << row;
  }
}

TEST(Head, FindsTheLargestOfRandomLogits) {
  Random random;
  Fixture f(20000, 640, [&](size_t, size_t) { return random.gaussian(); });
  for (const float outlier : {0.0f, 3.0f, 100.0f, -1e5f}) {
    for (const size_t count : {1, 2, 40, 300}) {
      const auto x = random.state(f.cols, outlier);
      std::vector<TokenLogit> found;
      ASSERT_TRUE(f.find_largest(x, count, {}, found)) << count << " of outlier " << outlier;
      EXPECT_LT(found.size(), 2 * count) << "far more than was asked for";
      EXPECT_TRUE(holds_largest(found, f.logits(x), count));
      expect_bounds_hold(f, x);
    }
  }
}

TEST(Head, FindsTiesAndAlsoTheTokensNamed) {
  Random random;
  // Every row comes four times.
  std::vector<float> row(64 * 1024);
  for (float& v : row) v = random.gaussian();
  Fixture f(4096, 64, [&](size_t r, size_t c) { return row[r % 1024 * 64 + c]; });
  for (const size_t count : {1, 2, 3, 7}) {
    const auto x = random.state(f.cols);
    const std::vector<Token> also = {0, 4095, 77};
    std::vector<TokenLogit> found;
    ASSERT_TRUE(f.find_largest(x, count, also, found));
    EXPECT_TRUE(holds_largest(found, f.logits(x), (count + 3) / 4 * 4, also)) << count;
  }
}

TEST(Head, WeightsOfAllKinds) {
  Random random;
  std::vector<std::pair<std::string, Weight>> kinds = {
      {"zero", [](size_t, size_t) { return 0.0f; }},
      {"zero but one row", [](size_t r, size_t) { return r == 700 ? 1.0f : 0.0f; }},
      {"all equal", [](size_t, size_t) { return 0.7f; }},
      {"subnormal", [&](size_t, size_t) { return random.gaussian() * 3e-7f; }},
      {"huge", [&](size_t, size_t) { return std::clamp(random.gaussian() * 3e4f, -65504.0f, 65504.0f); }},
      {"rows of all sizes", [&](size_t r, size_t) { return random.gaussian() * std::ldexp(1.0f, -int(r % 20)); }},
      {"an outlier in each group", [&](size_t, size_t c) { return random.gaussian() * (c % 16 ? 0.01f : 1.0f); }},
      {"one sign", [&](size_t, size_t) { return std::fabs(random.gaussian()); }},
  };
  for (const auto& [name, weight] : kinds) {
    Fixture f(2003, 100, weight);
    for (const float outlier : {0.0f, 1000.0f}) {
      const auto x = random.state(f.cols, outlier);
      const auto exact = f.logits(x);
      expect_bounds_hold(f, x);
      for (const size_t count : {1, 40}) {
        std::vector<TokenLogit> found;
        if (f.find_largest(x, count, {}, found)) {
          EXPECT_TRUE(holds_largest(found, exact, count)) << name;
        }
      }
    }
  }
}

// The worst that Cauchy and Schwarz allow: x in the direction of a row's error.
TEST(Head, BoundsHoldAlongTheErrors) {
  Random random;
  Fixture f(64, 320, [&](size_t, size_t) { return random.gaussian(); });
  for (size_t row = 0; row < f.rows; ++row) {
    std::vector<float> x(f.cols);
    const size_t tiles = tiles_per_row(f.cols);
    for (size_t c = 0; c < f.cols; ++c) {
      const auto* tile = reinterpret_cast<const uint8_t*>(f.tiles.data()) +
                         (row / kTileRows * tiles + c / kTileCols) * tile_bytes(Planes::q5);
      const auto scale = static_cast<int8_t>(tile[c % kTileCols / kGroupCols * kTileRows + row % kTileRows]);
      const int code = read_code(Planes::q5, tile, row % kTileRows, c % kTileCols) - middle_code(Planes::q5);
      x[c] = half_to_float(f.halves()[row * f.stride + c]) - f.scales[row] * static_cast<float>(scale * code);
    }
    const auto exact = f.logits(x), screened = f.screened(x);
    double squares = 0;
    for (const float v : x) squares += double{v} * v;
    const double off = std::fabs(double{exact[row]} - screened[row]), bound = f.bounds[row] * std::sqrt(squares);
    EXPECT_LE(off, bound);
    EXPECT_GE(off, bound * 0.9) << "the bound is not tight: is this its error?";
  }
}

TEST(Head, LeavesWhatItCannotPromiseToTheWholeHead) {
  Random random;
  Fixture f(1000, 64, [&](size_t, size_t) { return random.gaussian(); });
  std::vector<TokenLogit> found;
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), kInfinity, -kInfinity, 1e30f}) {
    EXPECT_FALSE(f.find_largest(random.state(f.cols, bad), 1, {}, found)) << bad;
  }
  EXPECT_FALSE(f.find_largest(std::vector<float>(f.cols), 1, {}, found)) << "all zeros";
  EXPECT_FALSE(f.find_largest(std::vector<float>(f.cols, 1e-38f), 1, {}, found)) << "underflow";
  EXPECT_FALSE(f.find_largest(random.state(f.cols), f.rows, {}, found)) << "every token";
  Fixture equal(1000, 64, [](size_t, size_t) { return 1.0f; });
  EXPECT_FALSE(equal.find_largest(random.state(f.cols), 1, {}, found)) << "no row can be ruled out";
}

// States of all kinds, end to end.
std::vector<float> states_of_all_kinds(Random& random, size_t count, size_t cols) {
  const float outliers[] = {0, 3, -1e5f, 1e30f, std::numeric_limits<float>::quiet_NaN(), kInfinity, 1e-20f};
  std::vector<float> states;
  for (size_t i = 0; i < count; ++i) {
    std::vector<float> x = random.state(cols, outliers[i % std::size(outliers)]);
    if (i % 11 == 6) std::ranges::fill(x, 0.0f);
    const float scale = i % 5 == 4 ? 1e-15f : i % 5 == 3 ? 1e6f : 1;
    for (const float v : x) states.push_back(v * scale);
  }
  return states;
}

// What a state gets does not depend on those that are screened with it.
TEST(Head, ScreensManyStatesAsEachAlone) {
  Random random;
  Fixture f(1541, 200, [&](size_t r, size_t) { return random.gaussian() * (r % 9 ? 0.3f : 1.0f); });
  for (const size_t count : {2, 3, 16, 35}) {
    const auto states = states_of_all_kinds(random, count, f.cols);
    std::vector<Screened> together(count);
    std::vector<Screened*> all;
    for (Screened& screened : together) all.push_back(&screened);
    f.head.screen(states.data(), all);
    size_t answered = 0;
    for (size_t i = 0; i < count; ++i) {
      const std::vector<float> x(&states[i * f.cols], &states[(i + 1) * f.cols]);
      Screened alone;
      Screened* const one = &alone;
      f.head.screen(x.data(), {&one, 1});
      EXPECT_EQ(together[i].values, alone.values) << "state " << i << " of " << count;
      EXPECT_EQ(together[i].maxima, alone.maxima);
      for (const size_t wanted : {1, 20}) {
        const std::vector<Token> also = {1540, 3};
        std::vector<TokenLogit> found;
        if (!f.screen.find_largest(together[i], x.data(), wanted, also, found)) continue;
        EXPECT_TRUE(holds_largest(found, f.logits(x), wanted, also)) << "state " << i << " of " << count;
        ++answered;
      }
    }
    EXPECT_GE(answered, count / 2) << "the screen was hardly used";
  }
}

// Each thread for a session of its own, while the head's own threads screen another.
TEST(Head, FindsOnManyThreadsAtOnce) {
  Random random;
  Fixture f(3000, 128, [&](size_t, size_t) { return random.gaussian(); });
  constexpr size_t kSessions = 4;
  std::vector<std::vector<float>> states;
  std::vector<std::vector<TokenLogit>> expected(kSessions), found(kSessions);
  std::vector<Screened> screened(kSessions);
  for (size_t i = 0; i < kSessions; ++i) {
    states.push_back(random.state(f.cols));
    Screened* const one = &screened[i];
    f.head.screen(states[i].data(), {&one, 1});
    ASSERT_TRUE(f.screen.find_largest(screened[i], states[i].data(), 10, {}, expected[i], &f.threads));
  }
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kSessions; ++i) {
    threads.emplace_back([&, i] { f.screen.find_largest(screened[i], states[i].data(), 10, {}, found[i]); });
  }
  f.logits(states[0]);
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < kSessions; ++i) {
    ASSERT_EQ(found[i].size(), expected[i].size());
    for (size_t j = 0; j < found[i].size(); ++j) {
      EXPECT_EQ(found[i][j].token, expected[i][j].token);
      EXPECT_EQ(found[i][j].logit, expected[i][j].logit);
    }
  }
}

// The thread that samples may be the host's, whatever rounding it has set.
TEST(Head, FindsTheSameHoweverTheHostRounds) {
  Random random;
  Fixture f(3000, 128, [&](size_t, size_t) { return random.gaussian(); });
  const auto x = random.state(f.cols);
  Screened screened;
  Screened* const one = &screened;
  f.head.screen(x.data(), {&one, 1});
  std::vector<TokenLogit> found;
  ASSERT_EQ(std::fesetround(FE_UPWARD), 0);
  const bool few = f.screen.find_largest(screened, x.data(), 40, {}, found);
  std::fesetround(FE_TONEAREST);
  ASSERT_TRUE(few);
  EXPECT_TRUE(holds_largest(found, f.logits(x), 40));
}

// What the file says of rows may be a lie, but not one that crashes or hangs.
TEST(Head, NanWeightsBehindTheScreen) {
  Random random;
  Fixture f(2000, 64, [&](size_t, size_t) { return random.gaussian(); });
  for (size_t row = 0; row < f.rows; row += 3) f.halves()[row * f.stride] = 0x7e00;
  std::vector<TokenLogit> found;
  const auto x = random.state(f.cols);
  if (f.find_largest(x, 5, {}, found)) {
    for (const TokenLogit& t : found) EXPECT_FALSE(std::isnan(t.logit));
  }
}

// Samplers draw the same tokens from the largest logits as from all.
TEST(Head, SamplersDrawTheSame) {
  Random random;
  Fixture f(3000, 128, [&](size_t r, size_t) { return random.gaussian() * (r % 7 ? 0.1f : 0.2f); });
  std::vector<SamplerOptions> all;
  for (const uint32_t top_k : {0u, 1u, 2u, 40u}) {
    for (const float temperature : {0.0f, 0.7f, 3.0f}) {
      for (const int penalties : {0, 1, 2}) {
        for (const float top_p : {1.0f, 0.5f}) {
          SamplerOptions o;
          o.top_k = top_k;
          o.temperature = temperature;
          o.top_p = top_p;
          o.min_p = top_p == 1 ? 0 : 0.05f;
          if (penalties == 1) {
            o.repetition_penalty = 1.3f;
            o.frequency_penalty = 0.5f;
          }
          if (penalties == 2) {
            o.presence_penalty = -20;  // draws unlikely tokens up
            o.logit_bias = {{7, 100.0f}, {2999, -kInfinity}, {8, 100.0f}, {7, 0.5f}};
          }
          all.push_back(o);
        }
      }
    }
  }
  size_t screened = 0;
  const Kernels& kernels = *find_kernels(nullptr);
  for (const SamplerOptions& options : all) {
    Sampler from_all(options), from_largest(options);
    std::vector<Token> recent;
    for (int step = 0; step < 12; ++step) {
      const auto x = random.state(f.cols);
      const Token expected = from_all.sample(f.logits(x), recent, kernels);
      const size_t count = from_largest.count_needed(f.rows, recent);
      std::vector<TokenLogit> found;
      const bool few = count > 0 && f.find_largest(x, count, from_largest.adjusted(), found);
      screened += few;
      const Token drawn =
          few ? from_largest.sample(found, f.rows, recent, kernels) : from_largest.sample(f.logits(x), recent, kernels);
      ASSERT_EQ(drawn, expected) << "top_k " << options.top_k << " temperature " << options.temperature;
      recent.push_back(drawn);
    }
  }
  EXPECT_GT(screened, all.size() * 6) << "the screen was hardly used";
}

}  // namespace
}  // namespace bitnet
