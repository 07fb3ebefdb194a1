// SPDX-License-Identifier: MIT
// Ternary products of several tokens on CPUs that multiply int8 matrices, Arm's i8mm.
#pragma once

#include "arm/simd_i8mm.h"
#include "generic/ternary.h"
#include "kernels.h"

namespace bitnet {
namespace {

// An instruction takes eight columns of two rows and of two tokens, for twice the products of a dot product. Its
// operands are halves of vectors side by side. Those of weights are put together before they are unpacked; those of
// activations once for all rows, in the thread's scratch, in the order in which they are read: by block, sixteen bytes
// of the block, digit, and pair of tokens.

struct MatrixProducts : DotProducts<I8mm> {
  static BITNET_INLINE U8 low_halves(U8 a, U8 b) { return (U8)vzip1q_u64((uint64x2_t)a, (uint64x2_t)b); }
  static BITNET_INLINE U8 high_halves(U8 a, U8 b) { return (U8)vzip2q_u64((uint64x2_t)a, (uint64x2_t)b); }

  // The activations of `tokens` tokens from `token` on; an odd last one is its own neighbour.
  template <typename P>
  static void pair_activations(const TernaryProduct& p, size_t token, size_t tokens, int8_t* pairs) {
    const size_t stride = p.blocks * kBlockWeights<P>;
    const int8_t* q = p.activations + token * stride;
    for (size_t block = 0; block < p.blocks; ++block, q += kBlockWeights<P>) {
      for (size_t at = 0; at < kBlockBytes; at += kVectorBytes) {
        for (size_t i = at; i < kBlockWeights<P>; i += kBlockBytes) {
          for (size_t t = 0; t < tokens; t += 2, pairs += 2 * kVectorBytes) {
            const U8 a = load<U8>(q + t * stride + i), b = t + 1 < tokens ? load<U8>(q + (t + 1) * stride + i) : a;
            store(pairs, low_halves(a, b));
            store(pairs + kVectorBytes, high_halves(a, b));
          }
        }
      }
    }
  }

  // Adds the products of digits<i> and all that follow, of two pairs of rows, each the low halves and the high.
  template <typename P, size_t n, size_t i = 0>
  static BITNET_INLINE void add_twos(typename P::Unpacker (*rows)[2], const int8_t* pairs, S32 (*sums)[n]) {
    for (size_t half = 0; half < 2; ++half) {
      const U8 upper = rows[0][half].template digits<i>(), lower = rows[1][half].template digits<i>();
      for (size_t t = 0; t < n; ++t) {
        const S8 q = load<S8>(pairs + (2 * t + half) * kVectorBytes);
        sums[0][t] = multiply_twos(sums[0][t], upper, q);
        sums[1][t] = multiply_twos(sums[1][t], lower, q);
      }
    }
    if constexpr (i + 1 < P::kDigits) add_twos<P, n, i + 1>(rows, pairs + 2 * n * kVectorBytes, sums);
  }

  // All rows times the `tokens` tokens, 2 * n or one less, whose activations are in `pairs`. 32 bits hold rows of 2^31
  // / 254 weights.
  template <typename P, size_t n>
  static void products_of_twos(const TernaryProduct& p, size_t token, size_t tokens, const int8_t* pairs) {
    constexpr size_t kAhead = 2048;  // bytes
    const size_t stride = p.blocks * kBlockWeights<P>;
    int32_t bias[2 * n];
    for (size_t t = 0; t < tokens; ++t) bias[t] = sum_of_activations<P>(p.activations + (token + t) * stride, p.blocks);

    for (size_t group = p.row_begin; group < p.row_end; group += kGroupRows) {
      const uint8_t* weights = p.weights + group * p.blocks * kBlockBytes;
      const int8_t* q = pairs;
      S32 sums[2][n] = {};
      for (size_t block = 0; block < p.blocks; ++block, weights += kGroupRows * kBlockBytes) {
        for (size_t r = 0; r < kGroupRows; ++r) __builtin_prefetch(weights + kAhead + r * kBlockBytes);
        for (size_t at = 0; at < kBlockBytes; at += kVectorBytes, q += P::kDigits * 2 * n * kVectorBytes) {
          U8 w[kGroupRows];
          for (size_t r = 0; r < kGroupRows; ++r) w[r] = load<U8>(weights + r * kBlockBytes + at);
          using Unpacker = typename P::Unpacker;
          Unpacker rows[2][2] = {{Unpacker(low_halves(w[0], w[1])), Unpacker(high_halves(w[0], w[1]))},
                                 {Unpacker(low_halves(w[2], w[3])), Unpacker(high_halves(w[2], w[3]))}};
          add_twos<P, n>(rows, q, sums);
        }
      }
      for (size_t r = 0; r < kGroupRows && group + r < p.row_end; ++r) {
        const float scale = p.scales[p.row_scales ? group + r : 0];
        for (size_t t = 0; t < tokens; ++t) {
          const int32_t sum = sums[r / 2][t / 2][r % 2 * 2 + t % 2] - bias[t];
          p.out[(token + t) * p.out_stride + group + r] = static_cast<float>(sum) * (scale * p.steps[token + t]);
        }
      }
    }
  }

  // Takes `2 * n` tokens at a time, or one less; returns the first token that is left.
  template <typename P, size_t n>
  static size_t take_twos(const TernaryProduct& p, size_t t) {
    int8_t* pairs = static_cast<int8_t*>(p.scratch);
    while (p.tokens - t >= 2 * n - 1 && 2 * n * p.blocks * kBlockWeights<P> <= kTernaryScratchBytes) {
      const size_t tokens = p.tokens - t < 2 * n ? 2 * n - 1 : 2 * n;
      pair_activations<P>(p, t, tokens, pairs);
      products_of_twos<P, n>(p, t, tokens, pairs);
      t += tokens;
    }
    return t;
  }

  // All but at most three; returns the first that is left.
  template <typename P>
  static size_t multiply_many(const TernaryProduct& p) {
    size_t t = take_twos<P, 4>(p, 0);
    t = take_twos<P, 3>(p, t);
    return take_twos<P, 2>(p, t);
  }
};

}  // namespace
}  // namespace bitnet
