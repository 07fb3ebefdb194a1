// SPDX-License-Identifier: MIT
// t5 products of some tokens by dot products, with AVX-512 VNNI and VBMI.
#pragma once

#include "generic/ternary.h"
#include "kernels.h"
#include "x86/simd_avx512vbmi.h"

namespace bitnet {
namespace {

struct SeparatedT5 : DotProducts<Avx512Vbmi> {
  // Looking t5 digits up takes ports from the dot products. Of several fours of tokens the first looks those of a run
  // of rows up and leaves them in the second-level cache; what the others have to separate is as cheap as that of i2.
  static constexpr size_t kTokens = kTuning.dot_tokens;
  static constexpr size_t kSeparatedBytes = size_t{1} << 18;

  using SeparatedGroup = T5::Unpacker[kGroupRows];  // a block of four rows

  template <bool first>
  static void separated_products(const TernaryProduct& p, size_t token, SeparatedGroup* separated) {
    constexpr size_t kAhead = 4096;  // bytes
    const size_t stride = p.blocks * kBlockWeights<T5>;
    const int8_t* const activations = p.activations + token * stride;
    int32_t bias[kTokens];
    for (size_t t = 0; t < kTokens; ++t) bias[t] = sum_of_activations<T5>(activations + t * stride, p.blocks);

    const uint8_t* weights = p.weights + p.row_begin * p.blocks * kBlockBytes;
    for (size_t group = p.row_begin; group < p.row_end; group += kGroupRows) {
      S32 sums[kGroupRows][kTokens] = {};
      for (size_t block = 0; block < p.blocks; ++block, weights += kGroupRows * kBlockBytes, ++separated) {
        for (size_t r = 0; first && r < kGroupRows; ++r) {
          __builtin_prefetch(weights + kAhead + r * kBlockBytes);
          (*separated)[r] = T5::Unpacker(load<U8>(weights + r * kBlockBytes));
        }
        T5::Unpacker bytes[] = {(*separated)[0], (*separated)[1], (*separated)[2], (*separated)[3]};
        add_products<T5, kTokens>(bytes, activations + block * kBlockWeights<T5>, stride, sums);
      }
#pragma GCC unroll 4  // so that the sums stay in registers
      for (size_t t = 0; t < kTokens; ++t) {
        write_rows(p, token + t, group, sums_of_lanes(sums[0][t], sums[1][t], sums[2][t], sums[3][t]) - bias[t]);
      }
    }
  }

  // Whole fours of tokens, if there are two; returns the first token that is left.
  static size_t take_separated(const TernaryProduct& p, size_t token) {
    const size_t group_bytes = p.blocks * sizeof(SeparatedGroup), left = (p.tokens - token) % kTokens;
    if (p.tokens - token < 2 * kTokens || group_bytes > kTernaryScratchBytes) return token;
    auto* const separated = static_cast<SeparatedGroup*>(p.scratch);
    const size_t groups = group_bytes < kSeparatedBytes ? kSeparatedBytes / group_bytes : 1;
    TernaryProduct run = p;
    for (run.row_begin = p.row_begin; run.row_begin < p.row_end; run.row_begin = run.row_end) {
      const size_t end = run.row_begin + groups * kGroupRows;
      run.row_end = end < p.row_end ? end : p.row_end;
      separated_products<true>(run, token, separated);
      for (size_t t = token + kTokens; t < p.tokens - left; t += kTokens) {
        separated_products<false>(run, t, separated);
      }
    }
    return p.tokens - left;
  }
};

}  // namespace
}  // namespace bitnet
