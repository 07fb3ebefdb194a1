// SPDX-License-Identifier: MIT
#define BITNET_KERNELS avx512vnni_kernels
#define BITNET_KERNELS_NAME "avx512vnni"
#include "kernels.inc"
