// SPDX-License-Identifier: MIT
#define BITNET_KERNELS i8mm_kernels
#define BITNET_KERNELS_NAME "i8mm"
#include "kernels.inc"
