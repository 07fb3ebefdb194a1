// SPDX-License-Identifier: MIT
// Attention over keys and values in codes, int8 or int16.
//
// Blocks are crossed as in attention.h, but both products are of integers: the queries, and the weights times the
// steps of the values, are rounded to 16 bits, and the instructions that multiply pairs of these add up exact sums. For
// keys of int8 queries are rounded to 8 bits, as there are instructions that multiply four bytes.
#pragma once

#include <type_traits>

#include "generic/attention.h"
#include "generic/simd.h"
#include "kernels.h"

namespace bitnet {
namespace {

template <typename Simd>
struct CodeAttention : FloatAttention<Simd> {
  using Base = FloatAttention<Simd>;
  using Base::add_pairs, Base::add_quads, Base::at_least, Base::begin_state, Base::for_blocks, Base::for_vectors,
      Base::kLanes, Base::kQuads, Base::kTuning, Base::kVectorBytes, Base::largest_magnitude, Base::load_floats,
      Base::reduce, Base::round_to_int, Base::scale_query, Base::store_floats, Base::weigh;
  using typename Base::Block, typename Base::F32, typename Base::S16, typename Base::S32, typename Base::U16,
      typename Base::U32, typename Base::U8;

  static BITNET_INLINE float sum_of_squares(const float* x, size_t n) {
    return reduce(n, [&](size_t i, size_t count) BITNET_INLINED {
      const F32 v = load_floats(x + i, count);
      return v * v;
    });
  }
  static BITNET_INLINE float sum_of_magnitudes(const float* x, size_t n) {
    return reduce(
        n, [&](size_t i, size_t count) BITNET_INLINED { return (F32)((S32)load_floats(x + i, count) & 0x7fffffff); });
  }

  // The step with which no code is above `most`.
  static BITNET_INLINE float step_by_largest(const float* x, size_t n, float least, float most) {
    return at_least(largest_magnitude(x, n), least) / most;
  }
  // So that the product of two rows of codes stays below 2^31: by the inequality of Cauchy and Schwarz it is at most
  // that of their norms, and rounding adds to a norm no more than half the square root of kMostHeadDim. With the least
  // step, what is so small that its square is lost rounds to 0.
  static BITNET_INLINE float step_by_norm(const float* x, size_t n) {
    return at_least(__builtin_sqrtf(sum_of_squares(x, n)) / 46000.0f, step_by_largest(x, n, 1e-15f, 32767.0f));
  }
  // So that the product with codes stays below 2^31, as kKvBlock codes add up to at most 65000 and half of kKvBlock.
  static BITNET_INLINE float step_by_sum(const float* x, size_t n) {
    return at_least(sum_of_magnitudes(x, n) / 65000.0f, step_by_largest(x, n, 1e-30f, 32767.0f));
  }
  template <KvType type>
  static BITNET_INLINE float query_step(const float* x, size_t n) {
    return has_byte_codes(type) ? step_by_largest(x, n, 1e-30f, 127.0f) : step_by_norm(x, n);
  }
  template <KvType type>
  static BITNET_INLINE float weight_step(const float* x, size_t n) {
    return has_byte_codes(type) ? step_by_largest(x, n, 1e-30f, 32767.0f) : step_by_sum(x, n);
  }

  // What instructions multiply: a vector of words of codes becomes kVectors operands, and a lane of each is multiplied
  // with kFactors factors, which lie in 32 bits. Operands are codes less what kMiddle leaves to be subtracted.
  template <KvType type>
  struct Pairs {
    using Operand = S16;
    static constexpr size_t kFactors = 2, kVectors = codes_per_word(type) / kFactors;
    static constexpr int32_t kMiddle = has_byte_codes(type) ? kKvMiddle : 0;
    // Bytes come as the even ones and the odd ones.
    static BITNET_INLINE void load_codes(const uint8_t* p, S16 (&operands)[kVectors]) {
      if constexpr (has_byte_codes(type)) {
        const U16 x = load<U16>(p);
        operands[0] = (S16)(x & 0xff);
        operands[1] = (S16)(x >> 8);
      } else {
        operands[0] = load<S16>(p);
      }
    }
    static BITNET_INLINE S32 add(S32 sums, S16 operand, const uint32_t* factors) {
      return add_pairs(sums, operand, factors);
    }
  };

  // Of queries that are rounded to 8 bits, where an instruction multiplies four bytes.
  struct QuadsOfBytes {
    using Operand = U8;
    static constexpr size_t kFactors = 4, kVectors = 1;
    static constexpr int32_t kMiddle = kQuads == Quads::of_signed ? 0 : kKvMiddle;
    static BITNET_INLINE void load_codes(const uint8_t* p, U8 (&operands)[1]) {
      operands[0] = load<U8>(p) - static_cast<uint8_t>(kKvMiddle - kMiddle);
    }
    static BITNET_INLINE S32 add(S32 sums, U8 operand, const uint32_t* factors) {
      return add_quads(sums, operand, factors);
    }
  };

  template <KvType type>
  using KeyOperands = std::conditional_t<has_byte_codes(type) && kQuads != Quads::of_digits, QuadsOfBytes, Pairs<type>>;

  // Codes as they lie, [word][column][codes_per_word], read by tiles like those of Plain.
  template <typename Operands>
  struct KvCodes {
    const uint8_t* matrix;
    size_t columns;
    const uint8_t* next;  // what is read after this matrix
  };
  static constexpr size_t kCodeRows = kTuning.attention.rows, kCodeVectors = kTuning.attention.vectors;
  static constexpr size_t kCodeColumns = kCodeVectors * kLanes;

  // Rows of factors for products with codes. Value i of a row holds the factors i + k * length, k < kFactors, as the
  // codes of a word lie.
  template <typename Operands>
  struct Factors {
    size_t length;     // of a row, in values
    uint32_t* values;  // [row][length]
    int32_t* starts;   // [row]: from which the sums of products start
    float* steps;      // [row]

    // x has length * kFactors numbers, filled up with zeros.
    BITNET_INLINE void set(size_t row, const float* x, float step) const {
      constexpr unsigned kBits = 32 / Operands::kFactors;
      const float inverse = 1.0f / step;
      S32 sum = {};
      for_vectors(length, [&](size_t i, size_t count) BITNET_INLINED {
        U32 value = {};
#pragma GCC unroll 4
        for (unsigned k = 0; k < Operands::kFactors; ++k) {
          const S32 q = round_to_int(load_floats(x + i + k * length, count) * inverse);
          sum += q;
          value |= ((U32)q & UINT32_MAX >> (32 - kBits)) << k * kBits;
        }
        store_floats(reinterpret_cast<float*>(values + row * length + i), (F32)value, count);
      });
      starts[row] = fold(sum, [](auto x, auto y) BITNET_INLINED { return x + y; }) * -Operands::kMiddle;
      steps[row] = step;
    }
  };

  // The sums of products of rows of factors and columns of codes, exact. Of int8, a start and any of the products stay
  // below 2^30: codes are below 2^8, and kMostHeadDim factors at most 2^7 or kKvBlock below 2^15.
  template <size_t rows, size_t vectors, typename Operands>
  static BITNET_INLINE void multiply_codes(const Factors<Operands>& factors, size_t row, const KvCodes<Operands>& codes,
                                           size_t column, bool fetch, S32 (&sums)[rows][vectors]) {
#pragma GCC unroll 4
    for (size_t r = 0; r < rows; ++r) {
#pragma GCC unroll 4
      for (size_t v = 0; v < vectors; ++v) sums[r][v] = S32{} + factors.starts[row + r];
    }
    const size_t words = factors.length / Operands::kVectors;
    const uint32_t* value = factors.values + row * factors.length;
    const uint8_t* p = codes.matrix + column * sizeof(uint32_t);
    const uint8_t* next = codes.next + column * words * sizeof(uint32_t);
    for (size_t j = 0; j < words; ++j, ++value, p += codes.columns * sizeof(uint32_t), next += vectors * kVectorBytes) {
      typename Operands::Operand operands[vectors][Operands::kVectors];
#pragma GCC unroll 4
      for (size_t v = 0; v < vectors; ++v) {
        if (fetch) __builtin_prefetch(next + v * kVectorBytes, 0, 2);
        Operands::load_codes(p + v * kVectorBytes, operands[v]);
      }
#pragma GCC unroll 4
      for (size_t r = 0; r < rows; ++r) {
#pragma GCC unroll 4
        for (size_t v = 0; v < vectors; ++v) {
#pragma GCC unroll 2
          for (size_t i = 0; i < Operands::kVectors; ++i) {
            sums[r][v] = Operands::add(sums[r][v], operands[v][i], value + r * factors.length + i * words);
          }
        }
      }
    }
  }

  static BITNET_INLINE F32 to_float(S32 x) { return __builtin_convertvector(x, F32); }

  template <size_t rows, typename Operands>
  static BITNET_INLINE void score_tile(const Block& b, const Factors<Operands>& q, size_t first,
                                       const KvCodes<Operands>& keys, const float* steps, size_t at, size_t query) {
    float* const scores = b.scores + query * kKvBlock + at;
    const float* const query_steps = q.steps + first + query;
    const float* const key_steps = steps + at;
    S32 sums[rows][kCodeVectors];
    multiply_codes(q, first + query, keys, at, query == 0, sums);
#pragma GCC unroll 4
    for (size_t r = 0; r < rows; ++r) {
#pragma GCC unroll 4
      for (size_t v = 0; v < kCodeVectors; ++v) {
        const F32 step = query_steps[r] * load<F32>(key_steps + v * kLanes);
        store(scores + r * kKvBlock + v * kLanes, to_float(sums[r][v]) * step);
      }
    }
  }

  template <size_t rows, size_t vectors, typename Operands>
  static BITNET_INLINE void add_tile(const Block& b, const Factors<Operands>& weights, const KvCodes<Operands>& values,
                                     size_t column, size_t query) {
    float* const state = b.state(query) + column;
    const size_t stride = attention_state_floats(b.head_dim);
    const float* const factors = b.factors + query;
    const float* const steps = weights.steps + query;
    S32 sums[rows][vectors];
    multiply_codes(weights, query, values, column, query == 0, sums);
#pragma GCC unroll 4
    for (size_t r = 0; r < rows; ++r) {
#pragma GCC unroll 4
      for (size_t v = 0; v < vectors; ++v) {
        float* const to = state + r * stride + v * kLanes;
        store(to, load<F32>(to) * factors[r] + to_float(sums[r][v]) * steps[r]);
      }
    }
  }

  // Like weigh, the products are not inlined, so that they have the registers to themselves; and they copy what
  // describes them, so that no store changes it as far as compilers know.

  // The scores of `queries`, of which b has those from `first` on.
  template <typename Operands>
  static BITNET_NOINLINE void score_codes(const Block& block, const Factors<Operands>& queries, size_t first,
                                          const KvCodes<Operands>& codes, const float* steps) {
    const Block b = block;
    const Factors<Operands> q = queries;
    const KvCodes<Operands> keys = codes;
    for (size_t at = 0; at < b.count(b.queries - 1); at += kCodeColumns) {
      Base::template for_tiles<kCodeRows>(0, b.queries, [&](size_t query, auto rows) BITNET_INLINED {
        score_tile<rows>(b, q, first, keys, steps, at, query);
      });
    }
  }

  template <typename Operands>
  static BITNET_NOINLINE void add_codes(const Block& block, const Factors<Operands>& factors,
                                        const KvCodes<Operands>& codes) {
    const Block b = block;
    const Factors<Operands> weights = factors;
    const KvCodes<Operands> values = codes;
    for (size_t at = 0; at < values.columns;) {
      const bool whole = at + kCodeColumns <= values.columns;
      Base::template for_tiles<kCodeRows>(0, b.queries, [&](size_t query, auto rows) BITNET_INLINED {
        if (whole) {
          add_tile<rows, kCodeVectors>(b, weights, values, at, query);
        } else {
          add_tile<rows, 1>(b, weights, values, at, query);
        }
      });
      at += whole ? kCodeColumns : kLanes;
    }
  }

  template <KvType type>
  static void take_in(const Block& b, const Factors<KeyOperands<type>>& q, size_t first, const uint8_t* keys,
                      const uint8_t* values, const uint8_t* next_keys, const Factors<Pairs<type>>& weights) {
    const size_t dim = b.head_dim;
    const auto* key_steps = reinterpret_cast<const float*>(keys + key_steps_at(type, dim));
    const auto* value_steps = reinterpret_cast<const float*>(values + value_steps_at(type, dim));
    score_codes(b, q, first, {keys, kKvBlock, values}, key_steps);
    weigh(b, [&](F32 some, size_t i) BITNET_INLINED { return some * load<F32>(value_steps + i); });
    for (size_t query = 0; query < b.queries; ++query) {
      float* const scaled = b.scores + query * kKvBlock;
      for (size_t i = b.count(query); i < kKvBlock; ++i) scaled[i] = 0;  // where the step may be NaN
      weights.set(query, scaled, weight_step<type>(scaled, kKvBlock));
    }
    add_codes(b, weights, {values, value_stride(dim), next_keys});
  }

  template <KvType type>
  static void attention_codes(const Attention& a) {
    const size_t queries = a.rows * a.group, dim = a.head_dim;
    float* const factors = static_cast<float*>(a.scratch);
    float* const scores = factors + (queries + 15) / 16 * 16;
    auto* const pairs = reinterpret_cast<uint32_t*>(scores + queries * kKvBlock);
    auto* const starts = reinterpret_cast<int32_t*>(pairs + queries * (key_pairs(type, dim) + kKvBlock / 2));
    auto* const steps = reinterpret_cast<float*>(starts + 2 * queries);
    const Factors<KeyOperands<type>> q = {key_words(type, dim) * KeyOperands<type>::kVectors, pairs, starts, steps};
    const Factors<Pairs<type>> weights = {kKvBlock / 2, pairs + queries * q.length, starts + queries, steps + queries};
    for (size_t i = 0; i < queries; ++i) {
      float* const state = a.states + i * attention_state_floats(dim);
      begin_state(state, dim);
      scale_query(a, i, state);  // as a place for it, filled up with zeros
      q.set(i, state, query_step<type>(state, dim));
      begin_state(state, dim);
    }
    for_blocks(a, scores, factors, [&](const Block& b, size_t block, size_t first) {
      take_in<type>(b, q, first, static_cast<const uint8_t*>(a.keys[block]),
                    static_cast<const uint8_t*>(a.values[block]), static_cast<const uint8_t*>(a.keys[block + 1]),
                    weights);
    });
  }

  // Calls store_code(i, round to even(x[i] / step)).
  template <typename F>
  static BITNET_INLINE void round_each(const float* x, size_t n, float step, F store_code) {
    const float inverse = 1.0f / step;
    for_vectors(n, [&](size_t i, size_t count) BITNET_INLINED {
      int32_t some[kLanes];
      store(some, round_to_int(load_floats(x + i, count) * inverse));
      for (size_t j = 0; j < count; ++j) store_code(i + j, some[j]);
    });
  }

  static float quantize_kv_int8(const float* x, size_t n, uint8_t* codes) {
    const float step = step_by_largest(x, n, 1e-30f, 127.0f);
    round_each(x, n, step, [&](size_t i, int32_t q) BITNET_INLINED { codes[i] = static_cast<uint8_t>(kKvMiddle + q); });
    return step;
  }

  static float quantize_kv_int16(const float* x, size_t n, int16_t* codes) {
    const float step = step_by_norm(x, n);
    round_each(x, n, step, [&](size_t i, int32_t q) BITNET_INLINED { codes[i] = static_cast<int16_t>(q); });
    return step;
  }
};

}  // namespace
}  // namespace bitnet
