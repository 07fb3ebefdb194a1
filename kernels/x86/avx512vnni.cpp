// SPDX-License-Identifier: MIT
#include "generic/kernel_set.h"
#include "layers.h"
#include "x86/simd_avx512vnni.h"
#include "x86/unpacked_products.h"

namespace bitnet {

constexpr KernelLayer avx512vnni_layer = {
    .kernels = integer_layer<Avx512Vnni, UnpackedProducts>("avx512vnni"),
    .below = &avx512_layer,
};

}  // namespace bitnet
