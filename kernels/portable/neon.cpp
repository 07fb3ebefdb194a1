// SPDX-License-Identifier: MIT
#define BITNET_KERNELS neon_kernels
#define BITNET_KERNELS_NAME "neon"
#include "kernels.inc"
