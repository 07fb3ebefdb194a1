// SPDX-License-Identifier: MIT
#include "arm/simd_neon.h"
#include "generic/kernel_set.h"
#include "generic/sum_tables.h"
#include "layers.h"

namespace bitnet {

constexpr KernelLayer neon_layer = {
    .kernels = whole_layer<Neon, SumTables<Neon>>("neon"),
    .below = &scalar_layer,
};

}  // namespace bitnet
