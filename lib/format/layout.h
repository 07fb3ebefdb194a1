// SPDX-License-Identifier: MIT
// What a model consists of: the bounds of its hyperparameters, its tensors' names, roles and shapes, and how many bytes
// each takes. Converter, reader and loader all ask here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model_generated.h"
#include "packing.h"
#include "planes.h"

namespace bitnet {

constexpr size_t kCacheLine = 64;     // every tensor and every row of plain numbers begins on one
constexpr size_t kWeightPage = 4096;  // in a file, every matrix begins on one

// Architectures by GGUF's names for them, and what their feed-forward network does with its gate. Null if unknown.
std::optional<fb::Activation> activation_of(std::string_view architecture);

struct Bounds {
  uint64_t low, high;
};
constexpr Bounds kLayerBounds = {1, 1024}, kHiddenBounds = {16, 1 << 17}, kFfnBounds = {16, 1 << 19},
                 kHeadBounds = {1, 4096}, kContextBounds = {1, 1 << 24}, kVocabularyBounds = {1, 1 << 22};
constexpr double kMostEpsilon = 1, kLeastTheta = 1;

// Bounds that every model of the field keeps with much room to spare, and under which no size that is computed from
// hyperparameters overflows. Throws Error naming the parameter.
void check_hyperparameters(const fb::HyperParametersT& hyper);

enum class Role : uint8_t { norm, ternary, embedding, head, screen };

struct TensorSpec {
  std::string name;
  Role role;
  uint32_t rows, cols;  // a norm is one row
};

// All tensors of a model in the order in which the forward pass meets them; head and screen only if asked for.
std::vector<TensorSpec> tensor_specs(const fb::HyperParametersT& hyper, bool with_head, bool with_screen);
constexpr std::string_view kEmbeddingName = "token_embd.weight";
constexpr std::string_view kHeadName = "output.weight";
constexpr std::string_view kScreenName = "output.screen";  // a small copy of an F16 head (engine/head.h)

inline bool is_ternary(fb::Type type) { return type == fb::Type::i2 || type == fb::Type::t5; }
inline Packing packing_of(fb::Type type) { return type == fb::Type::t5 ? Packing::t5 : Packing::i2; }
inline bool is_planes(fb::Type type) { return type == fb::Type::q5 || type == fb::Type::q6; }
inline Planes planes_of(fb::Type type) { return type == fb::Type::q5 ? Planes::q5 : Planes::q6; }
inline fb::Type type_of(Packing packing) { return packing == Packing::t5 ? fb::Type::t5 : fb::Type::i2; }

constexpr uint32_t kMaxExtent = 1u << 24;  // rows or columns of any tensor

// Values from one row to the next, and bytes in all, of a tensor of at most kMaxExtent rows and columns.
uint32_t row_stride(fb::Type type, uint32_t cols);
uint64_t raw_bytes(fb::Type type, uint32_t rows, uint32_t cols);

// The index of the first value that is infinite or not a number; its size if there is none.
size_t find_nonfinite(std::span<const float> values);
size_t find_nonfinite(std::span<const uint16_t> halves);

}  // namespace bitnet
