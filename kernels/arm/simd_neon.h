// SPDX-License-Identifier: MIT
// NEON, the baseline of Armv8-A.
#pragma once

#include <arm_neon.h>

#include "generic/simd.h"
#include "generic/tuning.h"

namespace bitnet {
namespace {

struct Neon : Vectors<Neon, 16> {
  // Not measured, for want of such a CPU. Those of ternary products lie between those of SSE2 and, for its width, AVX2.
  static constexpr Tuning kTuning = {
      .i2 = {.prepared = 4, .tiles_of_16 = 10, .tiles_of_32 = 25},
      .t5 = {.prepared = 4, .tiles_of_16 = 10, .tiles_of_32 = 25},
      .dot_tokens = 2,
      .attention = {.rows = 4, .vectors = 4},
      .converted = {.rows = 4, .vectors = 4},
      .head_f16 = {.rows = 1, .tokens = 4},
      .head_int8 = {.rows = 4, .tokens = 2},
      .group_tokens = 4,
      .dense = {.prepared = 8, .tokens = 6},
  };
  static constexpr Quads kQuads = Quads::of_digits;

  static BITNET_INLINE S16 widen(const int8_t* p) { return (S16)vmovl_s8(vld1_s8(p)); }
  static BITNET_INLINE void narrow(S32 x, int8_t* p) {
    const int16x4_t words = vmovn_s32((int32x4_t)x);
    const int32_t bytes = vget_lane_s32(vreinterpret_s32_s8(vmovn_s16(vcombine_s16(words, words))), 0);
    __builtin_memcpy(p, &bytes, sizeof bytes);
  }
  static BITNET_INLINE S32 multiply_pairs(S16 a, S16 b) {
    const int16x8_t x = (int16x8_t)a, y = (int16x8_t)b;
    return (S32)vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(y)), vmull_high_s16(x, y));
  }
  static BITNET_INLINE F32 half_to_float(const uint16_t* p) {
    return (F32)vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
  }
  static BITNET_INLINE S32 bytes_to_int(const int8_t* p) {
    const int16x8_t x = vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(load<int32_t>(p))));
    return (S32)vmovl_s16(vget_low_s16(x));
  }
  static BITNET_INLINE F32 add_exact(F32 s, F32 a, F32 b) {
    return (F32)vfmaq_f32((float32x4_t)s, (float32x4_t)a, (float32x4_t)b);
  }
  static BITNET_INLINE void float_to_half(F32 x, uint16_t* p) {
    vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32((float32x4_t)x)));
  }

  using Partial = S16;
  static constexpr bool kAddsNeighbours = false;
  static BITNET_INLINE Partial dot_add(Partial s, U8 d, S8 q) {
    const int8x16_t x = (int8x16_t)d, y = (int8x16_t)q;
    return (S16)vmlal_high_s8(vmlal_s8((int16x8_t)s, vget_low_s8(x), vget_low_s8(y)), x, y);
  }
  static BITNET_INLINE S32 total(Partial s) { return (S32)vpaddlq_s16((int16x8_t)s); }
  static BITNET_INLINE S32 dot_quads(S32 s, U8 d, S8 q) {
    const int8x16_t x = (int8x16_t)d, y = (int8x16_t)q;
    const int16x8_t pairs = vpaddq_s16(vmull_s8(vget_low_s8(x), vget_low_s8(y)), vmull_high_s8(x, y));
    return (S32)vpadalq_s16((int32x4_t)s, pairs);
  }

  template <typename V>
  static BITNET_INLINE void settle(V& v) {
    asm volatile("" : "+w"(v));
  }
};

}  // namespace
}  // namespace bitnet
