// SPDX-License-Identifier: MIT
// Reads a whole model file and says of each tensor whether it is sound.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/progress.h"
#include "format/container.h"

namespace bitnet {

struct TensorReport {
  std::string name;
  fb::Type type;
  uint32_t rows, cols;
  uint64_t bytes;
  std::string problem;  // empty: its checksum is right, its codes are valid, its numbers finite, bounds large enough
};

struct VerifyReport {
  std::vector<TensorReport> tensors;
  uint64_t fingerprint;

  bool sound() const;
};

// Header, metadata and directory are checked by opening; what is wrong there is thrown as Error, as is a set of tensors
// that does not fit the hyperparameters. What is wrong inside tensors is reported, all of it.
VerifyReport verify(const std::string& path, const Progress& progress = {});

}  // namespace bitnet
