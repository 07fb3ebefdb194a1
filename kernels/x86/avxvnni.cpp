// SPDX-License-Identifier: MIT
#include "generic/kernel_set.h"
#include "generic/sum_tables.h"
#include "layers.h"
#include "x86/simd_avxvnni.h"

namespace bitnet {

constexpr KernelLayer avxvnni_layer = {
    .kernels = quads_layer<AvxVnni, SumTables<AvxVnni>>("avxvnni"),
    .below = &fma_layer,
};

}  // namespace bitnet
