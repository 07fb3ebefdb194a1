// SPDX-License-Identifier: MIT
#define BITNET_KERNELS avx512_kernels
#define BITNET_KERNELS_NAME "avx512"
#include "kernels.inc"
