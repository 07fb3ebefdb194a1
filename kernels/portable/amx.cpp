// SPDX-License-Identifier: MIT
#include "../tables.h"
#include "../x86/tiles.h"
#define BITNET_TILES
#include "ternary_kernels.inc"

namespace bitnet {
const TernaryKernels amx_ternary = kTernaryKernels;
}
