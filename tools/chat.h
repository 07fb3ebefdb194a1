// SPDX-License-Identifier: MIT
#pragma once

#include "generate.h"

namespace bitnet::program {

// Converses on standard input and output until its end, /quit, or Ctrl-C twice.
void chat(const GenerateOptions& options);

}  // namespace bitnet::program
