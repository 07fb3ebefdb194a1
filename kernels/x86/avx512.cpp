// SPDX-License-Identifier: MIT
#include "generic/kernel_set.h"
#include "generic/sum_tables.h"
#include "layers.h"
#include "x86/simd_avx512.h"

namespace bitnet {

constexpr KernelLayer avx512_layer = {
    .kernels = whole_layer<Avx512, SumTables<Avx512>>("avx512"),
    .below = &fma_layer,
};

}  // namespace bitnet
