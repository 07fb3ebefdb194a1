// SPDX-License-Identifier: MIT
// How large a vocabulary may be that a model file brings.
#pragma once

#include <cstddef>

namespace bitnet {

constexpr size_t kMaxTokens = size_t{1} << 22;
constexpr size_t kMaxMerges = size_t{1} << 23;
constexpr size_t kMaxTextBytes = size_t{64} << 20;  // of all pieces, or of all notes
constexpr size_t kMaxTemplateBytes = size_t{1} << 20;

}  // namespace bitnet
