// SPDX-License-Identifier: MIT
// Writes a model as a Hugging Face folder, which transformers loads: config.json, model.safetensors, the vocabulary.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/folder.h"
#include "base/log.h"
#include "base/progress.h"
#include "format/source.h"

namespace bitnet {

// How the matrices of linear layers lie there.
enum class HfForm : uint8_t {
  packed,  // 2 bits a weight and a scale for the matrix: quant_method bitnet, with activations of 8 bits
  bf16,    // numbers, as of any model of the class
  f16,
  f32,
};

constexpr uint64_t kShardBytes = 5'000'000'000;  // as transformers has it

struct HfWriterOptions {
  // Not given: packed where the model is BitNet's, otherwise the narrowest numbers that hold all matrices.
  std::optional<HfForm> form = {};
  std::optional<ActivationBits> activations = {};  // not given: as published
  Quantize quantize = Quantize::refuse;            // of linears that are not ternary
  bool lossy = false;                              // what such a folder does not hold may be lost
  uint64_t shard_bytes = kShardBytes;
  std::function<void(fb::ModelT&)> describe = {};  // changes what the source says of the model
  Progress progress = {};
  Log log = {};
};

// A folder that is whole, but for its name.
struct WrittenFolder {
  std::unique_ptr<OutputFolder> folder;
  uint64_t bytes;
  uint64_t commit() const {
    folder->commit();
    return bytes;
  }
};

// Reads the source a few MiB at a time, and what is packed matrix by matrix. What is written of texts is read again:
// whatever a reader of the folder would take otherwise is an error, unless `lossy` lets it be.
WrittenFolder write_hf(const std::string& out, const Source& source, const HfWriterOptions& options = {});

}  // namespace bitnet
