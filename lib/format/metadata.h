// SPDX-License-Identifier: MIT
// The metadata of a model, a FlatBuffers table (model.fbs): reading its parts, checking it, packing it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "model/architecture.h"
#include "model_generated.h"

namespace bitnet {

// Texts and arrays of a table, which leaves out empty ones.
inline std::string_view view(const flatbuffers::String* string) {
  return string == nullptr ? std::string_view() : std::string_view(string->data(), string->size());
}
template <typename T>
std::span<const T> view(const flatbuffers::Vector<T>* vector) {
  if (vector == nullptr) return {};
  return {reinterpret_cast<const T*>(vector->Data()), vector->size()};
}

constexpr uint64_t kMaxMetadata = uint64_t{256} << 20;  // unpacked

// Throws unless the bytes are a valid fb::Model of no more than the format allows.
void verify_metadata(std::span<const std::byte> raw);

// The metadata as it is laid into files and memory; throws if it is too large.
Buffer pack_metadata(const fb::ModelT& model);

// The hyperparameters in the model's own terms, and back. Unknown values and architectures throw; nothing else is
// checked.
HyperParameters read_hyperparameters(const fb::Model& model);
HyperParameters read_hyperparameters(const fb::ModelT& model);
fb::HyperParametersT store_hyperparameters(const HyperParameters& hyper);
Activation read_activation(fb::Activation activation);
fb::Activation stored_activation(Activation activation);
Gating read_gating(fb::Gating gating);
fb::Gating stored_gating(Gating gating);
Pooling read_pooling(fb::Pooling pooling);

// The same bytes for the same hyperparameters, however they were stored. Every field that the schema has or will have
// counts, but for those that have their default.
std::vector<std::byte> canonical_bytes(const fb::HyperParameters& hyper);

}  // namespace bitnet
