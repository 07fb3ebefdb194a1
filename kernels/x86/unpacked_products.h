// SPDX-License-Identifier: MIT
// Ternary products of many tokens by dot products with AVX-512 VNNI.
#pragma once

#include "generic/ternary.h"
#include "kernels.h"
#include "x86/simd_avx512vnni.h"

namespace bitnet {
namespace {

struct UnpackedProducts : DotProducts<Avx512Vnni> {
  // Rows are unpacked a run at a time, few enough for the second-level cache; then six tokens at a time, whose
  // activations the first-level cache holds, take turns. With 24 sums in registers each vector that is loaded serves
  // four or six dot products, so that these are the bound: two in a cycle on Intel's cores, on which sum tables save
  // none of that, as a load and an addition take as long.
  static constexpr size_t kUnpackedTokens = 6;
  static constexpr size_t kUnpackedBytes = size_t{1} << 18;

  // 64 columns of four rows.
  using UnpackedStep = U8[kGroupRows];

  // The rows p.row_begin .. p.row_end.
  template <typename P>
  static void unpack_rows(const TernaryProduct& p, UnpackedStep* steps) {
    const uint8_t* weights = p.weights + p.row_begin * p.blocks * kBlockBytes;
    const size_t blocks = (padded_rows(p.row_end) - p.row_begin) / kGroupRows * p.blocks;
    for (size_t block = 0; block < blocks; ++block, steps += P::kDigits) {
      for (size_t row = 0; row < kGroupRows; ++row, weights += kBlockBytes) {
        typename P::Unpacker bytes(load<U8>(weights));
        store_digits<P>(bytes, reinterpret_cast<uint8_t*>(*steps + row), sizeof(UnpackedStep));
      }
    }
  }

  // The unpacked rows times the six tokens from `token` on.
  template <typename P>
  static void unpacked_products(const TernaryProduct& p, const UnpackedStep* step, size_t token) {
    constexpr size_t n = kUnpackedTokens;
    const size_t stride = p.blocks * kBlockWeights<P>, steps = p.blocks * P::kDigits;
    const int8_t* const activations = p.activations + token * stride;
    int32_t bias[n];
    for (size_t t = 0; t < n; ++t) bias[t] = sum_of_activations<P>(activations + t * stride, p.blocks);
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
        write_rows(p, token + t, group, sums_of_lanes(sums[0][t], sums[1][t], sums[2][t], sums[3][t]) - bias[t]);
      }
    }
  }

  // All tokens, if there are enough; returns the first that is left. The last six may be some of those before, again.
  template <typename P>
  static size_t multiply_many(const TernaryProduct& p) {
    const size_t group_bytes = p.blocks * P::kDigits * sizeof(UnpackedStep);
    if (p.tokens < P::kTuning.prepared || group_bytes > kTernaryScratchBytes) return 0;
    auto* const steps = static_cast<UnpackedStep*>(p.scratch);
    const size_t rows = (group_bytes < kUnpackedBytes ? kUnpackedBytes / group_bytes : 1) * kGroupRows;
    TernaryProduct run = p;
    for (run.row_begin = p.row_begin; run.row_begin < p.row_end; run.row_begin = run.row_end) {
      run.row_end = p.row_end - run.row_begin < rows ? p.row_end : run.row_begin + rows;
      unpack_rows<P>(run, steps);
      for (size_t token = 0; token + kUnpackedTokens <= p.tokens; token += kUnpackedTokens) {
        unpacked_products<P>(run, steps, token);
      }
      if (p.tokens % kUnpackedTokens != 0) unpacked_products<P>(run, steps, p.tokens - kUnpackedTokens);
    }
    return p.tokens;
  }
};

}  // namespace
}  // namespace bitnet
