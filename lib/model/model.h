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

#include "packing.h"
#include "text/vocabulary.h"

namespace bitnet {

class Container;

// What the feed-forward network does with its gate.
enum class Activation : uint8_t {
  relu2,  // squared ReLU: BitNet b1.58 2B-4T
  silu,   // the first BitNet b1.58 models
};

struct HyperParameters {
  std::string_view architecture;  // as the file names it: "bitnet-b1.58", "bitnet-25", "bitnet"
  uint32_t layers = 0;
  uint32_t hidden = 0;
  uint32_t ffn = 0;
  uint32_t heads = 0;
  uint32_t kv_heads = 0;
  uint32_t head_dim = 0;
  uint32_t vocabulary = 0;
  uint32_t context = 0;  // tokens the model was trained for
  float rms_epsilon = 0;
  float rope_theta = 0;
  Activation activation = Activation::relu2;
};

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
  uint64_t fingerprint = 0;  // of metadata and tensor checksums: tells one model from another in saved sessions
};

// Checks that the container holds a complete model of a known architecture, every tensor in the shape that the
// hyperparameters ask for, every scale finite and positive, and fills in the views. Throws Error otherwise.
Model load_model(std::shared_ptr<const Container> container);

// Whether a file's metadata makes a model that can be used, tokenizer included; throws Error if not. With verify() of
// its tensors, that is all there is to check.
void check_model(const std::string& path);

}  // namespace bitnet
