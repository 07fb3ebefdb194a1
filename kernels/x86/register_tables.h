// SPDX-License-Identifier: MIT
// Ternary products of many tokens by tables in registers, with AVX-512 VNNI and VBMI.
#pragma once

#include "generic/ternary.h"
#include "kernels.h"
#include "x86/separated_t5.h"
#include "x86/simd_avx512vbmi.h"

namespace bitnet {
namespace {

// A vector of 32 16-bit lanes holds the sums of three activations, weighted in each of the 27 ways; a second vector
// holds them with a fourth activation added. Rows look theirs up in both with vpermi2w, 32 at a time. Seven weights
// take two lookups: three each, and of the one between, whose digit is 2 h + l, the first lookup has h and the second
// l. That is 112 multiply-adds for a permutation and an addition, a pair of which a Zen 4 core does in each cycle,
// where vpdpbusd does 64. (Where permutations of words are several operations, as on Intel's cores, it is the other way
// round.)
//
// A part of a block of the weights at a time, all rows become indexes. Then four tokens at a time have their
// activations made tables, few enough to stay in the first-level cache, past which the indexes of all rows stream, with
// 16 vectors of sums in registers. Between the parts sums wait in memory, in 16 bits as long as they cannot have
// overflowed.

// The first lookup of a pair takes bytes 0 to 3 of the seven, the second 3 to 6. The shared byte is the last or the
// first of the four.
struct Lookup {
  size_t first;          // of the bytes
  int32_t mask;          // the bits of their digits that count
  int8_t weights[4];     // with which these add up to an index: 32 where the table has the shared activation
  size_t shared;         // place of the shared activation
  int8_t without, with;  // what it counts
};
constexpr Lookup kPair[2] = {{0, 0x02030303, {1, 3, 9, 16}, 3, -1, 1}, {3, 0x03030301, {32, 1, 3, 9}, 0, 0, 1}};

// The weights of each entry of the tables of a lookup, in the order of lanes in which packing 32-bit lanes leaves them.
struct EntryWeights {
  alignas(64) int8_t weights[2][2][16][4];  // without and with the shared activation; by halves
  alignas(64) int32_t biases[2][2][16];     // of activations that are 128 too large
  constexpr explicit EntryWeights(const Lookup& lookup) : weights(), biases() {
    for (int with = 0; with < 2; ++with) {
      for (int index = 0; index < 32; ++index) {
        const int half = index / 4 % 2, lane = index / 8 * 4 + index % 4;
        for (size_t i = 0, rest = static_cast<size_t>(index); i < 4; ++i) {
          const bool shared = i == lookup.shared;
          const int weight = !shared ? static_cast<int>(rest % 3) - 1 : with ? lookup.with : lookup.without;
          if (!shared) rest /= 3;
          weights[with][half][lane][i] = static_cast<int8_t>(weight);
          biases[with][half][lane] -= 128 * weight;
        }
      }
    }
  }
};
constexpr EntryWeights kEntryWeights[2] = {EntryWeights(kPair[0]), EntryWeights(kPair[1])};

struct RegisterTables : SeparatedT5 {
  static constexpr size_t kQuad = 4;  // tokens
  static constexpr size_t kQuads = kTuning.tokens_at_a_time / kQuad;
  static constexpr size_t kVectorRows = 32;  // rows to a vector
  static constexpr size_t kRowVectors = 4;   // to a tile of rows
  static constexpr size_t kRowsOfTile = kRowVectors * kVectorRows;

  // A part of a block is three times seven neighbouring bytes, whose digits i are looked up together. The digits of the
  // last byte of a block belong to its last part, as one more group of seven.
  static constexpr size_t kSeven = 7;
  static constexpr size_t kSevens = 3;
  static constexpr size_t kPartBytes = kSevens * kSeven;
  static constexpr size_t kBlockParts = kBlockBytes / kPartBytes;
  static_assert(kBlockBytes == kBlockParts * kPartBytes + 1);
  template <typename P>
  static constexpr size_t kLookups = 2 * (kSevens * P::kDigits + 1);  // of the last part
  static constexpr int32_t kMostShort = 32767;
  static_assert(kLookups<T5> / 2 * kSeven * 127 <= kMostShort, "no part of a block may overflow 16 bits");

  struct Table {
    S16 without, with;  // the activation that two lookups share
  };
  template <typename P>
  using Tables = Table[kLookups<P>][kQuad];  // of four tokens for a part
  template <typename P>
  using Indexes = S16[kLookups<P>][kRowVectors];  // of a tile of rows for a part

  // What four tokens have gathered with a tile of rows.
  using ShortSums = S16[kQuad][kRowVectors];
  using LongSums = S32[kQuad][kRowVectors][2];  // of the even and of the odd lanes

  // The table of a lookup for the four activations at q.
  static BITNET_INLINE Table table_of(const EntryWeights& entries, const int8_t* q) {
    const __m512i large = (__m512i)((U8)(S32{} + load<int32_t>(q)) ^ 0x80);
    const auto half = [&](size_t with, size_t i) BITNET_INLINED {
      return _mm512_dpbusd_epi32(load<__m512i>(entries.biases[with][i]), large,
                                 load<__m512i>(entries.weights[with][i]));
    };
    return {(S16)_mm512_packs_epi32(half(0, 0), half(0, 1)), (S16)_mm512_packs_epi32(half(1, 0), half(1, 1))};
  }

  // The tables of a token for a part of the block of activations at q.
  template <typename P>
  static void make_tables(const int8_t* q, size_t part, Table (*tables)[kQuad], size_t token) {
    const auto add_pair = [&](const int8_t* seven) BITNET_INLINED {
      (*tables++)[token] = table_of(kEntryWeights[0], seven + kPair[0].first);
      (*tables++)[token] = table_of(kEntryWeights[1], seven + kPair[1].first);
    };
    for (size_t seven = 0; seven < kSevens; ++seven) {
      for (size_t i = 0; i < P::kDigits; ++i) add_pair(q + kBlockBytes * i + part * kPartBytes + seven * kSeven);
    }
    if (part + 1 < kBlockParts) return;
    int8_t last[kSeven] = {};
    for (size_t i = 0; i < P::kDigits; ++i) last[i] = q[kBlockBytes * i + kBlockBytes - 1];
    add_pair(last);
  }

  // 16 bytes from each of four places.
  static BITNET_INLINE S32 load_lanes(const uint8_t* const* from, size_t offset) {
    __m512i x = _mm512_zextsi128_si512(load<__m128i>(from[0] + offset));
    x = _mm512_inserti32x4(x, load<__m128i>(from[1] + offset), 1);
    x = _mm512_inserti32x4(x, load<__m128i>(from[2] + offset), 2);
    return (S32)_mm512_inserti32x4(x, load<__m128i>(from[3] + offset), 3);
  }

  // Of the halves of each 128-bit lane, as 32-bit values: the lower of a and b alternately; the higher.
  static BITNET_INLINE S32 low_pairs(S32 a, S32 b) {
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29);
  }
  static BITNET_INLINE S32 high_pairs(S32 a, S32 b) {
    return __builtin_shufflevector(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
  }
  // Within each 128-bit lane: value j of x[i] to place i of x[j].
  static BITNET_INLINE void transpose(S32* x) {
    const S32 a = low_pairs(x[0], x[2]), b = low_pairs(x[1], x[3]);
    const S32 c = high_pairs(x[0], x[2]), d = high_pairs(x[1], x[3]);
    x[0] = low_pairs(a, b);
    x[1] = high_pairs(a, b);
    x[2] = low_pairs(c, d);
    x[3] = high_pairs(c, d);
  }

  // Four bytes of each of 32 rows, 16 rows to a vector.
  template <typename P>
  struct RowBytes {
    typename P::Unpacker half[2];

    // The sums of the digits i of the four bytes, so masked and weighted, for each row.
    template <size_t i>
    BITNET_INLINE S16 weighted(int32_t mask, int32_t weights) const {
      const __m512i m = _mm512_set1_epi32(mask), w = _mm512_set1_epi32(weights), zero = {};
      const auto sums = [&](size_t h) BITNET_INLINED {
        return _mm512_dpbusd_epi32(zero, _mm512_and_si512((__m512i)half[h].template digits<i>(), m), w);
      };
      return (S16)_mm512_packs_epi32(sums(0), sums(1));
    }
    template <size_t i>
    BITNET_INLINE S16 index(const Lookup& lookup) const {
      return weighted<i>(lookup.mask, load<int32_t>(lookup.weights));
    }
    // Of the first byte alone, as if it had this place among the four.
    template <size_t i>
    BITNET_INLINE S16 index_alone(const Lookup& lookup, size_t place) const {
      return weighted<i>(lookup.mask >> 8 * place & 255, lookup.weights[place]);
    }
  };

  // The indexes of the bytes of a seven, those of the first lookup and those of the second, for each digit.
  template <typename P, size_t i = 0>
  static BITNET_INLINE void index_seven(const RowBytes<P>& first, const RowBytes<P>& second,
                                        S16 (*indexes)[kRowVectors], size_t v) {
    indexes[0][v] = first.template index<i>(kPair[0]);
    indexes[1][v] = second.template index<i>(kPair[1]);
    if constexpr (i + 1 < P::kDigits) index_seven<P, i + 1>(first, second, indexes + 2, v);
  }

  // The indexes of the digits of one byte as a seven.
  template <typename P>
  static BITNET_INLINE void index_last(const RowBytes<P>& last, S16 (*indexes)[kRowVectors], size_t v) {
    indexes[0][v] = last.template index_alone<0>(kPair[0], 0) + last.template index_alone<1>(kPair[0], 1) +
                    last.template index_alone<2>(kPair[0], 2) + last.template index_alone<3>(kPair[0], 3);
    indexes[1][v] = last.template index_alone<3>(kPair[1], 0);
    if constexpr (P::kDigits == 5) indexes[1][v] += last.template index_alone<4>(kPair[1], 1);
  }

  // The indexes of a part of the block of 32 rows, in eight groups. Rows come in an order that packing and widening
  // undo: the first four groups end up in the even lanes, the others in the odd.
  template <typename P>
  static void make_indexes(const uint8_t* const* groups, size_t part, S16 (*indexes)[kRowVectors], size_t v) {
    const auto rows = [&](size_t half, size_t offset, __m512i shuffle, S32* x) BITNET_INLINED {
      for (size_t i = 0; i < 4; ++i) {
        const size_t row = half * 2 + i / 2;
        x[i] = (S32)_mm512_shuffle_epi8((__m512i)load_lanes(groups + i % 2 * 4, row * kBlockBytes + offset), shuffle);
      }
      transpose(x);
    };
    const auto bytes = [](S32 a, S32 b) BITNET_INLINED {
      using Unpacker = typename P::Unpacker;
      return RowBytes<P>{{Unpacker((U8)a), Unpacker((U8)b)}};
    };
    S32 a[4], b[4];
    const auto two_sevens = _mm512_set4_epi32(0x0d0c0b0a, 0x0a090807, 0x06050403, 0x03020100);
    rows(0, part * kPartBytes, two_sevens, a);
    rows(1, part * kPartBytes, two_sevens, b);
    index_seven<P>(bytes(a[0], b[0]), bytes(a[1], b[1]), indexes, v);
    index_seven<P>(bytes(a[2], b[2]), bytes(a[3], b[3]), indexes + 2 * P::kDigits, v);
    // The last seven lies at 8 of these bytes, so that they end with the block in the last part.
    const auto seven_and_last = _mm512_set4_epi32(-1, -1 << 8 | 0x0f, 0x0e0d0c0b, 0x0b0a0908);
    rows(0, part * kPartBytes + 2 * kSeven - 8, seven_and_last, a);
    rows(1, part * kPartBytes + 2 * kSeven - 8, seven_and_last, b);
    index_seven<P>(bytes(a[0], b[0]), bytes(a[1], b[1]), indexes + 4 * P::kDigits, v);
    if (part + 1 == kBlockParts) index_last<P>(bytes(a[2], b[2]), indexes + 6 * P::kDigits, v);
  }

  // Vectors of four times 32 rows.
  struct Four {
    S16 a, b, c, d;
    BITNET_INLINE explicit Four(const S16* p) : a(p[0]), b(p[1]), c(p[2]), d(p[3]) {}
    BITNET_INLINE void store_to(S16* p) const { p[0] = a, p[1] = b, p[2] = c, p[3] = d; }

    // Adds what the rows' indexes find in a table. Written out, because a permutation whose sum follows at once takes a
    // quarter longer, and because compilers rename the sums until they spill.
    BITNET_INLINE void add(const Four& indexes, const Table& table) {
      S16 x = indexes.a, y = indexes.b, z = indexes.c, w = indexes.d;
      asm("vpermi2w %[with], %[without], %[x]\n\t"
          "vpermi2w %[with], %[without], %[y]\n\t"
          "vpermi2w %[with], %[without], %[z]\n\t"
          "vpermi2w %[with], %[without], %[w]\n\t"
          "vpaddw %[x], %[a], %[a]\n\t"
          "vpaddw %[y], %[b], %[b]\n\t"
          "vpaddw %[z], %[c], %[c]\n\t"
          "vpaddw %[w], %[d], %[d]"
          : [a] "+v"(a), [b] "+v"(b), [c] "+v"(c), [d] "+v"(d), [x] "+v"(x), [y] "+v"(y), [z] "+v"(z), [w] "+v"(w)
          : [without] "v"(table.without), [with] "v"(table.with));
    }
    // Has them in registers from here on.
    BITNET_INLINE void settle() { asm volatile("" : "+v"(a), "+v"(b), "+v"(c), "+v"(d)); }
  };

  // Adds the entries of `count` tables to the sums of four tokens.
  static BITNET_NOINLINE void add_entries(const S16 (*indexes)[kRowVectors], const Table (*tables)[kQuad], size_t count,
                                          ShortSums& sums) {
    Four s0(sums[0]), s1(sums[1]), s2(sums[2]), s3(sums[3]);
    for (size_t i = 0; i < count; ++i) {
      Four x(indexes[i]), first_two(&tables[i][0].without);
      x.settle();  // loads first: between the permutations they cost a tenth
      first_two.settle();
      s0.add(x, {first_two.a, first_two.b});
      s1.add(x, {first_two.c, first_two.d});
      Four last_two(&tables[i][2].without);
      last_two.settle();
      s2.add(x, {last_two.a, last_two.b});
      s3.add(x, {last_two.c, last_two.d});
    }
    s0.store_to(sums[0]);
    s1.store_to(sums[1]);
    s2.store_to(sums[2]);
    s3.store_to(sums[3]);
  }

  // Moves the short sums into the long ones.
  static void widen_sums(ShortSums& shorts, LongSums& longs) {
    for (size_t t = 0; t < kQuad; ++t) {
      for (size_t v = 0; v < kRowVectors; ++v) {
        const S32 both = (S32)shorts[t][v];
        longs[t][v][0] += both << 16 >> 16;
        longs[t][v][1] += both >> 16;
        shorts[t][v] = S16{};
      }
    }
  }

  // The largest sum that weights of a block can give.
  template <typename P>
  static int32_t largest_sum(const int8_t* q) {
    S32 sum = {};
    for (size_t i = 0; i < kBlockWeights<P>; i += kVectorBytes) {
      sum = dot_add(sum, (U8)_mm512_abs_epi8(load<__m512i>(q + i)), S8{} + 1);
    }
    return sums_of_lanes(sum, sum, sum, sum)[0];
  }

  // What the short sums of four tokens can be, at most.
  struct Largest {
    int32_t before = 0, block = 0;  // before the block; with what it can add
    bool widen_before(size_t part) const { return part == 0 ? before + block > kMostShort : block > kMostShort; }
    void next_block(int32_t next) {
      before = widen_before(0) ? block : before + block;
      block = next;
    }
  };

  // A run of rows times some tokens.
  template <typename P>
  class RegisterTablesRun {
   public:
    // Bytes of scratch for each tile of rows, and for all.
    static constexpr size_t tile_bytes(size_t quads) {
      return sizeof(Indexes<P>) + quads * (sizeof(ShortSums) + sizeof(LongSums));
    }
    static constexpr size_t kBytes = sizeof(Tables<P>);

    RegisterTablesRun(const TernaryProduct& p, size_t token, size_t count, size_t begin, size_t rows)
        : p_(p),
          token_(token),
          count_(count),
          quads_((count + kQuad - 1) / kQuad),
          begin_(begin),
          rows_(rows),
          tiles_((rows + kRowsOfTile - 1) / kRowsOfTile),
          tables_(*static_cast<Tables<P>*>(p.scratch)),
          indexes_(reinterpret_cast<Indexes<P>*>(&tables_ + 1)),
          shorts_(reinterpret_cast<ShortSums*>(indexes_ + tiles_)),
          longs_(reinterpret_cast<LongSums*>(shorts_ + tiles_ * quads_)) {}

    void run() {
      __builtin_memset(shorts_, 0, tiles_ * quads_ * (sizeof *shorts_ + sizeof *longs_));
      for (size_t block = 0; block < p_.blocks; ++block) {
        for (size_t part = 0; part < kBlockParts; ++part) {
          for (size_t tile = 0; tile < tiles_; ++tile) take_weights(tile, block, part);
          for (size_t quad = 0; quad < quads_; ++quad) {
            take_activations(quad, block, part);
            add_part(quad, block, part);
          }
        }
      }
      for (size_t quad = 0; quad < quads_; ++quad) {
        for (size_t tile = 0; tile < tiles_; ++tile) write(tile, quad);
      }
    }

   private:
    static constexpr size_t kVectorGroups = kVectorRows / kGroupRows;

    // Tokens beyond the last repeat it; nobody reads their sums.
    void take_activations(size_t quad, size_t block, size_t part) {
      int32_t largest = 0;
      for (size_t t = 0; t < kQuad; ++t) {
        const size_t within = quad * kQuad + t, token = token_ + (within < count_ ? within : count_ - 1);
        const int8_t* q = p_.activations + (token * p_.blocks + block) * kBlockWeights<P>;
        make_tables<P>(q, part, tables_, t);
        if (part > 0) continue;
        const int32_t sum = largest_sum<P>(q);
        if (sum > largest) largest = sum;
      }
      if (part == 0) largest_[quad].next_block(largest);
    }

    // Rows beyond the last group repeat it.
    const uint8_t* group_at(size_t tile, size_t i, size_t block) const {
      const size_t row = tile * kRowsOfTile + i * kGroupRows;
      return p_.weights +
             ((begin_ + (row < rows_ ? row : rows_ - 1)) / kGroupRows * p_.blocks + block) * kGroupRows * kBlockBytes;
    }

    void take_weights(size_t tile, size_t block, size_t part) {
      for (size_t v = 0; v < kRowVectors; ++v) {
        const uint8_t* groups[kVectorGroups];
        for (size_t i = 0; i < kVectorGroups; ++i) groups[i] = group_at(tile, v * kVectorGroups + i, block);
        make_indexes<P>(groups, part, indexes_[tile], v);
      }
    }

    // Asks for a share of the next block's weights of a tile: they lie too far apart for the processor to foresee, and
    // are wanted all at once. (Inlined, because GCC drops calls of a function that does nothing else.)
    BITNET_INLINE void prefetch(size_t tile, size_t quad, size_t block, size_t part) const {
      if (block + 1 == p_.blocks) return;
      constexpr size_t kGroups = kRowVectors * kVectorGroups;
      const size_t share = part * quads_ + quad, shares = kBlockParts * quads_;
      for (size_t i = kGroups * share / shares; i < kGroups * (share + 1) / shares; ++i) {
        const uint8_t* next = group_at(tile, i, block + 1);
        for (size_t r = 0; r < kGroupRows; ++r) __builtin_prefetch(next + r * kBlockBytes, 0, 2);
      }
    }

    void add_part(size_t quad, size_t block, size_t part) {
      const size_t lookups = part + 1 < kBlockParts ? kLookups<P> - 2 : kLookups<P>;
      const bool widen = largest_[quad].widen_before(part);
      for (size_t tile = 0; tile < tiles_; ++tile) {
        const size_t at = quad * tiles_ + tile;
        prefetch(tile, quad, block, part);
        if (widen) widen_sums(shorts_[at], longs_[at]);
        add_entries(indexes_[tile], tables_, lookups, shorts_[at]);
      }
    }

    void write(size_t tile, size_t quad) {
      const size_t at = quad * tiles_ + tile;
      widen_sums(shorts_[at], longs_[at]);
      for (size_t t = 0; t < kQuad && quad * kQuad + t < count_; ++t) {
        const size_t token = token_ + quad * kQuad + t;
        for (size_t i = 0; i < 2 * kRowVectors; ++i) {
          const size_t row = tile * kRowsOfTile + i * 16;
          if (row < rows_) write_rows(token, row, longs_[at][t][i / 2][i % 2]);
        }
      }
    }

    // Of 16 rows, those that there are.
    void write_rows(size_t token, size_t row, S32 sums) const {
      const auto rows = static_cast<__mmask16>(rows_ - row < 16 ? (1u << (rows_ - row)) - 1 : 0xffff);
      const F32 scales =
          p_.row_scales ? (F32)_mm512_maskz_loadu_ps(rows, p_.scales + begin_ + row) : F32{} + *p_.scales;
      const F32 values = __builtin_convertvector(sums, F32) * (scales * p_.steps[token]);
      _mm512_mask_storeu_ps(p_.out + token * p_.out_stride + begin_ + row, rows, (__m512)values);
    }

    const TernaryProduct& p_;
    const size_t token_, count_, quads_, begin_, rows_, tiles_;
    Tables<P>& tables_;
    Indexes<P>* const indexes_;  // [tile]
    ShortSums* const shorts_;    // [quad][tile]
    LongSums* const longs_;      // likewise
    Largest largest_[kQuads];
  };

  // As many tokens as are faster so; returns the first that is left. One or two that do not fill a quad are left, too,
  // but not fours of t5.
  template <typename P>
  static size_t multiply_many(const TernaryProduct& p) {
    using Run = RegisterTablesRun<P>;
    size_t token = 0;
    while (p.tokens - token >= P::kTuning.prepared) {
      size_t count = p.tokens - token < kQuads * kQuad ? p.tokens - token : kQuads * kQuad;
      if (count % kQuad < 3) count -= count % kQuad;
      const size_t most =
          (kTernaryScratchBytes - Run::kBytes) / Run::tile_bytes((count + kQuad - 1) / kQuad) * kRowsOfTile;
      // Runs of rows of about the same length.
      const size_t rows = p.row_end - p.row_begin, runs = (rows + most - 1) / most;
      const size_t length = ((rows + runs - 1) / runs + kRowsOfTile - 1) / kRowsOfTile * kRowsOfTile;
      for (size_t begin = p.row_begin; begin < p.row_end; begin += length) {
        const size_t left = p.row_end - begin;
        Run(p, token, count, begin, left < length ? left : length).run();
      }
      token += count;
    }
    if constexpr (P::kDigits == T5::kDigits) token = take_separated(p, token);
    return token;
  }
};

}  // namespace
}  // namespace bitnet
