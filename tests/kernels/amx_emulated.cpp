// SPDX-License-Identifier: MIT
// The ternary products of the table amx with tiles that are arrays, for CPUs that have none: what is tested is all but
// the instructions.
#include "kernels.h"
#include "portable/simd.h"

namespace bitnet {
extern const TernaryKernels amx_emulated_ternary;

namespace {

// As class Tiles of kernels/x86/tiles.h.
class Tiles {
  static constexpr size_t kRows = 16, kRowBytes = 64;

 public:
  template <int tile>
  void load(const void* rows, size_t stride) {
    for (size_t i = 0; i < kRows; ++i) {
      __builtin_memcpy(tiles_[tile][i], static_cast<const uint8_t*>(rows) + i * stride, kRowBytes);
    }
  }
  template <int tile>
  void load_passing(const void* rows, size_t stride) {
    load<tile>(rows, stride);
  }
  template <int tile>
  void store(void* rows, size_t stride) {
    for (size_t i = 0; i < kRows; ++i) {
      __builtin_memcpy(static_cast<uint8_t*>(rows) + i * stride, tiles_[tile][i], kRowBytes);
    }
  }
  template <int sums, int a, int b>
  void multiply() {
    for (size_t i = 0; i < kRows; ++i) {
      int32_t row[kRowBytes / 4];
      __builtin_memcpy(row, tiles_[sums][i], kRowBytes);
      for (size_t k = 0; k < kRowBytes; ++k) {
        const uint8_t* const others = tiles_[b][k / 4] + k % 4;
        for (size_t j = 0; j < kRowBytes / 4; ++j) row[j] += tiles_[a][i][k] * static_cast<int8_t>(others[4 * j]);
      }
      __builtin_memcpy(tiles_[sums][i], row, kRowBytes);
    }
  }

 private:
  alignas(64) uint8_t tiles_[8][kRows][kRowBytes];
};

}  // namespace
}  // namespace bitnet

#define BITNET_TILES
#include "portable/ternary_kernels.inc"

namespace bitnet {
const TernaryKernels amx_emulated_ternary = kTernaryKernels;
}
