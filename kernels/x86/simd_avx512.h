// SPDX-License-Identifier: MIT
// AVX-512 F, BW, VL and DQ.
#pragma once

#include <immintrin.h>

#include "generic/simd.h"
#include "generic/tuning.h"

namespace bitnet {
namespace {

struct Avx512 : Vectors<Avx512, 64> {
  static constexpr Tuning kTuning = {
      .i2 = {.prepared = 13, .tiles_of_16 = 13, .tiles_of_32 = 24},
      .t5 = {.prepared = 7, .tiles_of_16 = 10, .tiles_of_32 = 20},
      .dot_tokens = 2,
      .attention = {.rows = 4, .vectors = 4},
      .converted = {.rows = 8, .vectors = 2},
      .head_f16 = {.rows = 4, .tokens = 4},
      .head_int8 = {.rows = 4, .tokens = 4},
      .group_tokens = 4,
      .planes = {.prepared = 2, .vectors = 1, .tokens = 16},
  };
  static constexpr Quads kQuads = Quads::of_digits;

  static BITNET_INLINE S16 widen(const int8_t* p) {
    return (S16)_mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i*)p));
  }
  static BITNET_INLINE void narrow(S32 x, int8_t* p) {
    _mm_storeu_si128((__m128i*)p, _mm512_maskz_cvtepi32_epi8(0xffff, (__m512i)x));
  }
  static BITNET_INLINE S32 multiply_pairs(S16 a, S16 b) { return (S32)_mm512_madd_epi16((__m512i)a, (__m512i)b); }
  // A full mask, because g++ 12 warns of the uninitialized operand in its own form without one.
  static BITNET_INLINE F32 half_to_float(const uint16_t* p) {
    return _mm512_maskz_cvtph_ps(0xffff, _mm256_loadu_si256((const __m256i*)p));
  }
  static BITNET_INLINE S32 bytes_to_int(const int8_t* p) {
    return (S32)_mm512_maskz_cvtepi8_epi32(0xffff, _mm_loadu_si128((const __m128i*)p));
  }
  static BITNET_INLINE F32 add_exact(F32 s, F32 a, F32 b) { return _mm512_fmadd_ps(a, b, s); }
  // As one instruction: compilers broadcast a number that they use twice into a register, and that takes an arithmetic
  // unit from the products.
  static BITNET_INLINE F32 times(F32 x, const float* p) {
    F32 product;
    asm("vmulps %2%{1to16%}, %1, %0" : "=v"(product) : "v"(x), "m"(*p));
    return product;
  }
  static BITNET_INLINE void float_to_half(F32 x, uint16_t* p) {
    _mm256_storeu_si256((__m256i*)p, _mm512_maskz_cvtps_ph(0xffff, x, _MM_FROUND_TO_NEAREST_INT));
  }

  using Partial = S16;
  static BITNET_INLINE Partial dot_add(Partial s, U8 d, S8 q) {
    return s + (S16)_mm512_maddubs_epi16((__m512i)d, (__m512i)q);
  }
  static BITNET_INLINE S32 total(Partial s) { return multiply_pairs(s, S16{} + 1); }
  static BITNET_INLINE S32 dot_quads(S32 s, U8 d, S8 q) { return s + total(dot_add(Partial{}, d, q)); }

  static BITNET_INLINE U8 third_of(S8 flipped) {
    // Adding under a mask saves turning masks into vectors.
    const __m512i one = _mm512_set1_epi8(1), x = (__m512i)flipped;
    const __m512i first = _mm512_maskz_mov_epi8(_mm512_cmpgt_epi8_mask(x, _mm512_set1_epi8(85 - 128)), one);
    return (U8)_mm512_mask_add_epi8(first, _mm512_cmpgt_epi8_mask(x, _mm512_set1_epi8(170 - 128)), first, one);
  }

  template <typename V>
  static BITNET_INLINE void settle(V& v) {
    asm volatile("" : "+v"(v));
  }
};

}  // namespace
}  // namespace bitnet
