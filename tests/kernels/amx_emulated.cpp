// SPDX-License-Identifier: MIT
// The ternary products of the table amx with tiles that are arrays, for CPUs that have none: what is tested is all but
// the instructions.
#include "generic/kernel_set.h"
#include "layers.h"
#include "x86/simd_sse2.h"
#include "x86/tile_products.h"

namespace bitnet {
extern const KernelLayer amx_emulated_layer;

namespace {

// As AmxTiles of kernels/x86/tiles.h.
class TilesInMemory {
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

struct EmulatedAmx : Sse2 {
  static constexpr Tuning kTuning = {
      .i2 = {.prepared = 8},
      .t5 = {.prepared = 6},
      .dot_tokens = 2,
      .attention = Sse2::kTuning.attention,
      .converted = Sse2::kTuning.converted,
      .head_f16 = Sse2::kTuning.head_f16,
      .head_int8 = Sse2::kTuning.head_int8,
  };
  using Tiles = TilesInMemory;
};

}  // namespace

constexpr KernelLayer amx_emulated_layer = {
    .kernels = ternary_layer<TileProducts<EmulatedAmx>>("amx-emulated"),
    .below = &scalar_layer,
};

}  // namespace bitnet
