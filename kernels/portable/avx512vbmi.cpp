// SPDX-License-Identifier: MIT
#include "../tables.h"
#include "ternary_kernels.inc"

namespace bitnet {
const TernaryKernels avx512vbmi_ternary = kTernaryKernels;
}
