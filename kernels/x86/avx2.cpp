// SPDX-License-Identifier: MIT
#include "generic/kernel_set.h"
#include "generic/sum_tables.h"
#include "layers.h"
#include "x86/simd_avx2.h"

namespace bitnet {

constexpr KernelLayer avx2_layer = {
    .kernels = whole_layer<Avx2, SumTables<Avx2>>("avx2"),
    .below = &sse41_layer,
};

}  // namespace bitnet
