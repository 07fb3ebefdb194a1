// SPDX-License-Identifier: MIT
#include "arm/matrix_products.h"
#include "generic/kernel_set.h"
#include "layers.h"

namespace bitnet {

constexpr KernelLayer i8mm_layer = {
    .kernels = ternary_layer<MatrixProducts>("i8mm"),
    .below = &dotprod_layer,
};

}  // namespace bitnet
