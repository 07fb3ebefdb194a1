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
  };
  static constexpr Quads kQuads = Quads::of_digits;

  static BITNET_INLINE S16 widen(const int8_t* p) {
    const __m128i x = _mm_loadl_epi64((const __m128i*)p);
    return (S16)_mm_unpacklo_epi8(x, x) >> 8;
  }
  static BITNET_INLINE F32 bytes_to_float(const int8_t* p) {
    const __m128i x = _mm_cvtsi32_si128(load<int32_t>(p)), pairs = _mm_unpacklo_epi8(x, x);
    return _mm_cvtepi32_ps(_mm_srai_epi32(_mm_unpacklo_epi16(pairs, pairs), 24));
  }
  static BITNET_INLINE void narrow(S32 x, int8_t* p) {
    const __m128i words = _mm_packs_epi32((__m128i)x, (__m128i)x);
    const int32_t bytes = _mm_cvtsi128_si32(_mm_packs_epi16(words, words));
    __builtin_memcpy(p, &bytes, sizeof bytes);
  }
  static BITNET_INLINE S32 multiply_pairs(S16 a, S16 b) { return (S32)_mm_madd_epi16((__m128i)a, (__m128i)b); }
  static BITNET_INLINE F32 half_to_float(const uint16_t* p) {
    const S32 h = (S32)_mm_unpacklo_epi16(_mm_loadl_epi64((const __m128i*)p), _mm_setzero_si128());
    const S32 magnitude = (h & 0x7fff) << 13;
    // Read as a float this is too small by 2^112, subnormals included.
    const S32 value = (S32)((F32)magnitude * 0x1p112f);
    const S32 infinite = (magnitude >= 0x7c00 << 13) & 0x7f800000;
    const S32 quiet = (magnitude > 0x7c00 << 13) & 0x400000;
    return (F32)(value | infinite | quiet | (h & 0x8000) << 16);
  }
  // As f16_from of scalar.cpp.
  static BITNET_INLINE void float_to_half(F32 x, uint16_t* p) {
    const auto either = [](S32 mask, S32 a, S32 b) BITNET_INLINED { return (mask & a) | (~mask & b); };
    const S32 magnitude = (S32)x & 0x7fffffff;
    const S32 small = (S32)((F32)magnitude + 0.5f) - 0x3f000000;
    const S32 rounded = (S32)((U32)magnitude + 0xfff + ((U32)magnitude >> 13 & 1));  // modulo 2^32: NaN may overflow
    const S32 normal = (rounded >> 13) - ((127 - 15) << 10);
    const S32 nan = 0x7e00 | (magnitude >> 13 & 0x1ff);
    S32 h = either(magnitude < 0x38800000, small, normal);
    h = either(magnitude >= 0x47800000, S32{} + 0x7c00, h);
    h = either(magnitude > 0x7f800000, nan, h);
    // Sign-extended from 16 bits, so that the saturating pack changes nothing.
    h = (h << 16 >> 16) | ((S32)x >> 31 << 15);
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
