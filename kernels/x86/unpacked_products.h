// SPDX-License-Identifier: MIT
// Ternary products of many tokens by dot products with AVX-512 VNNI.
#pragma once

#include "generic/ternary.h"
#include "kernels.h"
#include "x86/simd_avx512vnni.h"

namespace bitnet {
namespace {

struct UnpackedProducts : DotProducts<Avx512Vnni> {
  // Some columns at a time, rows are unpacked a run at a time, few enough for the second-level cache; then six tokens
  // at a time, whose activations the first-level cache holds, take turns. With 24 sums in registers each vector that is
  // loaded serves four or six dot products, so that these are the bound: two in a cycle on Intel's cores, on which sum
  // tables save none of that, as a load and an addition take as long.
  static constexpr size_t kUnpackedTokens = 6;
  static constexpr size_t kUnpackedBytes = size_t{1} << 18;
  static constexpr size_t kActivationBytes = size_t{20} << 10;

  // 64 columns of four rows.
  using UnpackedStep = U8[kGroupRows];

  // The blocks begin .. end of each row, and the tokens whose products with them are there already.
  struct Columns {
    size_t begin, end, tokens_done;
    size_t blocks() const { return end - begin; }
  };

  // These columns of the rows p.row_begin .. p.row_end.
  template <typename P>
  static void unpack_rows(const TernaryProduct& p, const Columns& columns, UnpackedStep* steps) {
    for (size_t group = p.row_begin; group < p.row_end; group += kGroupRows) {
      const uint8_t* weights = p.weights + (group * p.blocks + columns.begin * kGroupRows) * kBlockBytes;
      for (size_t block = columns.begin; block < columns.end; ++block, steps += P::kDigits) {
        for (size_t row = 0; row < kGroupRows; ++row, weights += kBlockBytes) {
          typename P::Unpacker bytes(load<U8>(weights));
          store_digits<P>(bytes, reinterpret_cast<uint8_t*>(*steps + row), sizeof(UnpackedStep));
        }
      }
    }
  }

  // Adds the products with the columns before, whose sums wait in p.out as integers, or lets these sums wait there.
  static void write_sums(const TernaryProduct& p, const Columns& columns, size_t token, size_t row, Quad sums) {
    float* const out = p.out + token * p.out_stride + row;
    const size_t bytes = (row + kGroupRows <= p.row_end ? kGroupRows : p.row_end - row) * sizeof(float);
    if (columns.begin > 0) {
      Quad before = {};
      __builtin_memcpy(&before, out, bytes);
      sums += before;
    }
    if (columns.end == p.blocks) {
      write_rows(p, token, row, sums);
    } else {
      __builtin_memcpy(out, &sums, bytes);
    }
  }

  // The unpacked columns of the rows times the six tokens from `token` on.
  template <typename P>
  static void unpacked_products(const TernaryProduct& p, const Columns& columns, const UnpackedStep* step,
                                size_t token) {
    constexpr size_t n = kUnpackedTokens;
    const size_t stride = p.blocks * kBlockWeights<P>, steps = columns.blocks() * P::kDigits;
    const int8_t* const activations = p.activations + token * stride + columns.begin * kBlockWeights<P>;
    int32_t bias[n];
    for (size_t t = 0; t < n; ++t) bias[t] = sum_of_activations<P>(activations + t * stride, columns.blocks());
    for (size_t group = p.row_begin; group < p.row_end; group += kGroupRows) {
      S32 sums[kGroupRows][n] = {};
      const int8_t* q = activations;
      for (size_t i = 0; i < steps; ++i, ++step, q += kBlockBytes) {
#pragma GCC unroll 6
        for (size_t t = 0; t < n; ++t) {
          const S8 a = load<S8>(q + t * stride);
#pragma GCC unroll 4
          for (size_t r = 0; r < kGroupRows; ++r) sums[r][t] = dot_add(sums[r][t], (*step)[r], a);
        }
      }
#pragma GCC unroll 6  // so that the sums stay in registers
      for (size_t t = 0; t < n; ++t) {
        if (token + t < columns.tokens_done) continue;
        write_sums(p, columns, token + t, group,
                   sums_of_lanes(sums[0][t], sums[1][t], sums[2][t], sums[3][t]) - bias[t]);
      }
    }
  }

  // All tokens with these columns. The last six may be some of those before, again.
  template <typename P>
  static void multiply_columns(const TernaryProduct& p, Columns columns) {
    auto* const steps = static_cast<UnpackedStep*>(p.scratch);
    unpack_rows<P>(p, columns, steps);
    for (size_t token = 0; token < p.tokens; token += kUnpackedTokens) {
      columns.tokens_done = token;
      unpacked_products<P>(p, columns, steps, token + kUnpackedTokens <= p.tokens ? token : p.tokens - kUnpackedTokens);
    }
  }

  // All tokens, if there are enough; returns the first that is left.
  template <typename P>
  static size_t multiply_many(const TernaryProduct& p) {
    static_assert(P::kTuning.prepared >= kUnpackedTokens);
    if (p.tokens < P::kTuning.prepared) return 0;
    constexpr size_t kMostBlocks = kActivationBytes / kUnpackedTokens / kBlockWeights<P>;
    const size_t parts = (p.blocks + kMostBlocks - 1) / kMostBlocks, blocks = (p.blocks + parts - 1) / parts;
    const size_t rows = kUnpackedBytes / (blocks * P::kDigits * sizeof(UnpackedStep)) * kGroupRows;
    TernaryProduct run = p;
    for (run.row_begin = p.row_begin; run.row_begin < p.row_end; run.row_begin = run.row_end) {
      run.row_end = p.row_end - run.row_begin < rows ? p.row_end : run.row_begin + rows;
      for (size_t begin = 0; begin < p.blocks; begin += blocks) {
        multiply_columns<P>(run, {begin, begin + blocks < p.blocks ? begin + blocks : p.blocks, 0});
      }
    }
    return p.tokens;
  }
};

}  // namespace
}  // namespace bitnet
