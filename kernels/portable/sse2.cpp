// SPDX-License-Identifier: MIT
#define BITNET_KERNELS sse2_kernels
#define BITNET_KERNELS_NAME "sse2"
#include "kernels.inc"
