// SPDX-License-Identifier: MIT
#define BITNET_KERNELS amx_kernels
#define BITNET_KERNELS_NAME "amx"
#include "../x86/tiles.h"
#define BITNET_TILES
#include "kernels.inc"
