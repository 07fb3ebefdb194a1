// SPDX-License-Identifier: MIT
// The tables that a build can hold; dispatch.cpp says which of them a CPU can run.
#pragma once

#include "kernels.h"

namespace bitnet {

extern const Kernels scalar_kernels;
extern const Kernels sse2_kernels;        // x86-64 baseline
extern const Kernels avx2_kernels;        // AVX2, F16C
extern const Kernels avx512_kernels;      // AVX-512 F, BW, VL, DQ
extern const Kernels avx512vnni_kernels;  // and VNNI
extern const Kernels avx512vbmi_kernels;  // and VBMI
extern const Kernels neon_kernels;        // Armv8-A baseline

}  // namespace bitnet
