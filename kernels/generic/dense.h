// SPDX-License-Identifier: MIT
// Products of dense matrices.
#pragma once

#include <type_traits>

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

  // Of many tokens: `rows` rows of floats, `stride` apart, of which the first is row `row` of the product. Where
  // vectors are shorter than the 16 lanes of a float reduction, each part of these takes a turn of its own, so that
  // more sums stay in registers.
  template <bool exact, size_t rows, size_t n>
  static BITNET_INLINE void multiply_floats(const HeadProduct& p, const float* weights, size_t stride, size_t row,
                                            size_t token) {
    const float* const x = p.x + token * p.x_stride;
    Lanes lanes[n][rows];
#pragma GCC unroll 4
    for (size_t part = 0; part < kParts; ++part) {
      F32 sums[n][rows] = {};
      const auto add = [&](size_t i, size_t count) BITNET_INLINED {
        F32 w[rows];
#pragma GCC unroll 4
        for (size_t r = 0; r < rows; ++r) w[r] = load_numbers(weights + r * stride + i, count);
#pragma GCC unroll 8
        for (size_t t = 0; t < n; ++t) {
          const F32 activations = load_numbers(x + t * p.x_stride + i, count);
#pragma GCC unroll 4
          for (size_t r = 0; r < rows; ++r) {
            sums[t][r] = Base::template add_product<exact>(sums[t][r], w[r], activations);
          }
        }
      };
      size_t i = part * kLanes;
      for (; i + kLanes <= p.cols; i += 16) add(i, kLanes);
      if (i < p.cols) add(i, p.cols - i);
#pragma GCC unroll 8
      for (size_t t = 0; t < n; ++t) {
#pragma GCC unroll 4
        for (size_t r = 0; r < rows; ++r) lanes[t][r].part[part] = sums[t][r];
      }
    }
#pragma GCC unroll 8
    for (size_t t = 0; t < n; ++t) {
      float* const out = p.out + (token + t) * p.out_stride + row;
      if constexpr (rows == 4) {
        store(out,
              sums_of_lanes(lanes[t][0].folded(), lanes[t][1].folded(), lanes[t][2].folded(), lanes[t][3].folded()));
      } else {
        for (size_t r = 0; r < rows; ++r) out[r] = lanes[t][r].sum();
      }
    }
  }

  // Few tokens read the weights once, straight on. Of many, each has its turn with as many rows as stay in the
  // second-level cache, converted to floats once for all.
  template <typename T, bool exact>
  static void dense(const HeadProduct& p) {
    constexpr size_t kRows = 4, kTokens = kTuning.dense_tokens;
    constexpr bool kConverts = !std::is_same_v<T, float>;
    const size_t stride = kConverts ? (p.cols + 15) / 16 * 16 : p.stride;
    const size_t most = kDenseScratchBytes / (stride * sizeof(float)) / kRows * kRows;
    if (p.tokens < kTokens || most == 0) return Base::template multiply_tiles<T, exact>(p);
    for (size_t begin = p.row_begin; begin < p.row_end; begin += most) {
      const size_t rows = p.row_end - begin < most ? p.row_end - begin : most;
      const T* const from = static_cast<const T*>(p.weights) + begin * p.stride;
      const float* weights;
      if constexpr (kConverts) {
        auto* const converted = static_cast<float*>(p.scratch);
        for (size_t r = 0; r < rows; ++r) Base::to_f32(from + r * p.stride, p.cols, converted + r * stride);
        weights = converted;
      } else {
        weights = from;
      }
      for_tokens<kTokens>(0, p.tokens, [&](size_t token, auto n) BITNET_INLINED {
        size_t r = 0;
        for (; r + kRows <= rows; r += kRows) {
          multiply_floats<exact, kRows, n>(p, weights + r * stride, stride, begin + r, token);
        }
        for (; r < rows; ++r) multiply_floats<exact, 1, n>(p, weights + r * stride, stride, begin + r, token);
      });
    }
  }

  static void dense_f16(const HeadProduct& p) { dense<f16, true>(p); }
  static void dense_f32(const HeadProduct& p) { dense<float, false>(p); }
};

}  // namespace
}  // namespace bitnet
