// SPDX-License-Identifier: MIT
#define BITNET_KERNELS dotprod_kernels
#define BITNET_KERNELS_NAME "dotprod"
#include "kernels.inc"
