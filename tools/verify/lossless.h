// SPDX-License-Identifier: MIT
// The experiment of the bitnet.cpp paper (arXiv 2502.11880): whether a model continues prompts with the very tokens
// that a plain F32 pass would choose. What may differ, by rounding that is meant, is told apart from what may not, the
// products with the weights.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bitnet.h"
#include "kernels.h"
#include "model/model.h"

namespace bitnet::program {

// Where a text first leaves the one of the reference.
struct Difference {
  enum class Cause : uint8_t {
    cache,  // the reference agrees when it rounds keys and values as the cache does
    sums,   // sums in another order, and what is rounded otherwise for that: no further than such things move logits
    fault,  // further than that
  };
  size_t prompt;  // counted from 0
  size_t token;   // of the continuation, from 0
  bitnet_token ours, reference;
  double margin;  // by how much the reference holds its own token for likelier: a difference of logits
  double noise;   // by how much logits move there if keys and values are rounded: root mean square of all
  Cause cause;
};
const char* cause_name(Difference::Cause cause);

// Products of the layers' matrices with activations of the first texts, compared bit by bit.
struct ProductCounts {
  uint64_t matrices = 0, values = 0, differing = 0;
  std::string first = {};  // where; empty: nowhere
};

struct LosslessReport {
  size_t prompts = 0;
  std::vector<Difference> differences;
  ProductCounts products;

  size_t count(Difference::Cause cause) const;
  size_t same() const { return prompts - differences.size(); }
  bool is_lossless() const { return products.differing == 0 && count(Difference::Cause::fault) == 0; }
};

// What the reference says of texts, each a prompt with its continuation by the model's kernels and such a cache.
LosslessReport judge(const bitnet::Model& model, const Kernels& kernels, KvType cache,
                     const std::vector<std::vector<bitnet_token>>& prompts,
                     const std::vector<std::vector<bitnet_token>>& texts);

}  // namespace bitnet::program
