// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <type_traits>

namespace bitnet {

// The next multiple that is not less than n.
template <std::unsigned_integral Number>
constexpr Number round_up(Number n, std::type_identity_t<Number> multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

}  // namespace bitnet
