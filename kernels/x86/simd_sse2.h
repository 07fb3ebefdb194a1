// SPDX-License-Identifier: MIT
// SSE2, the baseline of x86-64.
#pragma once

#include <emmintrin.h>

#include "generic/simd.h"
#include "generic/tuning.h"

namespace bitnet {
namespace {

struct Sse2 : Vectors<Sse2, 16> {
  static constexpr Tuning kTuning = {
      .i2 = {.prepared = 3, .tiles_of_16 = 9, .tiles_of_32 = 25},
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
  static constexpr Quads kQuads = Quads::of_digits;

  static BITNET_INLINE S16 widen(const int8_t* p) {
    const __m128i x = _mm_loadl_epi64((const __m128i*)p);
    return (S16)_mm_unpacklo_epi8(x, x) >> 8;
  }
  static BITNET_INLINE S32 bytes_to_int(const int8_t* p) {
    const __m128i x = _mm_cvtsi32_si128(load<int32_t>(p)), pairs = _mm_unpacklo_epi8(x, x);
    return (S32)_mm_srai_epi32(_mm_unpacklo_epi16(pairs, pairs), 24);
  }
  static BITNET_INLINE void narrow(S32 x, int8_t* p) {
    const __m128i words = _mm_packs_epi32((__m128i)x, (__m128i)x);
    const int32_t bytes = _mm_cvtsi128_si32(_mm_packs_epi16(words, words));
    __builtin_memcpy(p, &bytes, sizeof bytes);
  }
  static BITNET_INLINE S32 multiply_pairs(S16 a, S16 b) { return (S32)_mm_madd_epi16((__m128i)a, (__m128i)b); }
  static BITNET_INLINE F32 half_to_float(const uint16_t* p) {
    return floats_of_halves((S32)_mm_unpacklo_epi16(_mm_loadl_epi64((const __m128i*)p), _mm_setzero_si128()));
  }
  static BITNET_INLINE void float_to_half(F32 x, uint16_t* p) {
    const S32 h = halves_of_floats(x);  // which the saturating pack does not change
    _mm_storel_epi64((__m128i*)p, _mm_packs_epi32((__m128i)h, (__m128i)h));
  }

  using Partial = S16;
  static BITNET_INLINE Partial dot_add(Partial s, U8 d, S8 q) {
    const S16 even = (S16)d & 0xff, odd = (S16)((U16)d >> 8);
    return s + even * ((S16)((U16)q << 8) >> 8) + odd * ((S16)q >> 8);
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
