// SPDX-License-Identifier: MIT
// The tile registers of Intel AMX.
#pragma once

#include <cstddef>
#include <cstdint>

#include "generic/simd.h"

namespace bitnet {
namespace {

// What configures the registers: all of them whole.
struct alignas(64) TileShape {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// The eight registers, of 16 rows of 64 bytes each, for as long as this lives; one at a time in a thread. Then they are
// given back, so that neither switching threads nor an idle core's sleep has to save them.
class AmxTiles {
 public:
  AmxTiles() {
    const TileShape shape;
    asm volatile("ldtilecfg %0" : : "m"(shape));
  }
  ~AmxTiles() { asm volatile("tilerelease"); }
  AmxTiles(const AmxTiles&) = delete;
  AmxTiles& operator=(const AmxTiles&) = delete;

  // Rows that are `stride` bytes apart.
  template <int tile>
  BITNET_INLINE void load(const void* rows, size_t stride) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(rows), "r"(stride), "i"(tile) : "memory");
  }
  // Likewise, of rows that the nearest cache need not keep.
  template <int tile>
  BITNET_INLINE void load_passing(const void* rows, size_t stride) {
    asm volatile("tileloaddt1 (%0,%1,1), %%tmm%c2" : : "r"(rows), "r"(stride), "i"(tile) : "memory");
  }
  template <int tile>
  BITNET_INLINE void store(void* rows, size_t stride) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(rows), "r"(stride), "i"(tile) : "memory");
  }
  // sums[i][j] += a[i][4 k + n] * b[k][4 j + n] over k < 16 and n < 4, of unsigned bytes in a and signed ones in b, in
  // 32 bits.
  template <int sums, int a, int b>
  BITNET_INLINE void multiply() {
    asm volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(sums), "i"(a), "i"(b));
  }
};

}  // namespace
}  // namespace bitnet
