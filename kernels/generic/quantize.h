// SPDX-License-Identifier: MIT
// Rounds activations to int8.
#pragma once

#include "generic/floats.h"
#include "generic/simd.h"
#include "packing.h"

namespace bitnet {
namespace {

template <typename Simd>
struct Quantization : Floats<Simd> {
  using Base = Floats<Simd>;
  using Base::at_least, Base::for_vectors, Base::kLanes, Base::largest_magnitude, Base::load_floats, Base::narrow,
      Base::round_to_int;

  // Sixty-four bytes as eight rows of eight, turned over: each of three perfect shuffles moves the top bit of a byte's
  // place to the bottom.
  static BITNET_INLINE void transpose_bytes(Vector<int8_t, 16> (&rows)[4]) {
#pragma GCC unroll 3
    for (size_t round = 0; round < 3; ++round) {
      Vector<int8_t, 16> shuffled[4];
#pragma GCC unroll 2
      for (size_t i = 0; i < 2; ++i) {
        shuffled[2 * i] =
            __builtin_shufflevector(rows[i], rows[i + 2], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        shuffled[2 * i + 1] =
            __builtin_shufflevector(rows[i], rows[i + 2], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
      }
#pragma GCC unroll 4
      for (size_t i = 0; i < 4; ++i) rows[i] = shuffled[i];
    }
  }

  // The values of a block from the order of the row to that of the kernels: eight bytes' worth of weights at a time, of
  // which the first `digits` of each eight values read are theirs.
  template <size_t digits>
  static BITNET_INLINE void reorder_block(const int8_t* row, int8_t* q) {
    using Pair = Vector<int64_t, 16>;
    for (size_t j = 0; j < kBlockBytes; j += 8, row += 8 * digits) {
      Vector<int8_t, 16> rows[4];
#pragma GCC unroll 4
      for (size_t i = 0; i < 4; ++i) {
        rows[i] =
            (Vector<int8_t, 16>)Pair{load<int64_t>(row + 2 * i * digits), load<int64_t>(row + (2 * i + 1) * digits)};
      }
      transpose_bytes(rows);
#pragma GCC unroll 5
      for (size_t i = 0; i < digits; ++i) store(q + i * kBlockBytes + j, ((Pair)rows[i / 2])[i % 2]);
    }
  }

  template <Packing p>
  static float quantize_as(const float* x, size_t n, int8_t* q) {
    constexpr size_t digits = weights_per_byte(p), block = weights_per_block(p);
    const float scale = 127.0f / at_least(largest_magnitude(x, n), 1e-5f);
    for (size_t first = 0; first < n; first += block, q += block) {
      const size_t count = n - first < block ? n - first : block;
      // The last vector may be written beyond the block, and reorder_block reads eight values where `digits` are meant.
      int8_t row[block + kLanes];
      static_assert(kLanes >= 8 - digits);
      size_t filled = 0;
      for_vectors(count, [&](size_t i, size_t some) BITNET_INLINED {
        narrow(round_to_int(load_floats(x + first + i, some) * scale), row + i);
        filled = i + kLanes;
      });
      for (; filled < block + kLanes; ++filled) row[filled] = 0;
      reorder_block<digits>(row, q);
    }
    return 1.0f / scale;
  }

  static float quantize(Packing p, const float* x, size_t n, int8_t* q) {
    switch (p) {
      case Packing::i2:
        return quantize_as<Packing::i2>(x, n, q);
      case Packing::t5:
        return quantize_as<Packing::t5>(x, n, q);
    }
    return 0;
  }
};

}  // namespace
}  // namespace bitnet
