// SPDX-License-Identifier: MIT
// AVX-VNNI. Its dot product is that of AVX-512 VNNI in another encoding: compiled for the latter, a test runs it on
// more CPUs.
#pragma once

#include "x86/simd_avx2.h"

namespace bitnet {
namespace {

struct AvxVnni : Avx2 {
  static constexpr Tuning kTuning = {
      .i2 = {.prepared = 16, .tiles_of_16 = 16, .tiles_of_32 = 28},
      .t5 = {.prepared = 11, .tiles_of_16 = 11, .tiles_of_32 = 22},
      .dot_tokens = 2,
      .attention = {.rows = 4, .vectors = 2},
      .converted = {.rows = 4, .vectors = 2},
      .head_f16 = {.rows = 2, .tokens = 2},
      .head_int8 = {.rows = 4, .tokens = 2},
      .group_tokens = 2,
      .dense = {.prepared = 8, .tokens = 2},
      .planes = {.prepared = 2, .vectors = 2, .tokens = 4},
  };
  static constexpr Quads kQuads = Quads::of_unsigned;

  using Partial = S32;
  static BITNET_INLINE Partial dot_add(Partial s, U8 d, S8 q) {
    return (S32)_mm256_dpbusd_epi32((__m256i)s, (__m256i)d, (__m256i)q);
  }
  static BITNET_INLINE S32 total(Partial s) { return s; }
  static BITNET_INLINE S32 dot_quads(S32 s, U8 d, S8 q) { return dot_add(s, d, q); }
  static BITNET_INLINE S32 dot_pairs(S32 s, S16 a, S16 b) {
    return (S32)_mm256_dpwssd_epi32((__m256i)s, (__m256i)a, (__m256i)b);
  }
  static BITNET_INLINE S32 add_pairs(S32 s, S16 a, const uint32_t* p) { return dot_pairs(s, a, (S16)(U32{} + *p)); }
  static BITNET_INLINE S32 add_quads(S32 s, U8 c, const uint32_t* p) { return dot_add(s, c, (S8)(U32{} + *p)); }
};

}  // namespace
}  // namespace bitnet
