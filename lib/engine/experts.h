// SPDX-License-Identifier: MIT
// Which experts compute a token.
#pragma once

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

}  // namespace bitnet
