// SPDX-License-Identifier: MIT
// Names that were meant: for errors about one that does not exist.
#pragma once

#include <span>
#include <string_view>

namespace bitnet {

// The name that takes the fewest changes to become, if that is less than half of it; otherwise "".
std::string_view nearest_name(std::string_view given, std::span<const std::string_view> names);

}  // namespace bitnet
