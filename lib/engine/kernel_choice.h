// SPDX-License-Identifier: MIT
// Which kernel set computes: the one asked for, or that of $BITNET_ISA, or else the fastest.
#pragma once

#include <string>

#include "kernels.h"

namespace bitnet {

// For a model. `asked` is the name of a set, or empty. Throws Error if that set cannot be used here.
const Kernels& choose_kernels(const std::string& asked);

// For floats alone, without a model: $BITNET_ISA, or else the fastest set that needs no request to the operating
// system.
const Kernels& choose_float_kernels();

}  // namespace bitnet
