// SPDX-License-Identifier: MIT
// Rotary position embedding (Su et al., arXiv 2104.09864), angles computed as Hugging Face's modelling code does, with
// sine and cosine of our own, because those of C libraries differ in the last bit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace bitnet {

class Rope {
 public:
  // factors: by which the frequencies are divided, head_dim / 2 of them, or null. magnitude: by which sines and cosines
  // are multiplied.
  Rope(uint32_t head_dim, float theta, const float* factors = nullptr, float magnitude = 1);

  // Writes the cosines and sines of a position: head_dim / 2 each.
  void angles(uint32_t position, float* cosines, float* sines) const;

 private:
  std::vector<float> frequencies_;  // theta ^ (-2i / head_dim) / factor
  float magnitude_;
};

}  // namespace bitnet
