// SPDX-License-Identifier: MIT
// Compares a .bitnet file with the model that it was converted from: whether anything was lost, and what.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/progress.h"
#include "format/open.h"

namespace bitnet {

// How a tensor is beside its original.
struct TensorComparison {
  std::string name;
  fb::Type type;
  uint32_t rows, cols;
  uint64_t differing = 0;    // values that are not the original's
  double largest_error = 0;  // of them
  std::string first;         // the first of them: where, and both values; empty if all are the same
};

struct Comparison {
  std::vector<TensorComparison> tensors;
  // What else differs: hyperparameters, vocabulary, tensors that only one of the two has.
  std::vector<std::string> metadata;
  std::vector<std::string> notes;  // what does not count as a loss: the chat template was replaced

  bool lossless() const;
  // "lossless", or "not lossless: ..." with the first difference.
  std::string verdict() const;
};

struct CompareOptions {
  I2sLayout layout = I2sLayout::automatic;        // of the original
  std::optional<fb::Activation> activation = {};  // of the original, if it does not name it
  Progress progress = {};
  Log log = {};
};

// The original may be whatever can be converted: a GGUF file, a Hugging Face folder, another .bitnet file. Throws Error
// if one of the two cannot be read.
Comparison compare(const std::string& path, const std::string& original, const CompareOptions& options = {});

}  // namespace bitnet
