// SPDX-License-Identifier: MIT
// A model as the engine sees it: hyperparameters, vocabulary, and one named view for each tensor. The views point into
// the container (a mapped file, or memory that a GGUF was converted into) which the Model keeps alive.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model/architecture.h"
#include "packing.h"
#include "text/vocabulary.h"

namespace bitnet {

class Container;

// A packed ternary matrix: out = W x, with W rows x cols.
struct TernaryMatrix {
  Packing packing = Packing::i2;
  uint32_t rows = 0, cols = 0;
  const uint8_t* data = nullptr;  // packed_bytes(packing, rows, cols)
  const float* scales = nullptr;  // one, or `rows` of them
  bool row_scales = false;
};

// A matrix of plain numbers: the embedding and the head.
struct PlainMatrix {
  enum class Type : uint8_t { f16, int8, q5, q6 };
  Type type = Type::f16;
  uint32_t rows = 0, cols = 0;
  size_t stride = 0;  // f16, int8: values from one row to the next; the filling is zero
  const void* data = nullptr;
  const float* scales = nullptr;  // one per row; f16: null
  const float* bounds = nullptr;  // of a screen: one per row
};

struct Layer {
  const float* attention_norm = nullptr;      // hidden
  TernaryMatrix q, k, v;                      // heads*head_dim, kv_heads*head_dim x hidden
  const float* attention_sub_norm = nullptr;  // heads*head_dim
  TernaryMatrix o;                            // hidden x heads*head_dim
  const float* ffn_norm = nullptr;            // hidden
  TernaryMatrix gate, up;                     // ffn x hidden
  const float* ffn_sub_norm = nullptr;        // ffn
  TernaryMatrix down;                         // hidden x ffn
};

struct Model {
  std::shared_ptr<const Container> container;  // owns everything below
  std::string_view name, license;
  HyperParameters hyper;
  Vocabulary vocabulary;
  PlainMatrix embedding;  // always f16
  std::vector<Layer> layers;
  const float* output_norm = nullptr;
  PlainMatrix head;    // the embedding itself when tied and unquantized
  PlainMatrix screen;  // no data: there is none (engine/head.h)
  bool tied = false;
  uint64_t owned_bytes = 0;  // memory that the container takes from this process alone
  uint64_t fingerprint = 0;  // of metadata and tensor checksums: tells one model from another in saved sessions
};

}  // namespace bitnet
