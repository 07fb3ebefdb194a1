// SPDX-License-Identifier: MIT
// Holds a backend to another one: the same sequences, in random passes, must come to the same.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>

#include "engine/backend.h"
#include "model/model.h"

namespace bitnet {

struct BackendCheck {
  uint32_t seed = 1, steps = 40;
  uint32_t batch = 24;      // that both were made for
  double tolerance = 0.02;  // of results that are not exact: how far they may be off, in parts of their size
};

// Random rows of several sequences a pass, forks, truncations, passes that fail to please some of their sequences,
// snapshots, the head alone. Where `checked` says that it is exact, results and snapshots are the same bits.
testing::AssertionResult check_backend(const Model& model, Backend& reference, Backend& checked,
                                       const BackendCheck& check = {});

}  // namespace bitnet
