// SPDX-License-Identifier: MIT
// Looking for numbers that are none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace bitnet {

// The index of the first value that is infinite or not a number; the size if there is none.
size_t find_nonfinite(std::span<const float> values);
size_t find_nonfinite(std::span<const uint16_t> halves);

}  // namespace bitnet
