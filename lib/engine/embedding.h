// SPDX-License-Identifier: MIT
// Embeddings: texts become vectors, of which those of like meaning point in like directions. A text is evaluated as in
// a session, but for itself and without logits; of the hidden states of its tokens one is taken, or their mean.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/engine.h"
#include "engine/seat.h"
#include "model/model.h"

namespace bitnet {

// What the numbers of an embedding become. An embedding counts by its direction, which no scale changes: none is kept.
enum class EmbeddingNumbers : uint8_t {
  f32,
  int8,  // steps of 1/127 of the largest magnitude
  int4,  // 16 and 4 levels about zero, evenly apart: level i of n stands for 2 i - (n - 1)
  int2,
  int1,  // whether it is positive
};

struct EmbeddingOptions {
  Pooling pooling = Pooling::none;  // none: as the model says, or else the last token's
  EmbeddingNumbers numbers = EmbeddingNumbers::f32;
  bool normalize = true;     // to length 1
  uint32_t dimensions = 0;   // the first so many, before the length counts; 0: all
  uint32_t most_tokens = 0;  // of a text; 0: what the model was trained for
  bool cut = false;          // longer texts, rather than refuse them
  Priority priority = Priority::interactive;
  int (*abort)(void* user) = nullptr;
  void* abort_user = nullptr;
};

// The options with what the model says in place of what they leave open. Throws Error for what does not go together.
EmbeddingOptions with_defaults(EmbeddingOptions options, const Model& model);

// What follows is of options with their defaults filled in.

size_t embedding_bytes(const EmbeddingOptions& options);

// The embedding of a hidden state, embedding_bytes() long: the last step, without the network.
void write_embedding(std::span<const float> state, const EmbeddingOptions& options, std::byte* out);

// The embeddings of texts in turn, whatever their lengths: those that fit into a pass are computed in one. `out` has
// texts.size() * embedding_bytes() bytes. A text's embedding does not depend on the others. Throws Error for a text
// without tokens, with one that does not exist, or too long.
void embed(Engine& engine, std::span<const std::span<const Token>> texts, const EmbeddingOptions& options,
           std::byte* out);

}  // namespace bitnet
