// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "text/jinja/syntax.h"

namespace bitnet::jinja {

// What the template prints, given those variables.
std::string render(const Block& program, Dict variables);

}  // namespace bitnet::jinja
