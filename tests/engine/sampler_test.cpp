// SPDX-License-Identifier: MIT
#include "sample/sampler.h"

#include <gtest/gtest.h>

#include <cfenv>
#include <cmath>
#include <limits>
#include <map>
#include <vector>

#include "base/error.h"

namespace bitnet {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

Token draw(Sampler& sampler, const std::vector<float>& logits, const std::vector<Token>& recent) {
  return sampler.sample(logits, recent, *find_kernels("scalar"));
}

std::map<Token, int> draw_many(const SamplerOptions& options, const std::vector<float>& logits, int n = 20000,
                               const std::vector<Token>& recent = {}) {
  Sampler sampler(options);
  std::map<Token, int> counts;
  for (int i = 0; i < n; i++) counts[draw(sampler, logits, recent)]++;
  return counts;
}

TEST(Sampler, AllZeroIsGreedyAndTheLowerTokenWinsATie) {
  Sampler sampler({});
  EXPECT_EQ(draw(sampler, std::vector<float>{1, 3, 2, 3}, {}), 1);
}

TEST(Sampler, ComputesWithTheKernelsGiven) {
  static int calls;
  calls = 0;
  Kernels counting = *find_kernels("scalar");
  counting.exp_sum = [](const float* x, float shift, size_t n, float* p) {
    calls++;
    return find_kernels("scalar")->exp_sum(x, shift, n, p);
  };
  Sampler sampler({.temperature = 1});
  sampler.sample(std::vector<float>{1, 2, 3}, {}, counting);
  EXPECT_EQ(calls, 1);
  sampler.sample(std::vector<TokenLogit>{{0, 1}, {2, 3}}, 3, {}, counting);
  EXPECT_EQ(calls, 2);
}

TEST(Sampler, TheHostsRoundingModeIsPutAside) {
  Sampler sampler({.logit_bias = {{1, 0x1p-30f}}});
  ASSERT_EQ(std::fesetround(FE_UPWARD), 0);
  const Token token = draw(sampler, std::vector<float>{1, 1}, {});
  const int after = std::fegetround();
  std::fesetround(FE_TONEAREST);
  EXPECT_EQ(token, 0) << "1 + 2^-30 is 1 to nearest, and the lower token wins a tie";
  EXPECT_EQ(after, FE_UPWARD);
}

TEST(Sampler, DrawsInProportionToTheProbabilities) {
  const std::vector<float> logits = {std::log(0.5f), std::log(0.3f), std::log(0.15f), std::log(0.05f)};
  const std::vector<double> expected = {0.5, 0.3, 0.15, 0.05};
  const int n = 100000;
  const auto counts = draw_many({.seed = 1, .temperature = 1}, logits, n);
  double chi2 = 0;
  for (Token t = 0; t < 4; t++) chi2 += std::pow(counts.at(t) - n * expected[t], 2) / (n * expected[t]);
  EXPECT_LT(chi2, 16.3) << "three degrees of freedom, p = 0.001; the seed is fixed";
}

TEST(Sampler, TemperatureSharpens) {
  const auto counts = draw_many({.seed = 2, .temperature = 0.5f}, {std::log(0.6f), std::log(0.4f)});
  EXPECT_NEAR(counts.at(0) / 20000.0, 0.36 / 0.52, 0.015);
}

TEST(Sampler, TopKKeepsTheKMostLikely) {
  const auto counts = draw_many({.seed = 3, .temperature = 10, .top_k = 2}, {1, 5, 2, 5, 3});
  EXPECT_EQ(counts.size(), 2u);
  EXPECT_TRUE(counts.contains(1) && counts.contains(3));
}

TEST(Sampler, TopPKeepsTheFewestThatReachP) {
  const std::vector<float> logits = {std::log(0.1f), std::log(0.5f), std::log(0.15f), std::log(0.25f)};
  EXPECT_EQ(draw_many({.seed = 4, .temperature = 1, .top_p = 0.4f}, logits).size(), 1u);
  const auto two = draw_many({.seed = 4, .temperature = 1, .top_p = 0.7f}, logits);
  EXPECT_EQ(two.size(), 2u);
  EXPECT_TRUE(two.contains(1) && two.contains(3));
  EXPECT_EQ(draw_many({.seed = 4, .temperature = 1, .top_p = 0.85f}, logits).size(), 3u);
}

TEST(Sampler, MinPComparesWithTheMostLikely) {
  const std::vector<float> logits = {std::log(0.5f), std::log(0.26f), std::log(0.24f)};
  EXPECT_EQ(draw_many({.seed = 5, .temperature = 1, .min_p = 0.5f}, logits).size(), 2u);
}

TEST(Sampler, PenaltiesApplyToRecentTokensOnly) {
  const std::vector<float> logits = {2, 1.9f, -1};
  const std::vector<Token> recent = {1, 0, 0};
  Sampler repetition({.repetition_penalty = 1.5f});
  EXPECT_EQ(draw(repetition, logits, std::vector<Token>{0}), 1);
  Sampler frequency({.frequency_penalty = 0.2f});
  EXPECT_EQ(draw(frequency, logits, recent), 1) << "token 0 loses 0.4, token 1 0.2";
  Sampler presence({.presence_penalty = 0.2f});
  EXPECT_EQ(draw(presence, logits, recent), 0) << "both lose 0.2";
  Sampler window({.frequency_penalty = 5, .penalty_window = 1});
  EXPECT_EQ(draw(window, logits, std::vector<Token>{0, 1}), 0) << "only the last token counts";
  Sampler negative({.repetition_penalty = 2});
  EXPECT_EQ(draw(negative, std::vector<float>{-3, -2}, std::vector<Token>{1}), 0) << "negative logits are multiplied";
}

TEST(Sampler, BiasAddsAndForbids) {
  Sampler sampler({.logit_bias = {{1, -kInfinity}, {2, 5}}});
  EXPECT_EQ(draw(sampler, std::vector<float>{2, 9, 1}, {}), 2);
  EXPECT_THROW(draw(sampler, std::vector<float>{2, 9}, {}), Error) << "token 2 is beyond the logits";
}

TEST(Sampler, SeedDecidesAndTheNumbersAreTheSameEverywhere) {
  std::vector<float> logits(1000);
  for (size_t i = 0; i < logits.size(); i++) logits[i] = static_cast<float>(i * 37 % 101) / 25;
  const SamplerOptions options = {.seed = 42, .temperature = 0.9f, .top_k = 200, .top_p = 0.95f, .min_p = 0.01f};
  auto draws_of = [&](Sampler& sampler) {
    std::vector<Token> tokens;
    for (int i = 0; i < 8; i++) tokens.push_back(draw(sampler, logits, {}));
    return tokens;
  };
  Sampler a(options), b(options);
  const auto first = draws_of(a);
  EXPECT_EQ(first, draws_of(b));
  EXPECT_NE(first, draws_of(a)) << "the random numbers go on";
  a.reseed(42);
  EXPECT_EQ(first, draws_of(a));
  EXPECT_EQ(first, (std::vector<Token>{693, 412, 439, 319, 38, 461, 333, 783}));
}

TEST(Random, IsPcg32) {
  // The first numbers of pcg32 with seed 42 on the stream of increment 1442695040888963407, computed by its definition.
  Random random(42);
  std::vector<uint32_t> numbers;
  for (int i = 0; i < 3; i++) numbers.push_back(random.next());
  EXPECT_EQ(numbers, (std::vector<uint32_t>{3270867926u, 1795671209u, 1924641435u}));
}

TEST(Sampler, UnlikelyLogitsAreHandled) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(draw_many({.temperature = 1}, {nan, 1, -kInfinity}, 100).size(), 1u);
  EXPECT_EQ(draw_many({.temperature = 1}, {1, kInfinity, 0}, 100).begin()->first, 1);
  Sampler sampler({.temperature = 1});
  EXPECT_THROW(draw(sampler, std::vector<float>{nan, -kInfinity}, {}), Error);
  EXPECT_THROW(draw(sampler, {}, {}), Error);
  EXPECT_EQ(draw_many({.temperature = 1000}, {3e38f, -3e38f}, 100).size(), 1u);
}

TEST(Sampler, KnobsOutOfRangeAreRefusedByName) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<std::pair<SamplerOptions, const char*>> wrong = {
      {{.temperature = -1}, "temperature"},
      {{.temperature = nan}, "temperature"},
      {{.top_p = 1.5f}, "top_p"},
      {{.min_p = -0.1f}, "min_p"},
      {{.repetition_penalty = 0}, "repetition"},
      {{.frequency_penalty = kInfinity}, "frequency"},
      {{.presence_penalty = nan}, "presence"},
      {{.temperature = -nan}, "is nan"},
      {{.logit_bias = {{3, 0}, {-1, 0}}}, "logit_bias names token -1;"},
      {{.logit_bias = {{3, 0}, {5, nan}}}, "logit_bias of token 5 is nan"},
      {{.logit_bias = {{3, kInfinity}}}, "logit_bias of token 3 is inf"},
  };
  for (const auto& [options, name] : wrong) {
    try {
      Sampler sampler(options);
      FAIL() << name << " was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.status(), BITNET_ERROR_ARGUMENT);
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace bitnet
