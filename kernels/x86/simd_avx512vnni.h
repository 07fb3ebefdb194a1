// SPDX-License-Identifier: MIT
// AVX-512 VNNI.
#pragma once

#include "x86/simd_avx512.h"

namespace bitnet {
namespace {

struct Avx512Vnni : Avx512 {
  static constexpr Tuning kTuning = {
      .i2 = {.prepared = 24},
      .t5 = {.prepared = 9},
      .dot_tokens = 4,
      .attention = {.rows = 4, .vectors = 4},
      .converted = {.rows = 8, .vectors = 2},
      .head_f16 = {.rows = 4, .tokens = 4},
      .head_int8 = {.rows = 4, .tokens = 4},
      .group_tokens = 8,
      .planes = {.prepared = 2, .vectors = 1, .tokens = 16},
  };
  static constexpr Quads kQuads = Quads::of_unsigned;

  using Partial = S32;
  static BITNET_INLINE Partial dot_add(Partial s, U8 d, S8 q) {
    return (S32)_mm512_dpbusd_epi32((__m512i)s, (__m512i)d, (__m512i)q);
  }
  static BITNET_INLINE S32 total(Partial s) { return s; }
  static BITNET_INLINE S32 dot_quads(S32 s, U8 d, S8 q) { return dot_add(s, d, q); }
  static BITNET_INLINE S32 dot_pairs(S32 s, S16 a, S16 b) {
    return (S32)_mm512_dpwssd_epi32((__m512i)s, (__m512i)a, (__m512i)b);
  }
  static BITNET_INLINE S32 add_pairs(S32 s, S16 a, const uint32_t* p) {  // as one instruction: see times
    asm("vpdpwssd %2%{1to16%}, %1, %0" : "+v"(s) : "v"(a), "m"(*p));
    return s;
  }
  static BITNET_INLINE S32 add_quads(S32 s, U8 c, const uint32_t* p) {
    asm("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(s) : "v"(c), "m"(*p));
    return s;
  }
};

}  // namespace
}  // namespace bitnet
