// SPDX-License-Identifier: MIT
// What the kernels need of an instruction set beyond the vector extensions of GCC and Clang.
//
// This file and those that build on it are compiled once per instruction set. Everything is in an anonymous namespace
// and nothing of the standard library is called: a function shared between the copies would be kept once by the linker,
// perhaps the copy with instructions that the CPU lacks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#if defined(__x86_64__)
#include <immintrin.h>
#else
#include <arm_neon.h>
#endif

#define BITNET_INLINED __attribute__((always_inline))  // of lambdas
#define BITNET_INLINE inline BITNET_INLINED
#define BITNET_NOINLINE __attribute__((noinline))

namespace bitnet {
namespace {

#if defined(__AVX512BW__)
constexpr size_t kVectorBytes = 64;
#elif defined(__AVX2__)
constexpr size_t kVectorBytes = 32;
#else
constexpr size_t kVectorBytes = 16;
#endif

// Tokens that a dot product takes at a time: as the registers hold their sums with four rows.
#if (defined(__AVX512BW__) && defined(__AVX512VNNI__)) || defined(__ARM_FEATURE_DOTPROD)
constexpr size_t kDotTokens = 4;
#else
constexpr size_t kDotTokens = 2;
#endif

// Whether an instruction multiplies any bytes and adds four products to a lane.
#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
#define BITNET_QUADS
constexpr bool kSignedQuads = false;
#elif defined(__ARM_FEATURE_DOTPROD)
#define BITNET_QUADS
constexpr bool kSignedQuads = true;
#endif

template <typename T, size_t bytes>
using Vector __attribute__((vector_size(bytes))) = T;

using U8 = Vector<uint8_t, kVectorBytes>;
using S8 = Vector<int8_t, kVectorBytes>;
using U16 = Vector<uint16_t, kVectorBytes>;
using S16 = Vector<int16_t, kVectorBytes>;
using U32 = Vector<uint32_t, kVectorBytes>;
using S32 = Vector<int32_t, kVectorBytes>;
using F32 = Vector<float, kVectorBytes>;
constexpr size_t kLanes = kVectorBytes / sizeof(float);

template <typename V>
BITNET_INLINE V load(const void* p) {
  V v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
template <typename V>
BITNET_INLINE void store(void* p, V v) {
  __builtin_memcpy(p, &v, sizeof v);
}
// Has v computed, and in a register, before what follows.
template <typename V>
BITNET_INLINE void settle(V& v) {
#if defined(__AVX512BW__)
  asm volatile("" : "+v"(v));
#elif defined(__x86_64__)
  asm volatile("" : "+x"(v));
#else
  asm volatile("" : "+w"(v));
#endif
}

// Each instruction set has these:
//
//   widen(p)              int8 values as int16
//   narrow(x, p)          int32 values that int8 can hold, as int8
//   multiply_pairs(a, b)  a0 * b0 + a1 * b1 of neighbouring int16 lanes
//   dot_pairs(s, a, b)    s + multiply_pairs(a, b), modulo 2^32, as a saved session may hold any codes
//   add_pairs(s, a, p)    likewise s + multiply_pairs(a, the two int16 values at p in every lane)
//   dot_add(s, d, q)      s + the products of the digits 0 .. 2 in d and the int8 values in q, several to a lane: where
//                         Partial has 16-bit lanes, at most 2 * 2 * 127 of them a call
//   total(s)              a Partial in 32-bit lanes
//   bytes_to_float(p)     int8 values as floats
//   dot_quads(s, d, q)    s + the products of the four values 0 .. 63 in each lane of d and the four int8 values in q
//   add_quads(s, c, p)    where there is BITNET_QUADS: s + the products of the four bytes in each lane of c, signed if
//                         kSignedQuads, and the four int8 values at p
//   times(x, p)           x * *p, the one float at p
//   half_to_float(p)      binary16 values as floats
//   float_to_half(x, p)   and back, to nearest even
//   multiply_twos(s, d, q)
//                         where CPUs multiply int8 matrices: s + the dot products d0 q0, d0 q1, d1 q0, d1 q1 of the
//                         halves of d, digits, and those of q, int8 values
//   kFewestI2, kFewestT5  for so many tokens a tile of 32, 16 and 8 tokens of sum tables is faster than what comes
//                         after it, smaller tiles and dot products, as measured with check_kernels --bench
#if defined(__AVX512BW__)

BITNET_INLINE S16 widen(const int8_t* p) { return (S16)_mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i*)p)); }
BITNET_INLINE void narrow(S32 x, int8_t* p) {
  _mm_storeu_si128((__m128i*)p, _mm512_maskz_cvtepi32_epi8(0xffff, (__m512i)x));
}
BITNET_INLINE S32 multiply_pairs(S16 a, S16 b) { return (S32)_mm512_madd_epi16((__m512i)a, (__m512i)b); }
// A full mask, because g++ 12 warns of the uninitialized operand in its own form without one.
BITNET_INLINE F32 half_to_float(const uint16_t* p) {
  return _mm512_maskz_cvtph_ps(0xffff, _mm256_loadu_si256((const __m256i*)p));
}
BITNET_INLINE F32 bytes_to_float(const int8_t* p) {
  return _mm512_maskz_cvtepi32_ps(0xffff, _mm512_maskz_cvtepi8_epi32(0xffff, _mm_loadu_si128((const __m128i*)p)));
}
// As one instruction: compilers broadcast a number that they use twice into a register, and that takes an arithmetic
// unit from the products.
BITNET_INLINE F32 times(F32 x, const float* p) {
  F32 product;
  asm("vmulps %2%{1to16%}, %1, %0" : "=v"(product) : "v"(x), "m"(*p));
  return product;
}
BITNET_INLINE void float_to_half(F32 x, uint16_t* p) {
  _mm256_storeu_si256((__m256i*)p, _mm512_maskz_cvtps_ph(0xffff, x, _MM_FROUND_TO_NEAREST_INT));
}

#if defined(__AVX512VNNI__)
using Partial = S32;
BITNET_INLINE Partial dot_add(Partial s, U8 d, S8 q) {
  return (S32)_mm512_dpbusd_epi32((__m512i)s, (__m512i)d, (__m512i)q);
}
BITNET_INLINE S32 total(Partial s) { return s; }
BITNET_INLINE S32 dot_quads(S32 s, U8 d, S8 q) { return dot_add(s, d, q); }
BITNET_INLINE S32 dot_pairs(S32 s, S16 a, S16 b) {
  return (S32)_mm512_dpwssd_epi32((__m512i)s, (__m512i)a, (__m512i)b);
}
BITNET_INLINE S32 add_pairs(S32 s, S16 a, const uint32_t* p) {  // as one instruction: see times
  asm("vpdpwssd %2%{1to16%}, %1, %0" : "+v"(s) : "v"(a), "m"(*p));
  return s;
}
BITNET_INLINE S32 add_quads(S32 s, U8 c, const uint32_t* p) {
  asm("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(s) : "v"(c), "m"(*p));
  return s;
}
#else
using Partial = S16;
BITNET_INLINE Partial dot_add(Partial s, U8 d, S8 q) { return s + (S16)_mm512_maddubs_epi16((__m512i)d, (__m512i)q); }
BITNET_INLINE S32 total(Partial s) { return multiply_pairs(s, S16{} + 1); }
BITNET_INLINE S32 dot_quads(S32 s, U8 d, S8 q) { return s + total(dot_add(Partial{}, d, q)); }
constexpr size_t kFewestI2[3] = {24, 13, 13}, kFewestT5[3] = {20, 10, 7};
#endif

#elif defined(__AVX2__)

BITNET_INLINE S16 widen(const int8_t* p) { return (S16)_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i*)p)); }
BITNET_INLINE void narrow(S32 x, int8_t* p) {
  const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128((__m256i)x), _mm256_extracti128_si256((__m256i)x, 1));
  _mm_storel_epi64((__m128i*)p, _mm_packs_epi16(words, words));
}
BITNET_INLINE S32 multiply_pairs(S16 a, S16 b) { return (S32)_mm256_madd_epi16((__m256i)a, (__m256i)b); }
BITNET_INLINE F32 half_to_float(const uint16_t* p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)p)); }
BITNET_INLINE F32 bytes_to_float(const int8_t* p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i*)p)));
}
BITNET_INLINE void float_to_half(F32 x, uint16_t* p) {
  _mm_storeu_si128((__m128i*)p, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

// AVX-VNNI's instruction is AVX-512 VNNI's in another encoding: compiled for the latter, a test runs it on more CPUs.
#if defined(__AVXVNNI__) || defined(__AVX512VNNI__)
using Partial = S32;
BITNET_INLINE Partial dot_add(Partial s, U8 d, S8 q) {
  return (S32)_mm256_dpbusd_epi32((__m256i)s, (__m256i)d, (__m256i)q);
}
BITNET_INLINE S32 total(Partial s) { return s; }
BITNET_INLINE S32 dot_quads(S32 s, U8 d, S8 q) { return dot_add(s, d, q); }
constexpr size_t kFewestI2[3] = {28, 16, 16}, kFewestT5[3] = {22, 11, 11};
#else
using Partial = S16;
BITNET_INLINE Partial dot_add(Partial s, U8 d, S8 q) { return s + (S16)_mm256_maddubs_epi16((__m256i)d, (__m256i)q); }
BITNET_INLINE S32 total(Partial s) { return multiply_pairs(s, S16{} + 1); }
BITNET_INLINE S32 dot_quads(S32 s, U8 d, S8 q) { return s + total(dot_add(Partial{}, d, q)); }
constexpr size_t kFewestI2[3] = {22, 9, 9}, kFewestT5[3] = {21, 10, 7};
#endif

#elif defined(__SSE2__)

#if defined(__SSE4_1__)
BITNET_INLINE S16 widen(const int8_t* p) { return (S16)_mm_cvtepi8_epi16(_mm_loadl_epi64((const __m128i*)p)); }
BITNET_INLINE F32 bytes_to_float(const int8_t* p) {
  return _mm_cvtepi32_ps(_mm_cvtepi8_epi32(_mm_cvtsi32_si128(load<int32_t>(p))));
}
#else
BITNET_INLINE S16 widen(const int8_t* p) {
  const __m128i x = _mm_loadl_epi64((const __m128i*)p);
  return (S16)_mm_unpacklo_epi8(x, x) >> 8;
}
BITNET_INLINE F32 bytes_to_float(const int8_t* p) {
  const __m128i x = _mm_cvtsi32_si128(load<int32_t>(p)), pairs = _mm_unpacklo_epi8(x, x);
  return _mm_cvtepi32_ps(_mm_srai_epi32(_mm_unpacklo_epi16(pairs, pairs), 24));
}
#endif
BITNET_INLINE void narrow(S32 x, int8_t* p) {
  const __m128i words = _mm_packs_epi32((__m128i)x, (__m128i)x);
  const int32_t bytes = _mm_cvtsi128_si32(_mm_packs_epi16(words, words));
  __builtin_memcpy(p, &bytes, sizeof bytes);
}
BITNET_INLINE S32 multiply_pairs(S16 a, S16 b) { return (S32)_mm_madd_epi16((__m128i)a, (__m128i)b); }
BITNET_INLINE F32 half_to_float(const uint16_t* p) {
  const S32 h = (S32)_mm_unpacklo_epi16(_mm_loadl_epi64((const __m128i*)p), _mm_setzero_si128());
  const S32 magnitude = (h & 0x7fff) << 13;
  // Read as a float this is too small by 2^112, subnormals included.
  const S32 value = (S32)((F32)magnitude * 0x1p112f);
  const S32 infinite = (magnitude >= 0x7c00 << 13) & 0x7f800000;
  const S32 quiet = (magnitude > 0x7c00 << 13) & 0x400000;
  return (F32)(value | infinite | quiet | (h & 0x8000) << 16);
}
BITNET_INLINE S32 select(S32 mask, S32 a, S32 b) { return (mask & a) | (~mask & b); }
// As f16_from of scalar.cpp.
BITNET_INLINE void float_to_half(F32 x, uint16_t* p) {
  const S32 magnitude = (S32)x & 0x7fffffff;
  const S32 small = (S32)((F32)magnitude + 0.5f) - 0x3f000000;
  const S32 rounded = (S32)((U32)magnitude + 0xfff + ((U32)magnitude >> 13 & 1));  // modulo 2^32: NaN may overflow
  const S32 normal = (rounded >> 13) - ((127 - 15) << 10);
  const S32 nan = 0x7e00 | (magnitude >> 13 & 0x1ff);
  S32 h = select(magnitude < 0x38800000, small, normal);
  h = select(magnitude >= 0x47800000, S32{} + 0x7c00, h);
  h = select(magnitude > 0x7f800000, nan, h);
  // Sign-extended from 16 bits, so that the saturating pack changes nothing.
  h = (h << 16 >> 16) | ((S32)x >> 31 << 15);
  _mm_storel_epi64((__m128i*)p, _mm_packs_epi32((__m128i)h, (__m128i)h));
}

using Partial = S16;
#if defined(__SSE4_1__)
BITNET_INLINE Partial dot_add(Partial s, U8 d, S8 q) { return s + (S16)_mm_maddubs_epi16((__m128i)d, (__m128i)q); }
constexpr size_t kFewestI2[3] = {25, 10, 5}, kFewestT5[3] = {25, 9, 3};
#else
BITNET_INLINE Partial dot_add(Partial s, U8 d, S8 q) {
  const S16 even = (S16)d & 0xff, odd = (S16)((U16)d >> 8);
  return s + even * ((S16)((U16)q << 8) >> 8) + odd * ((S16)q >> 8);
}
constexpr size_t kFewestI2[3] = {25, 9, 3}, kFewestT5[3] = {25, 9, 3};
#endif
BITNET_INLINE S32 total(Partial s) { return multiply_pairs(s, S16{} + 1); }
BITNET_INLINE S32 dot_quads(S32 s, U8 d, S8 q) { return s + total(dot_add(Partial{}, d, q)); }

#elif defined(__aarch64__)

BITNET_INLINE S16 widen(const int8_t* p) { return (S16)vmovl_s8(vld1_s8(p)); }
BITNET_INLINE void narrow(S32 x, int8_t* p) {
  const int16x4_t words = vmovn_s32((int32x4_t)x);
  const int32_t bytes = vget_lane_s32(vreinterpret_s32_s8(vmovn_s16(vcombine_s16(words, words))), 0);
  __builtin_memcpy(p, &bytes, sizeof bytes);
}
BITNET_INLINE S32 multiply_pairs(S16 a, S16 b) {
  const int16x8_t x = (int16x8_t)a, y = (int16x8_t)b;
  return (S32)vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(y)), vmull_high_s16(x, y));
}
BITNET_INLINE F32 half_to_float(const uint16_t* p) { return (F32)vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))); }
BITNET_INLINE F32 bytes_to_float(const int8_t* p) {
  const int16x8_t x = vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(load<int32_t>(p))));
  return (F32)vcvtq_f32_s32(vmovl_s16(vget_low_s16(x)));
}
BITNET_INLINE void float_to_half(F32 x, uint16_t* p) {
  vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32((float32x4_t)x)));
}

// The thresholds are not measured: no such CPU was at hand.
#if defined(__ARM_FEATURE_DOTPROD)
using Partial = S32;
BITNET_INLINE Partial dot_add(Partial s, U8 d, S8 q) {
  return (S32)vdotq_s32((int32x4_t)s, (int8x16_t)d, (int8x16_t)q);
}
BITNET_INLINE S32 total(Partial s) { return s; }
BITNET_INLINE S32 dot_quads(S32 s, U8 d, S8 q) { return dot_add(s, d, q); }
#if defined(__ARM_FEATURE_MATMUL_INT8)
BITNET_INLINE S32 multiply_twos(S32 s, U8 d, S8 q) { return (S32)vmmlaq_s32((int32x4_t)s, (int8x16_t)d, (int8x16_t)q); }
#else
// As measured with AVX-512 VNNI on Zen 4: there, too, a load and an addition replace two dot products.
constexpr size_t kFewestI2[3] = {29, 29, 29}, kFewestT5[3] = {22, 15, 15};
#endif
#else
using Partial = S16;
BITNET_INLINE Partial dot_add(Partial s, U8 d, S8 q) {
  const int8x16_t x = (int8x16_t)d, y = (int8x16_t)q;
  return (S16)vmlal_high_s8(vmlal_s8((int16x8_t)s, vget_low_s8(x), vget_low_s8(y)), x, y);
}
BITNET_INLINE S32 total(Partial s) { return (S32)vpaddlq_s16((int16x8_t)s); }
BITNET_INLINE S32 dot_quads(S32 s, U8 d, S8 q) {
  const int8x16_t x = (int8x16_t)d, y = (int8x16_t)q;
  const int16x8_t pairs = vpaddq_s16(vmull_s8(vget_low_s8(x), vget_low_s8(y)), vmull_high_s8(x, y));
  return (S32)vpadalq_s16((int32x4_t)s, pairs);
}
// Between those of SSE2 and, for its width, AVX2.
constexpr size_t kFewestI2[3] = {25, 10, 4}, kFewestT5[3] = {25, 10, 4};
#endif

#endif

#if !defined(__AVX512BW__)
BITNET_INLINE F32 times(F32 x, const float* p) { return x * *p; }
#endif
#if !(defined(__AVX512BW__) && defined(__AVX512VNNI__))
BITNET_INLINE S32 dot_pairs(S32 s, S16 a, S16 b) { return (S32)((U32)s + (U32)multiply_pairs(a, b)); }
BITNET_INLINE S32 add_pairs(S32 s, S16 a, const uint32_t* p) { return dot_pairs(s, a, (S16)(U32{} + *p)); }
#if defined(BITNET_QUADS)
BITNET_INLINE S32 add_quads(S32 s, U8 c, const uint32_t* p) { return dot_add(s, c, (S8)(U32{} + *p)); }
#endif
#endif

// How many of the thresholds 86 and 171 each byte reaches. The sign bits come flipped, as x86 compares signed bytes.
BITNET_INLINE U8 third_of(S8 flipped) {
#if defined(__AVX512BW__)
  // Adding under a mask saves turning masks into vectors.
  const __m512i one = _mm512_set1_epi8(1), x = (__m512i)flipped;
  const __m512i first = _mm512_maskz_mov_epi8(_mm512_cmpgt_epi8_mask(x, _mm512_set1_epi8(85 - 128)), one);
  return (U8)_mm512_mask_add_epi8(first, _mm512_cmpgt_epi8_mask(x, _mm512_set1_epi8(170 - 128)), first, one);
#else
  return (U8)(-(flipped > 85 - 128) - (flipped > 170 - 128));
#endif
}

using Quad = Vector<int32_t, 16>;

BITNET_INLINE Quad sum_of_quads(Quad x) { return x; }
#if defined(__AVX2__)
BITNET_INLINE Quad sum_of_quads(Vector<int32_t, 32> x) {
  return __builtin_shufflevector(x, x, 0, 1, 2, 3) + __builtin_shufflevector(x, x, 4, 5, 6, 7);
}
#endif
#if defined(__AVX512BW__)
BITNET_INLINE Quad sum_of_quads(Vector<int32_t, 64> x) {
  return sum_of_quads(__builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7) +
                      __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15));
}
#endif
// The sum of the lanes of each.
BITNET_INLINE Quad sums_of_lanes(S32 x0, S32 x1, S32 x2, S32 x3) {
  const Quad a = sum_of_quads(x0), b = sum_of_quads(x1), c = sum_of_quads(x2), d = sum_of_quads(x3);
  const Quad ab = __builtin_shufflevector(a, b, 0, 4, 1, 5) + __builtin_shufflevector(a, b, 2, 6, 3, 7);
  const Quad cd = __builtin_shufflevector(c, d, 0, 4, 1, 5) + __builtin_shufflevector(c, d, 2, 6, 3, 7);
  return __builtin_shufflevector(ab, cd, 0, 1, 4, 5) + __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
}

}  // namespace
}  // namespace bitnet
