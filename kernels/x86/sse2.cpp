// SPDX-License-Identifier: MIT
#include "generic/kernel_set.h"
#include "generic/sum_tables.h"
#include "layers.h"
#include "x86/simd_sse2.h"

namespace bitnet {

constexpr KernelLayer sse2_layer = {
    .kernels = whole_layer<Sse2, SumTables<Sse2>>("sse2"),
    .below = &scalar_layer,
};

}  // namespace bitnet
