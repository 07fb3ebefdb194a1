// SPDX-License-Identifier: MIT
#include "generic/kernel_set.h"
#include "layers.h"
#include "x86/simd_amx.h"
#include "x86/tile_products.h"

namespace bitnet {

constexpr KernelLayer amx_layer = {
    .kernels = ternary_layer<TileProducts<Amx>>("amx"),
    .below = &avx512vbmi_layer,
};

}  // namespace bitnet
