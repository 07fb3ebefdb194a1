// SPDX-License-Identifier: MIT
// AVX-512 VBMI.
#pragma once

#include "x86/simd_avx512vnni.h"

namespace bitnet {
namespace {

// Of each t5 byte, the last four digits in 2-bit fields.
struct LastFour {
  alignas(64) uint8_t fields[256];
  constexpr LastFour() : fields() {
    for (unsigned byte = 0; byte < 256; ++byte) {
      unsigned rest = 3 * byte & 255;
      for (unsigned i = 0; i < 4; ++i, rest = 3 * rest & 255) fields[byte] |= (3 * rest >> 8) << 2 * i;
    }
  }
};
constexpr LastFour kLastFour;

struct Avx512Vbmi : Avx512Vnni {
  static constexpr Tuning kTuning = {
      .i2 = {.prepared = 32},
      .t5 = {.prepared = 32},
      .dot_tokens = 4,
      .attention = {.rows = 4, .vectors = 4},
      .converted = {.rows = 8, .vectors = 2},
      .head_f16 = {.rows = 4, .tokens = 4},
      .head_int8 = {.rows = 4, .tokens = 4},
      .group_tokens = 8,
      .planes = {.prepared = 2, .vectors = 1, .tokens = 16},
  };

  static constexpr bool kHasLastFour = true;
  static BITNET_INLINE U8 last_four(U8 packed) {
    const __m512i index = (__m512i)packed;
    const __m512i low = _mm512_permutex2var_epi8(quarter(0), index, quarter(1));
    const __m512i high = _mm512_permutex2var_epi8(quarter(2), index, quarter(3));
    return (U8)_mm512_mask_mov_epi8(low, _mm512_movepi8_mask(index), high);
  }

 private:
  static BITNET_INLINE __m512i quarter(size_t i) { return load<__m512i>(kLastFour.fields + 64 * i); }
};

}  // namespace
}  // namespace bitnet
