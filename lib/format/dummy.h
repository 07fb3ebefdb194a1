// SPDX-License-Identifier: MIT
// Models of real shapes with random weights: for measuring speed and memory without a download.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/progress.h"
#include "format/converter.h"
#include "format/gguf_writer.h"
#include "format/shapes.h"
#include "format/tensor_types.h"

namespace bitnet {

struct DummyOptions {
  bool gguf = false;  // instead of a .bitnet file

  // In place of the shape's own: the kind of its matrices; an architecture that has the same ones.
  std::optional<Weights> weights = {};
  std::optional<std::string_view> architecture = {};

  Packing packing = Packing::i2;  // of ternary weights with a scale for each matrix
  Dense dense = Dense::f16;
  std::optional<HeadType> head = {};             // not given: F16, for large vocabularies with a screen
  std::optional<GgufWeights> gguf_weights = {};  // not given: what programs take that read such models
  uint64_t seed = 1;
  Progress progress = {};
  Log log = {};
};

// Every shape's name, for messages: "tiny, 125M, ...".
std::string dummy_shapes();

// What a shape comes to.
struct ShapeSize {
  uint64_t parameters;
  uint64_t bytes;                // of all tensors
  uint64_t bytes_a_token;        // of the weights that a generated token reads
  uint64_t cache_bytes_a_token;  // of the KV cache
};
ShapeSize size_of(const Shape& shape, const DummyOptions& options = {});

// Writes a file whose every byte follows from the shape and the options. Returns its size. A GGUF file holds the same
// model as the .bitnet file, and needs room for both while it is written.
uint64_t write_dummy(const std::string& out, std::string_view shape, const DummyOptions& options = {});

}  // namespace bitnet
