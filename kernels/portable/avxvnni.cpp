// SPDX-License-Identifier: MIT
#define BITNET_KERNELS avxvnni_kernels
#define BITNET_KERNELS_NAME "avxvnni"
#include "kernels.inc"
