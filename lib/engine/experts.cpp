// SPDX-License-Identifier: MIT
#include "engine/experts.h"

#include <algorithm>
#include <cfloat>
#include <cmath>

#include "engine/elementwise.h"

namespace bitnet {
namespace {

// In place of scores.
void to_probabilities(const Kernels& kernels, Gating gating, float* scores, uint32_t count) {
  switch (gating) {
    case Gating::softmax: {
      float largest = -FLT_MAX;
      for (uint32_t i = 0; i < count; i++) largest = scores[i] > largest ? scores[i] : largest;
      divide_all(scores, count, kernels.exp_sum(scores, largest, count, scores));
      return;
    }
    case Gating::sigmoid:
      for (uint32_t i = 0; i < count; i++) scores[i] = -scores[i];
      kernels.exp_sum(scores, 0, count, scores);
      for (uint32_t i = 0; i < count; i++) scores[i] = 1 / (1 + scores[i]);
      return;
  }
}

bool comes_before(float a, float b) { return a > b || (std::isnan(b) && !std::isnan(a)); }

}  // namespace

void choose_experts(const Kernels& kernels, const HyperParameters& hyper, const float* bias, float* scores,
                    Choice* choices) {
  constexpr float kLeastSum = 1e-20f;
  const uint32_t used = hyper.experts_used;
  to_probabilities(kernels, hyper.gating, scores, hyper.experts);
  // While they are chosen, weight is what they are chosen by.
  for (uint32_t i = 0; i < hyper.experts; i++) {
    const float rank = bias != nullptr ? scores[i] + bias[i] : scores[i];
    uint32_t at = std::min(i, used);
    while (at > 0 && comes_before(rank, choices[at - 1].weight)) at--;
    if (at == used) continue;
    std::move_backward(choices + at, choices + std::min(i, used - 1), choices + std::min(i + 1, used));
    choices[at] = {i, rank};
  }
  float sum = 0;
  for (uint32_t k = 0; k < used; k++) {
    choices[k].weight = scores[choices[k].expert];
    sum += choices[k].weight;
  }
  const float divisor = hyper.normalised ? (sum < kLeastSum ? kLeastSum : sum) : 1;
  for (uint32_t k = 0; k < used; k++) choices[k].weight = choices[k].weight / divisor * hyper.expert_scale;
}

}  // namespace bitnet
