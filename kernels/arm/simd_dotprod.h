// SPDX-License-Identifier: MIT
// The dot products of Armv8.2-A.
#pragma once

#include "arm/simd_neon.h"

namespace bitnet {
namespace {

struct Dotprod : Neon {
  // Not measured, for want of such a CPU. Those of ternary products are as measured with AVX-512 VNNI on Zen 4: there,
  // too, a load and an addition replace two dot products.
  static constexpr Tuning kTuning = {
      .i2 = {.prepared = 29, .tiles_of_16 = 29, .tiles_of_32 = 29},
      .t5 = {.prepared = 15, .tiles_of_16 = 15, .tiles_of_32 = 22},
      .dot_tokens = 4,
      .attention = {.rows = 4, .vectors = 4},
      .converted = {.rows = 4, .vectors = 4},
      .head_f16 = {.rows = 1, .tokens = 4},
      .head_int8 = {.rows = 4, .tokens = 2},
      .group_tokens = 4,
      .dense = {.prepared = 8, .tokens = 6},
  };
  static constexpr Quads kQuads = Quads::of_signed;

  using Partial = S32;
  static constexpr bool kAddsNeighbours = true;
  static BITNET_INLINE Partial dot_add(Partial s, U8 d, S8 q) {
    return (S32)vdotq_s32((int32x4_t)s, (int8x16_t)d, (int8x16_t)q);
  }
  static BITNET_INLINE S32 total(Partial s) { return s; }
  static BITNET_INLINE S32 dot_quads(S32 s, U8 d, S8 q) { return dot_add(s, d, q); }
  static BITNET_INLINE S32 add_quads(S32 s, U8 c, const uint32_t* p) { return dot_add(s, c, (S8)(U32{} + *p)); }
};

}  // namespace
}  // namespace bitnet
