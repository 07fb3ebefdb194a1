// SPDX-License-Identifier: MIT
#include "generic/kernel_set.h"
#include "generic/sum_tables.h"
#include "layers.h"
#include "x86/simd_sse41.h"

namespace bitnet {

constexpr KernelLayer sse41_layer = {
    .kernels = whole_layer<Sse41, SumTables<Sse41>>("sse41"),
    .below = &sse2_layer,
};

}  // namespace bitnet
