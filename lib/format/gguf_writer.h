// SPDX-License-Identifier: MIT
// Writes a model as GGUF, version 3, so that other programs open the same weights: they are measured by it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/log.h"
#include "base/progress.h"
#include "format/source.h"

namespace bitnet {

// The GGUF type of a model's linears.
enum class GgufWeights : uint8_t {
  f16,
  f32,
  i2_s,   // bitnet.cpp, ik_llama.cpp; a scale for the matrix
  tq2_0,  // llama.cpp; likewise, a scale that F16 holds, columns in blocks of 256
  q2_0,   // llama.cpp; an F16 scale for each 64 columns
};
const char* gguf_name(GgufWeights weights);

struct GgufWriterOptions {
  // Not given: I2_S for the architectures of bitnet.cpp, Q2_0 for scales of groups, TQ2_0 for other ternary weights
  // that it holds, F16 for everything else.
  std::optional<GgufWeights> weights = {};
  Progress progress = {};
  Log log = {};
};

// Reads the source a few MiB at a time. Until all is written nothing appears under `out`. Returns the file's size.
// Throws if the weights cannot be written in that type without being changed.
uint64_t write_gguf(const std::string& out, const Source& source, const GgufWriterOptions& options = {});

}  // namespace bitnet
