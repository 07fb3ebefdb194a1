// SPDX-License-Identifier: MIT
// SSSE3 and SSE4.1.
#pragma once

#include <smmintrin.h>

#include "x86/simd_sse2.h"

namespace bitnet {
namespace {

struct Sse41 : Sse2 {
  static constexpr Tuning kTuning = {
      .i2 = {.prepared = 5, .tiles_of_16 = 10, .tiles_of_32 = 25},
      .t5 = {.prepared = 3, .tiles_of_16 = 9, .tiles_of_32 = 25},
      .dot_tokens = 2,
      .attention = {.rows = 4, .vectors = 2},
      .converted = {.rows = 4, .vectors = 2},
      .head_f16 = {.rows = 1, .tokens = 4},
      .head_int8 = {.rows = 4, .tokens = 2},
      .group_tokens = 2,
      .dense = {.prepared = 6, .tokens = 2},
      .planes = {.prepared = 2, .vectors = 2, .tokens = 4},
  };

  static BITNET_INLINE S16 widen(const int8_t* p) { return (S16)_mm_cvtepi8_epi16(_mm_loadl_epi64((const __m128i*)p)); }
  static BITNET_INLINE S32 bytes_to_int(const int8_t* p) {
    return (S32)_mm_cvtepi8_epi32(_mm_cvtsi32_si128(load<int32_t>(p)));
  }
  static BITNET_INLINE Partial dot_add(Partial s, U8 d, S8 q) {
    return s + (S16)_mm_maddubs_epi16((__m128i)d, (__m128i)q);
  }
  static BITNET_INLINE S32 dot_quads(S32 s, U8 d, S8 q) { return s + total(dot_add(Partial{}, d, q)); }
};

}  // namespace
}  // namespace bitnet
