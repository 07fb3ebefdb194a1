// SPDX-License-Identifier: MIT
// Attention of the queries that share a KV head.
//
// Both products, of queries with keys and of weights with values, have one shape: a few rows of floats times a matrix
// whose rows lie one after the other. Vectors run along the rows of that matrix (for keys: along positions), so that no
// sum crosses the lanes of a vector, and each sum takes its terms in turn whatever the vectors' width is. A tile of
// rows by vectors stays in registers, as many as hide the latency of an addition.
//
// Few queries, as in generation, multiply keys and values as they lie and wait for memory: while they read the keys of
// a block, its values are fetched, and so on. For many, a block is converted first, into panels as wide as a tile, so
// that the innermost cache holds a panel while all queries pass over it; the first of them fetch the next block.
#pragma once

#include "generic/floats.h"
#include "generic/simd.h"
#include "kernels.h"

namespace bitnet {
namespace {

template <typename Simd>
struct FloatAttention : Floats<Simd> {
  using Base = Floats<Simd>;
  using Base::broadcast, Base::exp_of_negative, Base::exps_of_negatives, Base::for_vectors, Base::half_to_float,
      Base::kLanes, Base::kParts, Base::kTuning, Base::load_floats, Base::store_floats, Base::times;
  using typename Base::F32, typename Base::Lanes;

  // Into the second-level cache.
  template <size_t columns>
  static BITNET_INLINE void fetch_row(const f16* row) {
#pragma GCC unroll 2
    for (size_t i = 0; i < columns; i += 32) __builtin_prefetch(row + i, 0, 2);
  }

  // A matrix as it lies.
  struct Plain {
    static constexpr size_t kTileRows = kTuning.attention.rows, kTileVectors = kTuning.attention.vectors;
    static constexpr size_t kColumns = kTileVectors * kLanes;
    const f16* matrix;
    size_t rows, stride;
    const f16* next;  // the matrix of about the same size that is read after this one

    BITNET_INLINE const f16* panel(size_t column) const { return matrix + column; }
    // As many bytes of the next matrix as a row of this panel has.
    BITNET_INLINE void fetch(size_t column, size_t row) const {
      fetch_row<kColumns>(next + column * rows + row * kColumns);
    }
  };

  // Converted: panel after panel, each a matrix of kColumns columns.
  struct Panels {
    static constexpr size_t kTileRows = kTuning.converted.rows, kTileVectors = kTuning.converted.vectors;
    static constexpr size_t kColumns = kTileVectors * kLanes, stride = kColumns;
    const float* matrix;
    size_t rows;
    const f16* next;  // the matrix that is converted after this one

    BITNET_INLINE const float* panel(size_t column) const { return matrix + column * rows; }
    BITNET_INLINE void fetch(size_t column, size_t row) const {
      fetch_row<kColumns>(next + column * rows + row * kColumns);
    }
  };

  // `columns` is a multiple of kLanes. The last panel may be filled only in part.
  static Panels convert(const f16* matrix, size_t filled, size_t columns, size_t rows, float* panels, const f16* next) {
    constexpr size_t kColumns = Panels::kColumns;
    for (size_t row = 0; row < filled; ++row, matrix += columns) {
      for (size_t column = 0; column < columns; column += kLanes) {
        const size_t within = column % kColumns;
        store(panels + (column - within) * rows + row * kColumns + within, half_to_float(matrix + column));
      }
    }
    return {panels, rows, next};
  }

  static BITNET_INLINE F32 floats_at(const float* p) { return load<F32>(p); }
  static BITNET_INLINE F32 floats_at(const f16* p) { return half_to_float(p); }

  // sums[r] += the terms a[r][i] * b[i], i from `begin` below `end` in turn, for `vectors` vectors of the rows of b.
  // With `fetch`, what is read after this matrix is fetched on the way.
  template <size_t rows, size_t vectors, typename Matrix>
  static BITNET_INLINE void add_products(const float* a, size_t a_stride, const Matrix& matrix, size_t column,
                                         size_t begin, size_t end, bool fetch, F32 (&sums)[rows][vectors]) {
    const auto* b = matrix.panel(column) + begin * matrix.stride;
#pragma GCC unroll 2
    for (size_t i = begin; i < end; ++i, b += matrix.stride) {
      if (fetch) matrix.fetch(column, i);
      F32 row[vectors];
#pragma GCC unroll 4
      for (size_t v = 0; v < vectors; ++v) row[v] = floats_at(b + v * kLanes);
#pragma GCC unroll 8
      for (size_t r = 0; r < rows; ++r) {
#pragma GCC unroll 4
        for (size_t v = 0; v < vectors; ++v) sums[r][v] += times(row[v], a + r * a_stride + i);
      }
    }
  }

  template <size_t rows, size_t vectors>
  static BITNET_INLINE void store_rows(const F32 (&sums)[rows][vectors], float* to, size_t stride) {
#pragma GCC unroll 8
    for (size_t r = 0; r < rows; ++r) {
#pragma GCC unroll 4
      for (size_t v = 0; v < vectors; ++v) store(to + r * stride + v * kLanes, sums[r][v]);
    }
  }

  // Calls f(first, rows) for tiles of the queries from `query` on, the last ones in smaller tiles; rows is a constant.
  template <size_t rows, typename F>
  static BITNET_INLINE void for_tiles(size_t query, size_t queries, F f) {
    for (; query + rows <= queries; query += rows) f(query, Constant<rows>());
    if constexpr (rows > 1) for_tiles<(rows > 4 ? 4 : rows - 1)>(query, queries, f);
  }

  // Queries on their way over a block of positions.
  struct Block {
    size_t queries, group, head_dim;
    size_t seen;            // positions that the first row sees; each further row sees one more
    size_t hidden_to_last;  // positions that a window hides to the last row; to each row before it one less
    float* scores;          // [query][kKvBlock]; then weights
    float* factors;         // [query], rounded up to 16: what their sums so far are to be multiplied by
    float* states;

    BITNET_INLINE size_t count(size_t query) const {
      if (seen >= kKvBlock) return kKvBlock;  // of most blocks, and divisions are slow
      const size_t n = seen + query / group;
      return n < kKvBlock ? n : kKvBlock;
    }
    // The first positions, which a window hides.
    BITNET_INLINE size_t hidden(size_t query) const {
      if (hidden_to_last == 0) return 0;
      const size_t rows_after = (queries - 1 - query) / group;
      if (rows_after >= hidden_to_last) return 0;
      const size_t n = hidden_to_last - rows_after;
      return n < kKvBlock ? n : kKvBlock;
    }
    BITNET_INLINE float* state(size_t query) const { return states + query * attention_state_floats(head_dim); }
  };

  // scores = q . key, for every position that a query sees, and some more.
  template <typename Keys>
  static BITNET_INLINE void score(const Block& b, const float* q, const Keys& keys) {
    for (size_t at = 0; at < b.count(b.queries - 1); at += Keys::kColumns) {
      for_tiles<Keys::kTileRows>(0, b.queries, [&](size_t query, auto rows) BITNET_INLINED {
        F32 sums[rows][Keys::kTileVectors] = {};
        add_products(q + query * b.head_dim, b.head_dim, keys, at, 0, b.head_dim, query == 0, sums);
        store_rows(sums, b.scores + query * kKvBlock + at, kKvBlock);
      });
    }
  }

  // Scores become keep(weights, first of their positions). Weights of positions that a query does not see are 0. Not
  // inlined, so that the products around it have the registers to themselves.
  template <typename F>
  static BITNET_NOINLINE void weigh(const Block& b, F keep) {
    const size_t width = value_stride(b.head_dim);
    for (size_t query = 0; query < b.queries; ++query) {
      float* const scores = b.scores + query * kKvBlock;
      for (size_t i = b.count(query); i < kKvBlock; ++i) scores[i] = -__builtin_inff();
      for (size_t i = 0, hidden = b.hidden(query); i < hidden; ++i) scores[i] = -__builtin_inff();
      float& largest = b.state(query)[width];
      F32 most = broadcast(largest);
      for (size_t i = 0; i < kKvBlock; i += kLanes) {
        most = larger(most, load<F32>(scores + i));
      }
      const float before = largest;
      largest = fold(most, [](auto x, auto y) BITNET_INLINED { return larger(x, y); }) + 0.0f;
      b.factors[query] = before - largest;
    }
    for (size_t i = 0; i < b.queries; i += kLanes) {
      store(b.factors + i,
            exp_of_negative(load_floats(b.factors + i, b.queries - i < kLanes ? b.queries - i : kLanes)));
    }
    for (size_t query = 0; query < b.queries; ++query) {
      float* const scores = b.scores + query * kKvBlock;
      float* const largest_and_sum = b.state(query) + width;
      constexpr size_t kVectors = 4;  // side by side
      Lanes sum;
      for (size_t i = 0; i < kKvBlock; i += kVectors * kLanes) {
        F32 weights[kVectors];
#pragma GCC unroll 4
        for (size_t v = 0; v < kVectors; ++v) weights[v] = load<F32>(scores + i + v * kLanes) - largest_and_sum[0];
        exps_of_negatives(weights);
#pragma GCC unroll 4
        for (size_t v = 0; v < kVectors; ++v) {
          sum.part[v % kParts] += weights[v];
          store(scores + i + v * kLanes, keep(weights[v], i + v * kLanes));
        }
      }
      largest_and_sum[1] = largest_and_sum[1] * b.factors[query] + sum.sum();
    }
  }

  // Each sum of values = itself * factor + the terms weight * value of the positions that its query sees.
  template <size_t rows, size_t vectors, typename Values>
  static BITNET_INLINE void add_values(const Block& b, const Values& values, size_t column, size_t query) {
    const float* const weights = b.scores + query * kKvBlock;
    float* const state = b.state(query) + column;
    const size_t stride = attention_state_floats(b.head_dim);
    F32 sums[rows][vectors];
#pragma GCC unroll 8
    for (size_t r = 0; r < rows; ++r) {
#pragma GCC unroll 4
      for (size_t v = 0; v < vectors; ++v) {
        sums[r][v] = load<F32>(state + r * stride + v * kLanes) * b.factors[query + r];
      }
    }
    const size_t all = b.count(query);  // of the rows see these positions, later ones more
    add_products(weights, kKvBlock, values, column, 0, all, query == 0, sums);
    store_rows(sums, state, stride);
    if (b.count(query + rows - 1) == all) return;
    for (size_t r = 1; r < rows; ++r) {
      F32 row[1][vectors];
      for (size_t v = 0; v < vectors; ++v) row[0][v] = load<F32>(state + r * stride + v * kLanes);
      add_products(weights + r * kKvBlock, kKvBlock, values, column, all, b.count(query + r), false, row);
      store_rows(row, state + r * stride, stride);
    }
  }

  template <typename Values>
  static void take_in(const Block& b, const float* q, const Values& keys, const Values& values) {
    const size_t width = value_stride(b.head_dim);
    score(b, q, keys);
    weigh(b, [](F32 weights, size_t) BITNET_INLINED { return weights; });
    for (size_t at = 0; at < width;) {
      const bool whole = at + Values::kColumns <= width;
      for_tiles<Values::kTileRows>(0, b.queries, [&](size_t query, auto rows) BITNET_INLINED {
        if (whole) {
          add_values<rows, Values::kTileVectors>(b, values, at, query);
        } else {
          add_values<rows, 1>(b, values, at, query);
        }
      });
      at += whole ? Values::kColumns : kLanes;
    }
  }

  static void begin_state(float* state, size_t head_dim) {
    for (size_t d = 0; d < attention_state_floats(head_dim); d += kLanes) store(state + d, F32{});
    state[value_stride(head_dim)] = -__FLT_MAX__;
  }

  static BITNET_INLINE void scale_query(const Attention& a, size_t query, float* to) {
    const float* from = a.q + query / a.group * a.q_stride + query % a.group * a.head_dim;
    for_vectors(a.head_dim, [&](size_t d, size_t count) BITNET_INLINED {
      store_floats(to + d, load_floats(from + d, count) * a.scale, count);
    });
  }

  // Calls f(block, its number, first query) for every block of the split, with the queries that see any of it.
  template <typename F>
  static BITNET_INLINE void for_blocks(const Attention& a, float* scores, float* factors, F f) {
    const size_t last = a.length + a.rows - 1, end = last < kKvSplit ? last : kKvSplit;
    const size_t first_seen = a.length > a.window ? a.length - a.window : 0;  // by the first row
    const size_t last_hidden = last > a.window ? last - a.window : 0;         // to the last row
    for (size_t begin = first_seen / kKvBlock * kKvBlock; begin < end; begin += kKvBlock) {
      const size_t row = a.length > begin ? 0 : begin + 1 - a.length, first = row * a.group;
      const Block block = {a.rows * a.group - first,
                           a.group,
                           a.head_dim,
                           a.length + row - begin,
                           last_hidden > begin ? last_hidden - begin : 0,
                           scores,
                           factors,
                           a.states + first * attention_state_floats(a.head_dim)};
      f(block, begin / kKvBlock, first);
    }
  }

  static void attention_f16(const Attention& a) {
    const size_t queries = a.rows * a.group, dim = a.head_dim, width = value_stride(dim);
    float* const q = static_cast<float*>(a.scratch);
    float* const factors = q + (queries * dim + 15) / 16 * 16;
    float* const scores = factors + (queries + 15) / 16 * 16;
    float* const keys = scores + queries * kKvBlock;
    float* const values = keys + kKvBlock * dim;
    for (size_t i = 0; i < queries; ++i) {
      scale_query(a, i, q + i * dim);
      begin_state(a.states + i * attention_state_floats(dim), dim);
    }
    for_blocks(a, scores, factors, [&](const Block& b, size_t block, size_t first) {
      const auto* block_keys = static_cast<const f16*>(a.keys[block]);
      const auto* block_values = static_cast<const f16*>(a.values[block]);
      const auto* next_keys = static_cast<const f16*>(a.keys[block + 1]);
      const auto* next_values = static_cast<const f16*>(a.values[block + 1]);
      if (queries <= Plain::kTileRows) {
        take_in<Plain>(b, q + first * dim, {block_keys, dim, kKvBlock, block_values},
                       {block_values, kKvBlock, width, next_keys});
      } else {
        take_in(b, q + first * dim, convert(block_keys, dim, kKvBlock, dim, keys, next_keys),
                convert(block_values, b.count(b.queries - 1), width, kKvBlock, values, next_values));
      }
    });
  }

  static void attention_merge(float* state, const float* next, size_t head_dim) {
    const size_t width = value_stride(head_dim);
    const float largest = larger(state[width], next[width]);
    F32 factors = broadcast(next[width]);
    factors[0] = state[width];
    factors = exp_of_negative(factors - largest);
    const float factor = factors[0], next_factor = factors[1];
    for (size_t d = 0; d < width; d += kLanes) {
      store(state + d, load<F32>(state + d) * factor + load<F32>(next + d) * next_factor);
    }
    state[width] = largest;
    state[width + 1] = state[width + 1] * factor + next[width + 1] * next_factor;
  }

  static void attention_finish(const float* state, size_t head_dim, float* out) {
    const float sum = state[value_stride(head_dim) + 1];
    for_vectors(head_dim, [&](size_t d, size_t count)
                              BITNET_INLINED { store_floats(out + d, load<F32>(state + d) / sum, count); });
  }
};

}  // namespace
}  // namespace bitnet
