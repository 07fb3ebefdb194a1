// SPDX-License-Identifier: MIT
// Products of dense matrices.
#pragma once

#include "generic/head.h"
#include "generic/simd.h"
#include "kernels.h"

namespace bitnet {
namespace {

template <typename Simd>
struct Dense : Head<Simd> {
  using Base = Head<Simd>;
  using Base::for_vectors, Base::kLanes, Base::kParts, Base::kTuning, Base::load_floats, Base::load_numbers,
      Base::store_floats;
  using typename Base::F32, typename Base::Lanes, typename Base::S32, typename Base::U32;

  static void round_activations(const float* x, size_t n, float* y) {
    for_vectors(n, [&](size_t i, size_t count) BITNET_INLINED {
      const auto either = [](S32 mask, S32 a, S32 b) BITNET_INLINED { return (mask & a) | (~mask & b); };
      constexpr int32_t kInfinity = 0x7f800000, kTiny = (127 - 100) << 23, kHuge = (127 + 112) << 23;
      const U32 bits = (U32)load_floats(x + i, count), magnitude = bits & 0x7fffffff;
      S32 rounded = (S32)((magnitude + 0x3ff + (magnitude >> 11 & 1)) & ~0x7ffU);
      rounded = either(rounded >= kHuge, S32{} + kInfinity, rounded) & ((S32)magnitude >= kTiny);
      rounded = either((S32)magnitude > kInfinity, (S32)magnitude, rounded);
      store_floats(y + i, (F32)(rounded | (S32)(bits & 0x80000000)), count);
    });
  }

  // Where converting weights takes long, many tokens take turns with a block of them that stays in the first-level
  // cache as floats, while their sums wait in the second.
  static constexpr size_t kBlockRows = 16, kBlockCols = 256;
  static constexpr size_t kMostTokens = 128;  // that share a block
  struct Scratch {
    float weights[kBlockRows][kBlockCols];
    Lanes sums[kMostTokens][kBlockRows];
  };
  static_assert(sizeof(Scratch) <= kDenseScratchBytes);
  struct Block {
    size_t row, rows, col, cols;
  };

  // What lies beyond the columns is zeros. Meanwhile the block that follows is fetched.
  template <typename T>
  static void convert(const HeadProduct& p, const Block& block, Scratch& scratch) {
    const bool is_last = block.col + block.cols == p.cols;
    const size_t ahead = is_last ? kBlockRows * p.stride - block.col : block.cols;
    for (size_t r = 0; r < block.rows; ++r) {
      const T* const from = static_cast<const T*>(p.weights) + (block.row + r) * p.stride + block.col;
      for (size_t i = 0; i < block.cols; i += 64 / sizeof(T)) fetch(from + ahead + i);
      for_vectors(block.cols, [&](size_t i, size_t count)
                                  BITNET_INLINED { store(scratch.weights[r] + i, load_numbers(from + i, count)); });
    }
  }

  // f(t, r) for each sum in registers.
  template <size_t n, size_t rows, typename F>
  static BITNET_INLINE void for_sums(F f) {
#pragma GCC unroll 8
    for (size_t t = 0; t < n; ++t) {
#pragma GCC unroll 4
      for (size_t r = 0; r < rows; ++r) f(t, r);
    }
  }

  // Adds the products of `rows` rows of a block, the first of which is row `row` of it, and `n` tokens. Where vectors
  // are shorter than the 16 lanes of a float reduction, each part of these has a turn of its own, so that more sums
  // stay in registers.
  template <bool exact, size_t rows, size_t n>
  static BITNET_INLINE void multiply_block(const HeadProduct& p, const Block& block, Scratch& scratch, size_t row,
                                           size_t first, size_t token) {
    const float* const x = p.x + (first + token) * p.x_stride + block.col;
    const float* const weights = scratch.weights[row];
    const auto waiting = [&](size_t t, size_t r) -> Lanes& { return scratch.sums[token + t][row + r]; };
    for (size_t part = 0; part < kParts; ++part) {
      F32 sums[n][rows] = {};
      const auto add = [&](size_t i, size_t count) BITNET_INLINED {
        F32 activations[n];
#pragma GCC unroll 8
        for (size_t t = 0; t < n; ++t) activations[t] = load_floats(x + t * p.x_stride + i, count);
#pragma GCC unroll 4
        for (size_t r = 0; r < rows; ++r) {
          const F32 w = load<F32>(weights + r * kBlockCols + i);
#pragma GCC unroll 8
          for (size_t t = 0; t < n; ++t) sums[t][r] = Base::template add_product<exact>(sums[t][r], w, activations[t]);
        }
      };
      if (block.col > 0) {
        for_sums<n, rows>([&](size_t t, size_t r) BITNET_INLINED { sums[t][r] = waiting(t, r).part[part]; });
      }
      size_t i = part * kLanes;
      for (; i + kLanes <= block.cols; i += 16) add(i, kLanes);
      if (i < block.cols) add(i, block.cols - i);
      for_sums<n, rows>([&](size_t t, size_t r) BITNET_INLINED { waiting(t, r).part[part] = sums[t][r]; });
    }
    if (block.col + block.cols < p.cols) return;
    for (size_t t = 0; t < n; ++t) {
      float* const out = p.out + (first + token + t) * p.out_stride + block.row + row;
      if constexpr (rows == 4) {
        store(out, sums_of_lanes(waiting(t, 0).folded(), waiting(t, 1).folded(), waiting(t, 2).folded(),
                                 waiting(t, 3).folded()));
      } else {
        for (size_t r = 0; r < rows; ++r) out[r] = waiting(t, r).sum();
      }
    }
  }

  template <typename T, bool exact>
  static void multiply_blocks(const HeadProduct& p) {
    const auto least = [](size_t a, size_t b) { return a < b ? a : b; };
    auto& scratch = *static_cast<Scratch*>(p.scratch);
    const size_t blocks = (p.cols + kBlockCols - 1) / kBlockCols;  // of a row: about as long as each other
    const size_t cols = ((p.cols + blocks - 1) / blocks + 15) / 16 * 16;
    for (size_t first = 0; first < p.tokens; first += kMostTokens) {
      Block block;
      for (block.row = p.row_begin; block.row < p.row_end; block.row += kBlockRows) {
        block.rows = least(p.row_end - block.row, kBlockRows);
        for (block.col = 0; block.col < p.cols; block.col += cols) {
          block.cols = least(p.cols - block.col, cols);
          convert<T>(p, block, scratch);
          for_tokens<kTuning.dense.tokens>(0, least(p.tokens - first, kMostTokens),
                                           [&](size_t token, auto n) BITNET_INLINED {
                                             size_t r = 0;
                                             for (; r + 4 <= block.rows; r += 4)
                                               multiply_block<exact, 4, n>(p, block, scratch, r, first, token);
                                             for (; r < block.rows; ++r)
                                               multiply_block<exact, 1, n>(p, block, scratch, r, first, token);
                                           });
        }
      }
    }
  }

  template <typename T, bool exact>
  static void dense(const HeadProduct& p) {
    if constexpr (kTuning.dense.prepared < SIZE_MAX) {
      if (p.tokens >= kTuning.dense.prepared) return multiply_blocks<T, exact>(p);
    }
    Base::template multiply_tiles<T, exact>(p);
  }
  static void dense_f16(const HeadProduct& p) { dense<f16, true>(p); }
  static void dense_f32(const HeadProduct& p) { dense<float, false>(p); }
};

}  // namespace
}  // namespace bitnet
