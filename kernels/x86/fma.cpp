// SPDX-License-Identifier: MIT
#include "generic/kernel_set.h"
#include "layers.h"
#include "x86/simd_fma.h"

namespace bitnet {

constexpr KernelLayer fma_layer = {
    .kernels = exact_layer<Fma>("fma"),
    .below = &avx2_layer,
};

}  // namespace bitnet
