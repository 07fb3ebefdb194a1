// SPDX-License-Identifier: MIT
#pragma once

#include "text/jinja/syntax.h"

namespace bitnet::jinja {

// What the template prints, given those variables.
MarkedText render(const Block& program, Dict variables);

}  // namespace bitnet::jinja
