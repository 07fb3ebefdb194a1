// SPDX-License-Identifier: MIT
// The int8 matrix products of Armv8.6-A.
#pragma once

#include "arm/simd_dotprod.h"

namespace bitnet {
namespace {

struct I8mm : Dotprod {
  // Not measured, for want of such a CPU.
  static constexpr Tuning kTuning = {
      .i2 = {.prepared = 12},  // rearranging fewer costs little beside some rows
      .t5 = {.prepared = 12},
      .dot_tokens = 4,
      .attention = {.rows = 4, .vectors = 4},
      .converted = {.rows = 4, .vectors = 4},
      .head_f16 = {.rows = 1, .tokens = 4},
      .head_int8 = {.rows = 4, .tokens = 2},
      .group_tokens = 4,
      .dense = {.prepared = 8, .tokens = 6},
  };

  // s + the dot products d0 q0, d0 q1, d1 q0, d1 q1 of the halves of d, digits, and those of q, int8 values.
  static BITNET_INLINE S32 multiply_twos(S32 s, U8 d, S8 q) {
    return (S32)vmmlaq_s32((int32x4_t)s, (int8x16_t)d, (int8x16_t)q);
  }
};

}  // namespace
}  // namespace bitnet
