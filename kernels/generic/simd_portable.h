// SPDX-License-Identifier: MIT
// Vectors of 16 bytes with nothing beyond the vector extensions of GCC and Clang, for any little-endian processor.
#pragma once

#include "generic/simd.h"
#include "generic/tuning.h"

namespace bitnet {
namespace {

struct Portable : Vectors<Portable, 16> {
  // Those of SSE2; on processors that have nothing else, nothing was measured.
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
  };
  static constexpr Quads kQuads = Quads::of_digits;

  static BITNET_INLINE S16 widen(const int8_t* p) { return __builtin_convertvector(load<Bytes<8>>(p), S16); }
  static BITNET_INLINE void narrow(S32 x, int8_t* p) { store(p, __builtin_convertvector(x, Bytes<4>)); }
  // Of a lane, the lower value and the upper.
  static BITNET_INLINE S32 multiply_pairs(S16 a, S16 b) {
    const S32 x = (S32)a, y = (S32)b;
    return (S32)((U32)((x << 16 >> 16) * (y << 16 >> 16)) + (U32)((x >> 16) * (y >> 16)));
  }
  static BITNET_INLINE S32 bytes_to_int(const int8_t* p) { return __builtin_convertvector(load<Bytes<4>>(p), S32); }
  static BITNET_INLINE F32 half_to_float(const uint16_t* p) {
    return floats_of_halves(__builtin_convertvector(load<Halves>(p), S32));
  }
  static BITNET_INLINE void float_to_half(F32 x, uint16_t* p) {
    store(p, __builtin_convertvector(halves_of_floats(x), Halves));
  }

  using Partial = S16;
  static BITNET_INLINE Partial dot_add(Partial s, U8 d, S8 q) {
    const S16 even = (S16)d & 0xff, odd = (S16)((U16)d >> 8);
    return s + even * ((S16)((U16)q << 8) >> 8) + odd * ((S16)q >> 8);
  }
  static BITNET_INLINE S32 total(Partial s) { return multiply_pairs(s, S16{} + 1); }
  static BITNET_INLINE S32 dot_quads(S32 s, U8 d, S8 q) { return s + total(dot_add(Partial{}, d, q)); }

  // A processor may have no vector registers to settle in.
  template <typename V>
  static BITNET_INLINE void settle(V&) {}

 private:
  template <size_t n>
  using Bytes = Vector<int8_t, n>;
  using Halves = Vector<uint16_t, 8>;
};

}  // namespace
}  // namespace bitnet
