// SPDX-License-Identifier: MIT
#define BITNET_KERNELS avx512vbmi_kernels
#define BITNET_KERNELS_NAME "avx512vbmi"
#include "kernels.inc"
