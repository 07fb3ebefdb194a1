// SPDX-License-Identifier: MIT
// AVX2 and F16C.
#pragma once

#include <immintrin.h>

#include "generic/simd.h"
#include "generic/tuning.h"

namespace bitnet {
namespace {

struct Avx2 : Vectors<Avx2, 32> {
  static constexpr Tuning kTuning = {
      .i2 = {.prepared = 9, .tiles_of_16 = 9, .tiles_of_32 = 22},
      .t5 = {.prepared = 7, .tiles_of_16 = 10, .tiles_of_32 = 21},
      .dot_tokens = 2,
      .attention = {.rows = 4, .vectors = 2},
      .converted = {.rows = 4, .vectors = 2},
      .head_f16 = {.rows = 2, .tokens = 2},
      .head_int8 = {.rows = 4, .tokens = 2},
      .group_tokens = 2,
      .dense = {.prepared = 8, .tokens = 2},
      .planes = {.prepared = 2, .vectors = 2, .tokens = 4},
  };
  static constexpr Quads kQuads = Quads::of_digits;

  static BITNET_INLINE S16 widen(const int8_t* p) {
    return (S16)_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i*)p));
  }
  static BITNET_INLINE void narrow(S32 x, int8_t* p) {
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128((__m256i)x), _mm256_extracti128_si256((__m256i)x, 1));
    _mm_storel_epi64((__m128i*)p, _mm_packs_epi16(words, words));
  }
  static BITNET_INLINE S32 multiply_pairs(S16 a, S16 b) { return (S32)_mm256_madd_epi16((__m256i)a, (__m256i)b); }
  static BITNET_INLINE F32 half_to_float(const uint16_t* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)p));
  }
  static BITNET_INLINE S32 bytes_to_int(const int8_t* p) {
    return (S32)_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i*)p));
  }
  static BITNET_INLINE void float_to_half(F32 x, uint16_t* p) {
    _mm_storeu_si128((__m128i*)p, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
  }

  using Partial = S16;
  static BITNET_INLINE Partial dot_add(Partial s, U8 d, S8 q) {
    return s + (S16)_mm256_maddubs_epi16((__m256i)d, (__m256i)q);
  }
  static BITNET_INLINE S32 total(Partial s) { return multiply_pairs(s, S16{} + 1); }
  static BITNET_INLINE S32 dot_quads(S32 s, U8 d, S8 q) { return s + total(dot_add(Partial{}, d, q)); }

  template <typename V>
  static BITNET_INLINE void settle(V& v) {
    asm volatile("" : "+x"(v));
  }
};

}  // namespace
}  // namespace bitnet
