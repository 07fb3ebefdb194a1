// SPDX-License-Identifier: MIT
#pragma once

#include <span>
#include <string_view>

namespace bitnet::program {

// What `bitnet verify --lossless` continues when it is given no prompts.
std::span<const std::string_view> usual_prompts();

}  // namespace bitnet::program
