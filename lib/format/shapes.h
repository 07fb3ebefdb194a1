// SPDX-License-Identifier: MIT
// The shapes of published models: what `bitnet dummy` writes and docs/models.md tells of.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "format/rope_scaling.h"
#include "model/architecture.h"

namespace bitnet {

// What numbers the weights of a model are, as it is published.
enum class Weights : uint8_t {
  ternary,  // with a scale for each matrix, trained with activations in int8
  groups,   // ternary with a scale for each 128 columns of a row, published with float activations
  dense,
};

// How a model stretches its rotary embedding over longer texts.
enum class RopeKind : uint8_t {
  plain,
  llama3,  // as Llama 3.2 does: by 32, from 8192 tokens, with the factors 1 and 4
  yarn,    // by 4, from a quarter of the context
};

struct Shape {
  std::string_view name;
  std::string_view architecture;
  Weights weights;
  bool tied;            // the head is the embedding
  bool ternary_tokens;  // embedding and head are ternary, too
  uint32_t hidden, ffn, layers, heads, kv_heads, head_dim, vocabulary, context;
  float rope_theta, rms_epsilon;
  RopeKind rope;
  uint32_t window = 0;       // of most layers; 0: none
  bool embeds = false;       // no head, the last token's state
  bool input_norms = false;  // before each matrix
  uint32_t experts = 0, experts_used = 0;
  bool maple = false;  // windows in three layers of four, the only ones that are turned, in half of each head; a limit

  HyperParameters hyper() const;
};

std::span<const Shape> shapes();
// Small letters and capitals are the same. Null: there is none of that name.
const Shape* find_shape(std::string_view name);

// The rotary embedding of a shape; no factors: plain.
RopeScaling rope_scaling(const Shape& shape);
constexpr float kYarnFactor = 4;  // of RopeKind::yarn

}  // namespace bitnet
