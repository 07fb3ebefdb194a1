// SPDX-License-Identifier: MIT
#include "arm/simd_dotprod.h"
#include "generic/kernel_set.h"
#include "generic/sum_tables.h"
#include "layers.h"

namespace bitnet {

constexpr KernelLayer dotprod_layer = {
    .kernels = quads_layer<Dotprod, SumTables<Dotprod>>("dotprod"),
    .below = &neon_layer,
};

}  // namespace bitnet
