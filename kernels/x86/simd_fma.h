// SPDX-License-Identifier: MIT
// FMA. It came with AVX2 to Intel's and AMD's CPUs, but not to all others.
#pragma once

#include "x86/simd_avx2.h"

namespace bitnet {
namespace {

struct Fma : Avx2 {
  static constexpr Tuning kTuning = [] {
    Tuning tuning = Avx2::kTuning;
    tuning.dense.tokens = 3;  // no register holds a product
    return tuning;
  }();
  static BITNET_INLINE F32 add_exact(F32 s, F32 a, F32 b) { return _mm256_fmadd_ps(a, b, s); }
};

}  // namespace
}  // namespace bitnet
