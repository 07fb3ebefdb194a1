// SPDX-License-Identifier: MIT
#define BITNET_KERNELS avx2_kernels
#define BITNET_KERNELS_NAME "avx2"
#include "kernels.inc"
