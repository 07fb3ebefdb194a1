// SPDX-License-Identifier: MIT
// A model as the engine sees it: hyperparameters, vocabulary, and one view for each tensor. The views point into the
// container (a mapped file, or memory that another file was converted into) which the Model keeps alive.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/architecture.h"
#include "packing.h"
#include "text/vocabulary.h"

namespace bitnet {

class Container;

// How the numbers of a matrix lie in memory, and with it what kernel multiplies them and what it takes of activations.
enum class Numbers : uint8_t {
  f32,   // rows of floats; activations are floats
  f16,   // rows of binary16; in a linear, activations are floats rounded to 13 bits
  int8,  // rows of int8 with a scale each; the kernel rounds activations to 16 bits
  q5,    // bit planes (planes.h), with a scale for a row; likewise
  q6,
  i2,  // ternary, packed (packing.h), one scale or one for each row; activations are int8
  t5,
  g128,  // ternary with a scale for each 128 or 64 columns of a row (groups.h); activations are int16
  g64,
};
std::optional<Packing> packing_of(Numbers numbers);
std::optional<uint32_t> group_of(Numbers numbers);  // columns that share a scale

// A matrix of rows x cols; as a linear, out = W x.
struct Matrix {
  Numbers numbers = Numbers::f16;
  uint32_t rows = 0, cols = 0;
  size_t stride = 0;  // f32, f16, int8: values from one row to the next; the filling is zero
  const void* data = nullptr;
  const float* scales = nullptr;  // int8, q5, q6, or with row_scales: one for each row; i2, t5, g128, g64: one
  bool row_scales = false;
  const float* bounds = nullptr;  // of a screen: one for each row
};

struct Linear {
  Matrix weights;
  const float* bias = nullptr;  // rows of them; null: none
  const float* norm = nullptr;  // cols; of its input, behind any other norm; null: none
};

// What is null an architecture does not have.
struct Layer {
  const float* attention_norm = nullptr;  // hidden
  Linear q, k, v;                         // heads*head_dim, kv_heads*head_dim x hidden
  const float* q_norm = nullptr;          // head_dim
  const float* k_norm = nullptr;
  const float* attention_sub_norm = nullptr;   // heads*head_dim
  Linear o;                                    // hidden x heads*head_dim
  const float* attention_post_norm = nullptr;  // hidden
  const float* ffn_norm = nullptr;             // hidden
  Linear router;                               // experts x hidden; no data: there are none
  const float* expert_bias = nullptr;          // experts
  Linear gate, up;                             // ffn x hidden; of experts those of one after those of another
  const float* ffn_sub_norm = nullptr;         // ffn
  Linear down;                                 // hidden x ffn, likewise
  const float* ffn_post_norm = nullptr;        // hidden
};
constexpr Linear Layer::*kLinears[] = {&Layer::q,    &Layer::k,  &Layer::v,   &Layer::o,
                                       &Layer::gate, &Layer::up, &Layer::down};

struct Model {
  std::shared_ptr<const Container> container;  // owns everything below
  std::string_view name, license;
  HyperParameters hyper;
  Vocabulary vocabulary;
  const float* rope_factors = nullptr;  // head_dim / 2 of them, by which the frequencies are divided
  Matrix embedding;                     // f32, f16, g128 or g64
  std::vector<Layer> layers;
  const float* output_norm = nullptr;
  Matrix head;    // the embedding itself when tied and unquantized; no data: there is none, the model makes embeddings
  Matrix screen;  // no data: there is none (engine/head.h)
  bool tied = false;
  Pooling pooling = Pooling::none;
  uint64_t owned_bytes = 0;  // memory that the container takes from this process alone
  uint64_t fingerprint = 0;  // of metadata and tensor checksums: tells one model from another in saved sessions
};

}  // namespace bitnet
