// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/program.h"

namespace bitnet::jinja {

// What the template prints, given those variables.
MarkedText render(const Program& program, const std::vector<std::pair<std::string_view, Value>>& variables);

}  // namespace bitnet::jinja
