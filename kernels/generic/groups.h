// SPDX-License-Identifier: MIT
// Products of ternary matrices whose columns share scales in groups.
#pragma once

#include <type_traits>

#include "generic/floats.h"
#include "generic/simd.h"
#include "groups.h"
#include "kernels.h"

namespace bitnet {
namespace {

template <typename Simd>
struct Groups : Floats<Simd> {
  using Base = Floats<Simd>;
  using Base::at_least, Base::broadcast_quad, Base::dot_add, Base::dot_quads, Base::half_to_float,
      Base::kAddsNeighbours, Base::kLanes, Base::kParts, Base::kQuads, Base::kTuning, Base::largest_magnitude,
      Base::load_floats, Base::load_halves, Base::round_to_int, Base::settle, Base::split, Base::store_floats,
      Base::total;
  using typename Base::F32, typename Base::Partial, typename Base::S32, typename Base::U16, typename Base::U32,
      typename Base::U8;

  static void quantize_groups(const float* x, size_t n, size_t group, void* activations) {
    auto* tile = static_cast<GroupActivations*>(activations);
    for (size_t begin = 0; begin < n; begin += kGroupTileCols, ++tile) {
      for (size_t at = 0, g = 0; at < kGroupTileCols; at += group, ++g) {
        const size_t first = begin + at, count = first >= n ? 0 : n - first < group ? n - first : group;
        const float step = at_least(largest_magnitude(x + first, count), 1e-30f) / 32639.0f;
        const float inverse = 1.0f / step;
        S32 sums = {};
        for (size_t i = 0; i < group; i += kLanes) {
          const size_t some = i >= count ? 0 : count - i < kLanes ? count - i : kLanes;
          const S32 q = round_to_int(load_floats(x + first + i, some) * inverse);
          split(q, tile->upper + at + i, tile->lower + at + i);
          sums += q;
        }
        tile->sums[g] = fold(sums, [](auto x, auto y) BITNET_INLINED { return x + y; });
        tile->steps[g] = count > 0 ? step : 0;
      }
      for (size_t g = kGroupTileCols / group; g < kGroupTileCols / kSmallestGroup; ++g) {
        tile->sums[g] = 0;
        tile->steps[g] = 0;
      }
    }
  }

  // Sums of products of digits and activations, each lane's in itself. In 16 bits they hold a group: each of its 32
  // quads adds at most 2 * 2 * 128, or half as much again with codes that are none.
  using QuadSums = std::conditional_t<kAddsNeighbours, Partial, S32>;
  static BITNET_INLINE QuadSums add_products(QuadSums s, U8 digits, const int8_t* q) {
    if constexpr (!kAddsNeighbours) {
      return dot_quads(s, digits, broadcast_quad(q));
    } else if constexpr (kQuads == Quads::of_digits) {
      return dot_add(s, digits, broadcast_quad(q));
    } else {
      return Base::add_quads(s, digits, reinterpret_cast<const uint32_t*>(q));
    }
  }
  static BITNET_INLINE S32 in_32_bits(QuadSums s) {
    if constexpr (kAddsNeighbours) {
      return total(s);
    } else {
      return s;
    }
  }

  // One token waits for memory and for sums. Where an instruction multiplies more than digits, the second and the
  // fourth of each byte stay where they are, four times as large, and have sums of their own.
  template <size_t n>
  static constexpr bool kWhole = n == 1 && kQuads != Quads::of_digits;
  template <size_t n, size_t k>
  static BITNET_INLINE U8 digits(U8 packed) {
    constexpr size_t shift = kWhole<n> ? k / 2 * 4 : 2 * k;
    const U8 shifted = shift > 0 ? (U8)((U16)packed >> shift) : packed;
    return shifted & (kWhole<n> && k % 2 == 1 ? 12 : 3);
  }
  template <size_t n>
  struct TokenSums {
    static constexpr size_t kSums = kWhole<n> ? 2 : 1;
    QuadSums upper[kSums] = {}, lower[kSums] = {};

    template <size_t k>
    BITNET_INLINE void add(U8 digits, const GroupActivations& a, size_t at) {
      upper[k % kSums] = add_products(upper[k % kSums], digits, a.upper + at);
      lower[k % kSums] = add_products(lower[k % kSums], digits, a.lower + at);
      // Or compilers multiply first and add later, for which there are not enough registers.
      settle(upper[k % kSums]);
      settle(lower[k % kSums]);
    }
    BITNET_INLINE S32 sum() const { return (whole(upper) << 8) + whole(lower); }

   private:
    static BITNET_INLINE S32 whole(const QuadSums (&s)[kSums]) {
      if constexpr (kSums == 2) {
        return in_32_bits(s[0]) + (in_32_bits(s[1]) >> 2);
      } else {
        return in_32_bits(s[0]);
      }
    }
  };

  // What is broadcast serves so many vectors of rows.
  static constexpr size_t kVectors = kParts > 1 ? 2 : 1;

  // Adds the products of digit k of each byte and of all that follow; `at`: of the first digit's columns in a tile.
  template <size_t n, size_t k = 0>
  static BITNET_INLINE void add_digits(const U8 (&packed)[kVectors], const GroupActivations* const (&a)[n], size_t at,
                                       TokenSums<n> (&sums)[kVectors][n]) {
#pragma GCC unroll 4
    for (size_t v = 0; v < kVectors; ++v) {
      const U8 of_all = digits<n, k>(packed[v]);
#pragma GCC unroll 8
      for (size_t t = 0; t < n; ++t) sums[v][t].template add<k>(of_all, *a[t], at + 4 * k);
    }
    if constexpr (k < 3) add_digits<n, k + 1>(packed, a, at, sums);
  }

  // The rows of a row of tiles from lane `first` on, as many as kVectors have lanes, times `n` tokens.
  template <size_t group, size_t n>
  static BITNET_INLINE void multiply_lanes(const GroupProduct& p, const uint8_t* tile, size_t row, size_t first,
                                           size_t token) {
    const GroupActivations* a[n];
    for (size_t t = 0; t < n; ++t) {
      a[t] = reinterpret_cast<const GroupActivations*>(static_cast<const uint8_t*>(p.activations) +
                                                       (token + t) * p.activation_stride);
    }
    F32 sums[kVectors][n] = {};
    for (size_t begin = 0; begin < p.cols; begin += kGroupTileCols, tile += group_tile_bytes(group)) {
      for (size_t i = 0; first == 0 && i < group_tile_bytes(group); i += 64) fetch(tile + kAhead + i);
      const uint8_t* codes = tile + group_scale_bytes(group) + 4 * first;
      for (size_t at = 0, g = 0; at < kGroupTileCols && begin + at < p.cols; ++g) {
        TokenSums<n> products[kVectors][n];
        for (const size_t end = at + group; at < end; at += 16, codes += 64) {
          U8 packed[kVectors];
          for (size_t v = 0; v < kVectors; ++v) packed[v] = load<U8>(codes + v * sizeof(U8));
          add_digits(packed, a, at, products);
        }
        const auto* const scales = reinterpret_cast<const f16*>(tile) + g * kGroupTileRows + first;
#pragma GCC unroll 4
        for (size_t v = 0; v < kVectors; ++v) {
          const F32 scale = half_to_float(scales + v * kLanes);
#pragma GCC unroll 8
          for (size_t t = 0; t < n; ++t) {
            // The digits are the trits + 1.
            const F32 sum = __builtin_convertvector(products[v][t].sum() - a[t]->sums[g], F32);
            sums[v][t] += sum * (scale * a[t]->steps[g]);
          }
        }
      }
#pragma GCC unroll 8
      for (size_t t = 0; t < n; ++t) ++a[t];
    }
    for (size_t v = 0; v < kVectors && row + v * kLanes < p.row_end; ++v) {
      const size_t from = row + v * kLanes, count = p.row_end - from < kLanes ? p.row_end - from : kLanes;
      const F32 scales = p.row_scales ? load_floats(p.scales + from, count) : F32{} + *p.scales;
      for (size_t t = 0; t < n; ++t)
        store_floats(p.out + (token + t) * p.out_stride + from, sums[v][t] * scales, count);
    }
  }

  // A row of tiles stays in the first-level cache while all tokens of a pass are multiplied by it; their activations
  // stay in the second.
  template <size_t group>
  static void multiply_as(const GroupProduct& p) {
    constexpr size_t kPass = 32;  // tokens
    for (size_t begin = 0; begin < p.tokens; begin += kPass) {
      const size_t end = p.tokens - begin < kPass ? p.tokens : begin + kPass;
      for (size_t row = p.row_begin; row < p.row_end; row += kGroupTileRows) {
        const uint8_t* const tile = p.weights + group_bytes(row, p.cols, group);
        for_tokens<kTuning.group_tokens>(begin, end, [&](size_t token, auto n) BITNET_INLINED {
          for (size_t first = 0; first < kGroupTileRows && row + first < p.row_end; first += kVectors * kLanes) {
            multiply_lanes<group, n>(p, tile, row + first, first, token);
          }
        });
      }
    }
  }

  static void multiply_groups(const GroupProduct& p) {
    if (p.group == 64) return multiply_as<64>(p);
    multiply_as<128>(p);
  }

  static void groups_to_f32(const uint8_t* weights, size_t cols, size_t group, size_t row, float scale, float* y) {
    const uint8_t* tile = weights + group_bytes(row / kGroupTileRows * kGroupTileRows, cols, group);
    row %= kGroupTileRows;
    for (size_t begin = 0; begin < cols; begin += kGroupTileCols, tile += group_tile_bytes(group)) {
      const uint8_t* const codes = tile + group_scale_bytes(group) + 4 * row;
      const size_t inside = cols - begin < kGroupTileCols ? cols - begin : kGroupTileCols;
      for (size_t i = 0; i < inside; i += 16) {  // these columns are a word
        const U32 word = U32{} + load<uint32_t>(codes + i / 16 * 64);
        const auto* const group_scales = reinterpret_cast<const f16*>(tile) + i / group * kGroupTileRows;
        const float factor = scale * load_halves(group_scales + row, 1)[0];
#pragma GCC unroll 4
        for (size_t part = 0; part < kParts; ++part) {
          const size_t at = i + part * kLanes;
          if (at >= inside) break;
          const S32 trits = (S32)(word >> shifts_of(part) & 3) - 1;
          store_floats(y + begin + at, __builtin_convertvector(trits, F32) * factor,
                       inside - at < kLanes ? inside - at : kLanes);
        }
      }
    }
  }
  // Where in a word the codes of a part of its columns are.
  static BITNET_INLINE U32 shifts_of(size_t part) {
    U32 shifts = {};
#pragma GCC unroll 16
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const GroupCodePlace at = group_code_place(0, part * kLanes + lane);
      shifts[lane] = static_cast<uint32_t>(8 * at.byte + at.shift);
    }
    return shifts;
  }
};

}  // namespace
}  // namespace bitnet
