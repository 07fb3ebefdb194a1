// SPDX-License-Identifier: MIT
// The kernels of the table avxvnni with their dot product in the encoding of AVX-512 VNNI, for CPUs that have only
// that. The two instructions do the same.
#include "kernels.h"

namespace bitnet {
extern const Kernels avxvnni_evex_kernels;
}

#define BITNET_KERNELS avxvnni_evex_kernels
#define BITNET_KERNELS_NAME "avxvnni-evex"
#include "portable/kernels.inc"
