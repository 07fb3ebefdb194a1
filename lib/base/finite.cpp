// SPDX-License-Identifier: MIT
#include "base/finite.h"

#include <algorithm>
#include <cmath>

#include "base/half.h"

namespace bitnet {

size_t find_nonfinite(std::span<const float> values) {
  return static_cast<size_t>(std::ranges::find_if(values, [](float v) { return !std::isfinite(v); }) - values.begin());
}

size_t find_nonfinite(std::span<const uint16_t> halves) {
  // A plain loop over a block at a time: the compiler makes vectors of it.
  constexpr size_t kBlock = 4096;
  for (size_t begin = 0; begin < halves.size(); begin += kBlock) {
    const auto block = halves.subspan(begin, std::min(kBlock, halves.size() - begin));
    bool bad = false;
    for (const uint16_t half : block) bad |= !half_is_finite(half);
    if (bad) return begin + static_cast<size_t>(std::ranges::find_if_not(block, half_is_finite) - block.begin());
  }
  return halves.size();
}

}  // namespace bitnet
