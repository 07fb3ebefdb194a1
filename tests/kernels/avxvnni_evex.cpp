// SPDX-License-Identifier: MIT
// The kernels of the table avxvnni with their dot product in the encoding of AVX-512 VNNI, for CPUs that have only
// that. The two instructions do the same.
#include "generic/kernel_set.h"
#include "generic/sum_tables.h"
#include "layers.h"
#include "x86/simd_avxvnni.h"

namespace bitnet {

extern const KernelLayer avxvnni_evex_layer;

constexpr KernelLayer avxvnni_evex_layer = {
    .kernels = quads_layer<AvxVnni, SumTables<AvxVnni>>("avxvnni-evex"),
    .below = &fma_layer,
};

}  // namespace bitnet
