// SPDX-License-Identifier: MIT
#include "generic/kernel_set.h"
#include "layers.h"
#include "x86/register_tables.h"

namespace bitnet {

constexpr KernelLayer avx512vbmi_layer = {
    .kernels = ternary_layer<RegisterTables>("avx512vbmi"),
    .below = &avx512vnni_layer,
};

}  // namespace bitnet
