// SPDX-License-Identifier: MIT
// The architectures: their hyperparameters and the bounds of these, their tensors' names, roles and shapes. Reader,
// converter, loader and engine all ask here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bitnet {

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

// Architectures by GGUF's names for them, and what their feed-forward network does with its gate. Null if unknown.
std::optional<Activation> activation_of(std::string_view architecture);

struct Bounds {
  uint64_t low, high;
};
constexpr Bounds kLayerBounds = {1, 1024}, kHiddenBounds = {16, 1 << 17}, kFfnBounds = {16, 1 << 19},
                 kHeadBounds = {1, 4096}, kContextBounds = {1, 1 << 24}, kVocabularyBounds = {1, 1 << 22};
constexpr double kMostEpsilon = 1, kLeastTheta = 1;

// Bounds that every model of the field keeps with much room to spare, and under which no size that is computed from
// hyperparameters overflows. Throws Error naming the parameter.
void check_hyperparameters(const HyperParameters& hyper);

// What a tensor is to its model.
enum class Role : uint8_t { norm, ternary, embedding, head, screen };

struct TensorSpec {
  std::string name;
  Role role;
  uint32_t rows, cols;  // a norm is one row
};

// All tensors of a model in the order in which the forward pass meets them; head and screen only if asked for.
std::vector<TensorSpec> tensor_specs(const HyperParameters& hyper, bool with_head, bool with_screen);
constexpr std::string_view kEmbeddingName = "token_embd.weight";
constexpr std::string_view kHeadName = "output.weight";
constexpr std::string_view kScreenName = "output.screen";  // a small copy of an F16 head (engine/head.h)

}  // namespace bitnet
