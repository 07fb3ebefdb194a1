// SPDX-License-Identifier: MIT
#define BITNET_KERNELS sse41_kernels
#define BITNET_KERNELS_NAME "sse41"
#include "kernels.inc"
