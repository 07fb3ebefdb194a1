// SPDX-License-Identifier: MIT
// The ways to stretch a rotary embedding over longer texts than a model was trained with at first, each resolved to a
// factor by which the frequency of each pair is divided. The formulas are those of Hugging Face's transformers
// (modeling_rope_utils.py), in float32 in the same order, so that the frequencies are the same.
#pragma once

#include <cstdint>
#include <vector>

namespace bitnet {

struct RopeScaling {
  std::vector<float> factors;  // one for each pair of a head; none: no frequency changes
  float magnitude = 1;         // by which sines and cosines are multiplied
};

struct RopeBase {
  uint32_t head_dim;
  float theta;
};

RopeScaling scale_rope_linearly(const RopeBase& base, float factor);

// Llama 3.1: long waves are stretched, short ones are not, and between the two is a smooth transition.
struct Llama3Scaling {
  float factor, low_frequency_factor, high_frequency_factor;
  double original_context;
};
RopeScaling scale_rope_as_llama3(const RopeBase& base, const Llama3Scaling& scaling);

struct YarnScaling {
  double factor, original_context;
  double beta_fast = 32, beta_slow = 1;
  bool truncate = true;
  double magnitude = 1;
};
RopeScaling scale_rope_by_yarn(const RopeBase& base, const YarnScaling& scaling);

// LongRoPE: one factor for each pair up to the context of the first training, and others in longer texts, with which
// all positions are turned anew. A model keeps to one of the two: the second only if it is the first.
struct LongScaling {
  std::vector<float> short_factors, long_factors;
  double original_context, context;
};
RopeScaling scale_rope_by_long(const RopeBase& base, LongScaling scaling);
// How long the texts are for which those factors hold.
double reach_of(const LongScaling& scaling);

// YaRN's attention factor where a model does not say another.
double yarn_magnitude(double factor, double mscale = 1);

}  // namespace bitnet
