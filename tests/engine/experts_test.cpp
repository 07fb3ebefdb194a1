// SPDX-License-Identifier: MIT
// Which experts compute a token: by the definition, with scores that are equal, extreme or none.
#include "engine/experts.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

namespace bitnet {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInfinity = std::numeric_limits<float>::infinity();

HyperParameters hyper_of(size_t experts, uint32_t used) {
  HyperParameters hyper;
  hyper.experts = static_cast<uint32_t>(experts);
  hyper.experts_used = used;
  hyper.normalised = true;
  return hyper;
}

std::vector<Choice> chosen(const HyperParameters& hyper, std::vector<float> scores, const std::vector<float>& bias = {},
                           const char* isa = "scalar") {
  std::vector<Choice> choices(hyper.experts_used);
  choose_experts(*find_kernels(isa), hyper, bias.empty() ? nullptr : bias.data(), scores.data(), choices.data());
  return choices;
}

std::vector<uint32_t> experts_of(const std::vector<Choice>& choices) {
  std::vector<uint32_t> experts;
  for (const Choice choice : choices) experts.push_back(choice.expert);
  return experts;
}
using Experts = std::vector<uint32_t>;

TEST(Experts, AreThoseWithTheLargestScores) {
  const auto choices = chosen(hyper_of(5, 3), {0, 3, -1, 2, 1});
  EXPECT_EQ(experts_of(choices), (Experts{1, 3, 4}));
  const double sum = std::exp(3.0) + std::exp(2.0) + std::exp(1.0);
  for (size_t k = 0; k < 3; ++k) EXPECT_NEAR(choices[k].weight, std::exp(3.0 - static_cast<double>(k)) / sum, 1e-6);
}

TEST(Experts, WeighTheirShareOfAllIfThatIsNotNormalised) {
  HyperParameters hyper = hyper_of(4, 2);
  hyper.normalised = false;
  hyper.expert_scale = 2.5f;
  const auto choices = chosen(hyper, {0, 1, 2, 3});
  const double sum = 1 + std::exp(1.0) + std::exp(2.0) + std::exp(3.0);
  EXPECT_NEAR(choices[0].weight, 2.5 * std::exp(3.0) / sum, 1e-6);
  EXPECT_NEAR(choices[1].weight, 2.5 * std::exp(2.0) / sum, 1e-6);
}

TEST(Experts, BySigmoidAreChosenWithTheirBiasAndWeighWithout) {
  HyperParameters hyper = hyper_of(4, 2);
  hyper.gating = Gating::sigmoid;
  hyper.normalised = false;
  const auto choices = chosen(hyper, {0, 1, 2, 3}, {1, 0, 0, 0});
  EXPECT_EQ(experts_of(choices), (Experts{0, 3}));
  EXPECT_FLOAT_EQ(choices[0].weight, 0.5f);
  EXPECT_NEAR(choices[1].weight, 1 / (1 + std::exp(-3.0)), 1e-6);
  hyper.normalised = true;
  for (const Choice choice : chosen(hyper, {-200, -200, -200, -200})) EXPECT_EQ(choice.weight, 0);
}

TEST(Experts, OfEqualScoresTheFirst) {
  EXPECT_EQ(experts_of(chosen(hyper_of(6, 3), {1, 2, 1, 2, 1, 2})), (Experts{1, 3, 5}));
  EXPECT_EQ(experts_of(chosen(hyper_of(6, 3), {7, 7, 7, 7, 7, 7})), (Experts{0, 1, 2}));
  EXPECT_EQ(experts_of(chosen(hyper_of(3, 3), {0, 0, 1})), (Experts{2, 0, 1}));
  // These are too small to differ as probabilities.
  EXPECT_EQ(experts_of(chosen(hyper_of(4, 3), {-300, -200, 0, -250})), (Experts{2, 0, 1}));
}

// Nothing breaks, all indices are in range and differ, and what is no number stays none.
TEST(Experts, WithScoresThatAreNoNumbers) {
  for (const Gating gating : {Gating::softmax, Gating::sigmoid}) {
    HyperParameters hyper = hyper_of(4, 2);
    hyper.gating = gating;
    for (const std::vector<float>& scores : {std::vector<float>{kNan, kNan, kNan, kNan},
                                             {kNan, 1, 2, 3},
                                             {kInfinity, 0, kInfinity, 0},
                                             {0, -kInfinity, kNan, 5},
                                             {-kInfinity, -kInfinity, -kInfinity, -kInfinity}}) {
      const auto choices = chosen(hyper, scores);
      EXPECT_LT(choices[0].expert, 4U);
      EXPECT_LT(choices[1].expert, 4U);
      EXPECT_NE(choices[0].expert, choices[1].expert);
    }
    EXPECT_EQ(experts_of(chosen(hyper, {kNan, kNan, kNan, kNan})), (Experts{0, 1}));
    EXPECT_TRUE(std::isnan(chosen(hyper, {kNan, kNan, kNan, kNan})[0].weight));
  }
  HyperParameters sigmoid = hyper_of(4, 2);
  sigmoid.gating = Gating::sigmoid;
  EXPECT_EQ(experts_of(chosen(sigmoid, {kNan, 1, kNan, 2})), (Experts{3, 1}));
}

TEST(Experts, AreTheSameBitsOnEveryInstructionSet) {
  std::minstd_rand random(5);
  for (const size_t experts : {1U, 7U, 64U, 256U}) {
    HyperParameters hyper = hyper_of(experts, static_cast<uint32_t>(std::min<size_t>(experts, 8)));
    std::vector<float> scores(experts);
    for (float& score : scores) score = static_cast<float>(random() % 4000) / 100 - 20;
    const auto reference = chosen(hyper, scores);
    const KernelList list = available_kernels();
    for (size_t i = 0; i < list.count; ++i) {
      if (find_kernels(list.tables[i]->name) == nullptr) continue;  // the CPU has it, but not the system
      const auto choices = chosen(hyper, scores, {}, list.tables[i]->name);
      EXPECT_EQ(std::memcmp(choices.data(), reference.data(), choices.size() * sizeof(Choice)), 0)
          << list.tables[i]->name;
    }
  }
}

}  // namespace
}  // namespace bitnet
