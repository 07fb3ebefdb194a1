// SPDX-License-Identifier: MIT
#include "generic/kernel_set.h"
#include "generic/simd_portable.h"
#include "generic/sum_tables.h"
#include "layers.h"

namespace bitnet {

constexpr KernelLayer portable_layer = {
    .kernels = whole_layer<Portable, SumTables<Portable>>("portable"),
    .below = &scalar_layer,
};

}  // namespace bitnet
