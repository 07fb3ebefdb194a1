// SPDX-License-Identifier: MIT
// Writes a model as GGUF, version 3, so that other programs open the same weights.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/file.h"
#include "base/log.h"
#include "base/progress.h"
#include "format/source.h"

namespace bitnet {

// The GGUF type of a model's linears.
enum class GgufWeights : uint8_t {
  f16,
  f32,
  i2_s,   // bitnet.cpp, ik_llama.cpp; a scale for the matrix
  tq1_0,  // llama.cpp; a scale for the matrix or for rows, which F16 holds, columns in blocks of 256
  tq2_0,  // llama.cpp; likewise
  q2_0,   // llama.cpp; an F16 scale for each 64 columns
  tl1,    // bitnet.cpp on Arm; a scale for the matrix, which has a shape that it has kernels for
  tl2,    // bitnet.cpp on x86-64; likewise
};
const char* gguf_name(GgufWeights weights);

struct GgufWriterOptions {
  // Not given: I2_S for the architectures of bitnet.cpp, Q2_0 for scales of groups, TQ2_0 for other ternary weights
  // that it holds, F16 for everything else.
  std::optional<GgufWeights> weights = {};
  Quantize quantize = Quantize::refuse;            // of linears that are not ternary, for a ternary type
  bool lossy = false;                              // values that the type does not hold may be rounded
  std::function<void(fb::ModelT&)> describe = {};  // changes what the source says of the model
  Progress progress = {};
  Log log = {};
};

// A file that is whole, but for its name.
struct WrittenGguf {
  std::unique_ptr<OutputFile> file;
  uint64_t bytes;
  uint64_t commit() const {
    file->commit();
    return bytes;
  }
};

// Reads the source a few MiB at a time, for TL1 and TL2 matrix by matrix. Throws if the type does not hold the weights
// as they are, unless `lossy` lets them be rounded, or if they have to be ternary and are not.
WrittenGguf write_gguf(const std::string& out, const Source& source, const GgufWriterOptions& options = {});

}  // namespace bitnet
