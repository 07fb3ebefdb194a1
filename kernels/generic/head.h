// SPDX-License-Identifier: MIT
// Products of the output head.
#pragma once

#include "generic/floats.h"
#include "generic/simd.h"
#include "kernels.h"

namespace bitnet {
namespace {

template <typename Simd>
struct Head : Floats<Simd> {
  using Base = Floats<Simd>;
  using Base::add_exact, Base::add_pairs, Base::at_least, Base::broadcast_quad, Base::bytes_to_int, Base::dot_pairs,
      Base::dot_quads, Base::for_vectors, Base::half_to_float, Base::kLanes, Base::kParts, Base::kTuning,
      Base::kVectorBytes, Base::largest_magnitude, Base::load_floats, Base::load_halves, Base::round_to_int,
      Base::split, Base::widen;
  using typename Base::F32, typename Base::Lanes, typename Base::S16, typename Base::S32, typename Base::S64,
      typename Base::S8, typename Base::U16, typename Base::U8;

  // How many bytes ahead of row `row` to fetch when `rows` rows are read at a time: after a single row comes more of
  // it, after several rows the next ones. After rows from scattered places, nothing.
  static BITNET_INLINE size_t bytes_ahead(const HeadProduct& p, size_t row, size_t rows, size_t row_bytes) {
    const size_t ahead = rows == 1 ? kAhead : rows * row_bytes;
    return (p.row_end - row) * row_bytes > ahead ? ahead : 0;
  }

  // Calls f(row, token, rows, tokens) for tiles of all rows and of the tokens from `first` below `end`; rows and tokens
  // are constants. The sums of a tile stay in registers, so that a weight is read and converted once for several
  // tokens, an activation read once for several rows. One token has one row at a time, so that memory is read straight
  // on.
  template <size_t rows, size_t tokens, typename F>
  static BITNET_INLINE void for_head_tiles(const HeadProduct& p, size_t first, size_t end, F f) {
    size_t row = p.row_begin;
    for (; end - first > 1 && row + rows <= p.row_end; row += rows) {
      for_tokens<tokens>(first, end, [&](size_t t, auto n) BITNET_INLINED { f(row, t, Constant<rows>(), n); });
    }
    for (; row < p.row_end; ++row) {
      for_tokens<tokens>(first, end, [&](size_t t, auto n) BITNET_INLINED { f(row, t, Constant<1>(), n); });
    }
  }

  // Numbers as floats: kLanes of them, or `count` and then zeros.
  static BITNET_INLINE F32 load_numbers(const f16* p) { return half_to_float(p); }
  static BITNET_INLINE F32 load_numbers(const f16* p, size_t count) { return load_halves(p, count); }
  static BITNET_INLINE F32 load_numbers(const float* p) { return load<F32>(p); }
  static BITNET_INLINE F32 load_numbers(const float* p, size_t count) { return load_floats(p, count); }

  // s + a * b; exact: whether a float holds the products.
  template <bool exact>
  static BITNET_INLINE F32 add_product(F32 s, F32 a, F32 b) {
    if constexpr (exact) return add_exact(s, a, b);
    return s + a * b;
  }

  // Rows of numbers of type T times float vectors.
  template <typename T, bool exact, size_t rows, size_t n>
  static BITNET_INLINE void multiply_tile(const HeadProduct& p, size_t row, size_t token) {
    const size_t ahead = bytes_ahead(p, row, rows, p.stride * sizeof(T)) / sizeof(T);
    const T* weights = static_cast<const T*>(p.weights) + row * p.stride;
    const float* x = p.x + token * p.x_stride;
    Lanes lanes[rows][n];
    size_t i = 0;
    for (; i + 16 <= p.cols; i += 16) {
#pragma GCC unroll 4
      for (size_t r = 0; r < rows; ++r) fetch(weights + r * p.stride + i + ahead);
#pragma GCC unroll 4
      for (size_t part = 0; part < kParts; ++part) {
        F32 w[rows];
#pragma GCC unroll 4
        for (size_t r = 0; r < rows; ++r) w[r] = load_numbers(weights + r * p.stride + i + part * kLanes);
#pragma GCC unroll 4
        for (size_t t = 0; t < n; ++t) {
          const F32 activations = load<F32>(x + t * p.x_stride + i + part * kLanes);
#pragma GCC unroll 4
          for (size_t r = 0; r < rows; ++r) {
            lanes[r][t].part[part] = add_product<exact>(lanes[r][t].part[part], w[r], activations);
          }
        }
      }
    }
    for (size_t part = 0; i < p.cols; ++part, i += kLanes) {
      const size_t count = p.cols - i < kLanes ? p.cols - i : kLanes;
      for (size_t t = 0; t < n; ++t) {
        const F32 activations = load_floats(x + t * p.x_stride + i, count);
        for (size_t r = 0; r < rows; ++r) {
          const F32 w = load_numbers(weights + r * p.stride + i, count);
          lanes[r][t].part[part] = add_product<exact>(lanes[r][t].part[part], w, activations);
        }
      }
    }
#pragma GCC unroll 4
    for (size_t t = 0; t < n; ++t) {
#pragma GCC unroll 4
      for (size_t r = 0; r < rows; ++r) p.out[(token + t) * p.out_stride + row + r] = lanes[r][t].sum();
    }
  }

  template <typename T, bool exact>
  static BITNET_INLINE void multiply_tiles(const HeadProduct& p) {
    for_head_tiles<kTuning.head_f16.rows, kTuning.head_f16.tokens>(
        p, 0, p.tokens, [&](size_t row, size_t token, auto rows, auto tokens) BITNET_INLINED {
          multiply_tile<T, exact, rows, tokens>(p, row, token);
        });
  }
  static void head_f16(const HeadProduct& p) { multiply_tiles<f16, false>(p); }

  static constexpr size_t kWide = kVectorBytes / sizeof(int16_t);

  // The activations of a token in 16 bits, zeros up to `stride`. Returns the step.
  static float quantize_wide(const float* x, size_t cols, size_t stride, int16_t* q) {
    const float step = at_least(largest_magnitude(x, cols), 1e-30f) / 32767.0f;
    const float inverse = 1.0f / step;
    for_vectors(cols, [&](size_t i, size_t count) BITNET_INLINED {
      const S32 rounded = round_to_int(load_floats(x + i, count) * inverse);
      for (size_t j = 0; j < count; ++j) q[i + j] = static_cast<int16_t>(rounded[j]);
    });
    for (size_t i = cols; i < stride; ++i) q[i] = 0;
    return step;
  }

  static BITNET_INLINE S64 widen_pairs(S32 x) { return ((S64)x << 32 >> 32) + ((S64)x >> 32); }

  // q and steps: of the tokens from `first` on.
  template <size_t rows, size_t n>
  static BITNET_INLINE void head_int8_tile(const HeadProduct& p, const int16_t* q, const float* steps, size_t first,
                                           size_t row, size_t token) {
    // A product of pairs is below 2 * 2^7 * 2^15, so 127 of them fit 32 bits.
    constexpr size_t kRun = 127 * kWide;
    const size_t ahead = bytes_ahead(p, row, rows, p.stride);
    const int8_t* weights = static_cast<const int8_t*>(p.weights) + row * p.stride;
    q += (token - first) * p.stride;
    S64 totals[rows][n] = {};
    size_t i = 0;
    while (i + kWide <= p.cols) {
      const size_t end = p.cols - i < kRun ? p.cols : i + kRun;
      S32 sums[rows][n] = {};
      for (; i + kWide <= end; i += kWide) {
        S16 w[rows];
#pragma GCC unroll 4
        for (size_t r = 0; r < rows; ++r) {
          if (rows > 1) fetch(weights + r * p.stride + i + ahead);  // one row comes faster unasked
          w[r] = widen(weights + r * p.stride + i);
        }
#pragma GCC unroll 4
        for (size_t t = 0; t < n; ++t) {
          const S16 activations = load<S16>(q + t * p.stride + i);
#pragma GCC unroll 4
          for (size_t r = 0; r < rows; ++r) sums[r][t] = dot_pairs(sums[r][t], w[r], activations);
        }
      }
#pragma GCC unroll 4
      for (size_t t = 0; t < n; ++t) {
#pragma GCC unroll 4
        for (size_t r = 0; r < rows; ++r) totals[r][t] += widen_pairs(sums[r][t]);
      }
    }
#pragma GCC unroll 4
    for (size_t t = 0; t < n; ++t) {
#pragma GCC unroll 4
      for (size_t r = 0; r < rows; ++r) {
        int64_t sum = 0;
        for (size_t j = 0; j < kLanes / 2; ++j) sum += totals[r][t][j];
        for (size_t j = i; j < p.cols; ++j) sum += weights[r * p.stride + j] * q[t * p.stride + j];
        p.out[(token + t) * p.out_stride + row + r] =
            static_cast<float>(sum) * (p.scales[row + r] * steps[token - first + t]);
      }
    }
  }

  static void head_int8(const HeadProduct& p) {
    constexpr size_t kTokens = 16;  // in one pass over the weights
    int16_t* q = static_cast<int16_t*>(p.scratch);
    for (size_t first = 0; first < p.tokens; first += kTokens) {
      const size_t end = p.tokens - first < kTokens ? p.tokens : first + kTokens;
      float steps[kTokens];
      for (size_t t = first; t < end; ++t) {
        steps[t - first] = quantize_wide(p.x + t * p.x_stride, p.cols, p.stride, q + (t - first) * p.stride);
      }
      for_head_tiles<kTuning.head_int8.rows, kTuning.head_int8.tokens>(
          p, first, end, [&](size_t row, size_t token, auto rows, auto tokens) BITNET_INLINED {
            head_int8_tile<rows, tokens>(p, q, steps, first, row, token);
          });
    }
  }

  // The activations of the tokens for products with tiles. A value q in two bytes, q = 256 * upper + lower with both in
  // the range of int8, because that is what the instructions multiply; and of each group of columns `middle` times the
  // sum of its q, which the codes, being code - middle + middle, add to every row.
  struct PlaneActivations {
    size_t cols;  // of whole tiles
    int8_t *upper, *lower;
    int32_t* bias;

    PlaneActivations(const HeadProduct& p)
        : cols(tiles_per_row(p.cols) * kTileCols),
          upper(static_cast<int8_t*>(p.scratch)),
          lower(upper + p.tokens * cols),
          bias(reinterpret_cast<int32_t*>(lower + p.tokens * cols)) {}
    size_t groups() const { return cols / kGroupCols; }

    // Returns the step.
    float quantize(const float* x, size_t n, int middle, size_t token) const {
      const float step = at_least(largest_magnitude(x, n), 1e-30f) / 32639.0f;
      const float inverse = 1.0f / step;
      int8_t* u = upper + token * cols;
      int8_t* l = lower + token * cols;
      int32_t* b = bias + token * groups();
      for (size_t begin = 0; begin < cols; begin += kTileCols) {
        S32 sums[kTileCols / kGroupCols] = {};
#pragma GCC unroll 16
        for (size_t i = 0; i < kTileCols; i += kLanes) {
          const size_t at = begin + i, count = at >= n ? 0 : n - at < kLanes ? n - at : kLanes;
          const S32 q = round_to_int(load_floats(x + at, count) * inverse);
          split(q, u + at, l + at);
          sums[i / kGroupCols] += q;
        }
        store(b + begin / kGroupCols, middle * sums_of_lanes(sums[0], sums[1], sums[2], sums[3]));
      }
      return step;
    }
  };

  // The codes of vector `j` of a tile, of the rows from byte `at` of the vectors on.
  template <Planes planes>
  static BITNET_INLINE U8 tile_codes(const uint8_t* tile, size_t j, size_t at) {
    constexpr size_t w = upper_bits(planes);
    constexpr uint8_t kUpper = ((1 << w) - 1) << 4;
    const U8 two = load<U8>(tile + 64 + (j / 4 * 2 + j % 2) * 64 + at);
    const U8 plane = load<U8>(tile + 64 + 512 + j * w / 8 * 64 + at);
    const size_t bit = j * w % 8;
    const U8 lower = (j % 4 < 2 ? two : (U8)((U16)two >> 4)) & 15;
    return lower | ((bit < 4 ? (U8)((U16)plane << (4 - bit)) : (U8)((U16)plane >> (bit - 4))) & kUpper);
  }

  // The rows of a tile from lane `first` on, as many as a vector has lanes, times `n` tokens.
  template <Planes planes, size_t n>
  static BITNET_INLINE void head_tiles(const HeadProduct& p, const PlaneActivations& a, const uint8_t* tile, size_t row,
                                       size_t first, size_t token, const float* steps) {
    F32 sums[n] = {};
    for (size_t begin = 0; begin < a.cols; begin += kTileCols, tile += tile_bytes(planes)) {
      for (size_t i = 0; first == 0 && i < tile_bytes(planes); i += 64) fetch(tile + kAhead + i);
      S32 run[n];
#pragma GCC unroll 4
      for (size_t g = 0; g < 4; ++g) {
        S32 upper[n] = {}, lower[n];
#pragma GCC unroll 4
        for (size_t t = 0; t < n; ++t) lower[t] = S32{} - a.bias[(token + t) * a.groups() + begin / kGroupCols + g];
#pragma GCC unroll 4
        for (size_t j = 4 * g; j < 4 * g + 4; ++j) {
          const U8 codes = tile_codes<planes>(tile, j, 4 * first);
#pragma GCC unroll 4
          for (size_t t = 0; t < n; ++t) {
            const size_t at = (token + t) * a.cols + begin + 4 * j;
            upper[t] = dot_quads(upper[t], codes, broadcast_quad(a.upper + at));
            lower[t] = dot_quads(lower[t], codes, broadcast_quad(a.lower + at));
          }
        }
        const S32 scale = bytes_to_int((const int8_t*)tile + g * kTileRows + first);
        const bool begins = g * kGroupCols % run_cols(planes) == 0, ends = (g + 1) * kGroupCols % run_cols(planes) == 0;
#pragma GCC unroll 4
        for (size_t t = 0; t < n; ++t) {
          const S32 products = ((upper[t] << 8) + lower[t]) * scale;
          run[t] = begins ? products : run[t] + products;
          if (ends) sums[t] += __builtin_convertvector(run[t], F32);
        }
      }
    }
    for (size_t t = 0; t < n; ++t) {
      for (size_t i = 0; i < kLanes && row + i < p.row_end; ++i) {
        p.out[(token + t) * p.out_stride + row + i] = sums[t][i] * (p.scales[row + i] * steps[t]);
      }
    }
  }

  template <Planes planes, size_t n>
  static void head_tokens(const HeadProduct& p, PlaneActivations& a, size_t token) {
    float steps[n];
    for (size_t t = 0; t < n; ++t) {
      steps[t] = a.quantize(p.x + (token + t) * p.x_stride, p.cols, middle_code(planes), token + t);
    }
    for (size_t begin = p.row_begin; begin < p.row_end; begin += kTileRows) {
      const uint8_t* tile = static_cast<const uint8_t*>(p.weights) + planes_bytes(planes, begin, p.cols);
      for (size_t first = 0; first < kTileRows; first += kLanes) {
        head_tiles<planes, n>(p, a, tile, begin + first, first, token, steps);
      }
    }
  }

  // Likewise of many tokens, for which weights, group scale and all, are unpacked to 16 bits first, a run of columns of
  // a tile at a time. An instruction adds the products of a pair of columns. Pairs are what unpacks easily: of four
  // columns of a row the first and the third, then the second and the fourth.
  template <Planes planes>
  struct UnpackedPlanes {
    static constexpr size_t kRun = run_cols(planes), kPairs = kRun / 2;
    static constexpr size_t kTokens = 16;  // that share what is unpacked

    alignas(64) int16_t weights[kPairs][kTileRows][2];
    alignas(64) float sums[kTokens][kTileRows];

    // The run that begins at column `begin` of a tile.
    BITNET_INLINE void unpack(const uint8_t* tile, size_t begin) {
      for (size_t first = 0; first < kTileRows; first += kLanes) {
#pragma GCC unroll 2
        for (size_t group = 0; group < kRun; group += kGroupCols) {
          const S32 one = bytes_to_int((const int8_t*)tile + (begin + group) / kGroupCols * kTileRows + first);
          const S16 scale = (S16)((one & 0xffff) | one << 16), middle = scale * middle_code(planes);
#pragma GCC unroll 4
          for (size_t i = 0; i < kGroupCols; i += 4) {
            const U8 codes = tile_codes<planes>(tile, (begin + group + i) / 4, 4 * first);
            const size_t pair = (group + i) / 2;
            store(weights[pair] + first, ((S16)codes & 0xff) * scale - middle);
            store(weights[pair + 1] + first, (S16)((U16)codes >> 8) * scale - middle);
          }
        }
      }
    }

    // Adds the products with the activations of `n` tokens, of each kPairs pairs.
    template <size_t n>
    BITNET_INLINE void multiply(const uint32_t* q, size_t token) {
      constexpr size_t vectors = kTuning.planes.vectors;
      for (size_t first = 0; first < kTileRows; first += vectors * kLanes) {
        S32 products[vectors][n] = {};
#pragma GCC unroll 4
        for (size_t pair = 0; pair < kPairs; ++pair) {
#pragma GCC unroll 16
          for (size_t t = 0; t < n; ++t) {
#pragma GCC unroll 4
            for (size_t v = 0; v < vectors; ++v) {
              const S16 w = load<S16>(weights[pair] + first + v * kLanes);
              products[v][t] = add_pairs(products[v][t], w, q + (token + t) * kPairs + pair);
            }
          }
        }
#pragma GCC unroll 16
        for (size_t t = 0; t < n; ++t) {
#pragma GCC unroll 4
          for (size_t v = 0; v < vectors; ++v) {
            float* const sum = sums[token + t] + first + v * kLanes;
            store(sum, load<F32>(sum) + __builtin_convertvector(products[v][t], F32));
          }
        }
      }
    }
  };

  template <typename V>
  static BITNET_INLINE V even_lanes(V a, V b) {
    if constexpr (sizeof a == 64) {
      return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14);
    } else if constexpr (sizeof a == 32) {
      return __builtin_shufflevector(a, b, 0, 2, 4, 6);
    } else {
      return __builtin_shufflevector(a, b, 0, 2);
    }
  }
  template <typename V>
  static BITNET_INLINE V odd_lanes(V a, V b) {
    if constexpr (sizeof a == 64) {
      return __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15);
    } else if constexpr (sizeof a == 32) {
      return __builtin_shufflevector(a, b, 1, 3, 5, 7);
    } else {
      return __builtin_shufflevector(a, b, 1, 3);
    }
  }

  // The activations of a token in such pairs, zeros up to `padded` columns: `pairs` of them, and then so many of each
  // other token. Returns the step.
  template <size_t pairs>
  static float quantize_pairs(const float* x, size_t n, size_t padded, size_t tokens, uint32_t* q) {
    constexpr size_t together = pairs < kLanes ? pairs : kLanes;
    const float step = at_least(largest_magnitude(x, n), 1e-30f) / 32639.0f;
    const float inverse = 1.0f / step;
    const auto rounded = [&](size_t at) BITNET_INLINED {
      const size_t count = at >= n ? 0 : n - at < kLanes ? n - at : kLanes;
      return (S64)round_to_int(load_floats(x + at, count) * inverse);
    };
    for (size_t at = 0; at < padded; at += 2 * kLanes) {
      const S64 a = rounded(at), b = rounded(at + kLanes);
      const S32 lower = (S32)even_lanes(a, b), upper = (S32)odd_lanes(a, b);
      uint32_t words[kLanes];
      store(words, (lower & 0xffff) | upper << 16);
#pragma GCC unroll 2
      for (size_t i = 0; i < kLanes; i += together) {
        const size_t pair = at / 2 + i;
        __builtin_memcpy(q + pair / pairs * pairs * tokens + pair % pairs, words + i, together * sizeof *q);
      }
    }
    return step;
  }

  // `tokens` tokens, UnpackedPlanes::kTokens at most.
  template <Planes planes>
  static void multiply_unpacked(const HeadProduct& p, size_t token, size_t tokens) {
    using Unpacked = UnpackedPlanes<planes>;
    const size_t tiles = tiles_per_row(p.cols);
    auto* const activations = static_cast<uint32_t*>(p.scratch);
    float steps[Unpacked::kTokens];
    for (size_t t = 0; t < tokens; ++t) {
      steps[t] = quantize_pairs<Unpacked::kPairs>(p.x + (token + t) * p.x_stride, p.cols, tiles * kTileCols, tokens,
                                                  activations + t * Unpacked::kPairs);
    }
    Unpacked tile_rows;
    for (size_t row = p.row_begin; row < p.row_end; row += kTileRows) {
      const uint8_t* tile = static_cast<const uint8_t*>(p.weights) + planes_bytes(planes, row, p.cols);
      const uint32_t* q = activations;
      for (size_t t = 0; t < tokens; ++t) {
        for (size_t i = 0; i < kTileRows; ++i) tile_rows.sums[t][i] = 0;
      }
      for (size_t i = 0; i < tiles; ++i, tile += tile_bytes(planes)) {
        for (size_t j = 0; j < tile_bytes(planes); j += 64) fetch(tile + kAhead + j);
#pragma GCC unroll 4
        for (size_t begin = 0; begin < kTileCols; begin += Unpacked::kRun, q += tokens * Unpacked::kPairs) {
          tile_rows.unpack(tile, begin);
          for_tokens<kTuning.planes.tokens>(
              0, tokens, [&](size_t t, auto n) BITNET_INLINED { tile_rows.template multiply<n>(q, t); });
        }
      }
      for (size_t t = 0; t < tokens; ++t) {
        for (size_t i = 0; i < kTileRows && row + i < p.row_end; ++i) {
          p.out[(token + t) * p.out_stride + row + i] = tile_rows.sums[t][i] * (p.scales[row + i] * steps[t]);
        }
      }
    }
  }

  template <Planes planes>
  static void head_planes(const HeadProduct& p) {
    size_t t = 0;
    if constexpr (kTuning.planes.prepared != SIZE_MAX) {
      constexpr size_t most = UnpackedPlanes<planes>::kTokens;
      while (p.tokens - t >= kTuning.planes.prepared) {
        const size_t tokens = p.tokens - t < most ? p.tokens - t : most;
        multiply_unpacked<planes>(p, t, tokens);
        t += tokens;
      }
    }
    PlaneActivations a(p);
    for (; t + 4 <= p.tokens; t += 4) head_tokens<planes, 4>(p, a, t);
    for (; t < p.tokens; ++t) head_tokens<planes, 1>(p, a, t);
  }
};

}  // namespace
}  // namespace bitnet
