// SPDX-License-Identifier: MIT
// Models of real shapes with random weights: for measuring speed and memory without a download.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/progress.h"
#include "format/tensor_types.h"

namespace bitnet {

struct DummyOptions {
  Packing packing = Packing::i2;
  std::optional<HeadType> head = {};  // not given: F16, for large vocabularies with a screen
  uint64_t seed = 1;
  Progress progress = {};
};

// Every shape's name, for messages: "tiny, 125M, ...".
std::string dummy_shapes();

// Writes a .bitnet file whose every byte follows from the shape and the options. Returns its size.
uint64_t write_dummy(const std::string& out, std::string_view shape, const DummyOptions& options = {});

}  // namespace bitnet
