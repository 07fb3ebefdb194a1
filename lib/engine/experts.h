// SPDX-License-Identifier: MIT
// Which experts compute a token, and what comes of it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels.h"
#include "model/model.h"

namespace bitnet {

struct Choice {
  uint32_t expert;
  float weight;  // of what it adds
};

// By the router's scores, of which nothing is left: experts_used choices, the best first. An expert's probability is
//   softmax  exp(score - largest) / the sum of these, a float reduction; NaN left out of the largest
//   sigmoid  1 / (1 + exp(-score))
// with the kernels' exp. Those with the largest probability, with `bias` (null: none) added to it, are chosen: of equal
// ones the first, NaN behind all numbers. Their weights are their probabilities; normalised, divided by the sum of
// these in the order of the choice, or 1e-20 if that is less; then times expert_scale. A score that is NaN leads to
// weights that are none, as a NaN anywhere else in a layer.
void choose_experts(const Kernels& kernels, const HyperParameters& hyper, const float* bias, float* scores,
                    Choice* choices);

// y = the sum of what the experts have made, times their weights, in the order of the choices. made(k): that of choice
// k.
template <typename Made>
void mix(const Choice* choices, uint32_t count, size_t n, const Made& made, float* y) {
  for (uint32_t k = 0; k < count; k++) {
    const float* const x = made(k);
    const float weight = choices[k].weight;
    for (size_t i = 0; i < n; i++) y[i] = k == 0 ? x[i] * weight : y[i] + x[i] * weight;
  }
}

}  // namespace bitnet
