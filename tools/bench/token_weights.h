// SPDX-License-Identifier: MIT
// The weights that generating a token reads, and how fast the machine reads them at best.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "bitnet.h"

namespace bitnet::program {

class TokenWeights {
 public:
  // All ternary matrices and the head; of a screened head, unless all `logits` are asked for, the screen. The rows that
  // a screen leaves to be computed exactly are not counted, nor is the KV cache.
  TokenWeights(const bitnet_model& model, bool logits);

  uint64_t bytes() const { return bytes_; }

  // Bytes a second at which `threads` threads read them, forward and in large pieces, and do nothing else.
  double read(unsigned threads) const;

 private:
  std::vector<std::span<const std::byte>> pieces_;
  uint64_t bytes_ = 0;
};

}  // namespace bitnet::program
