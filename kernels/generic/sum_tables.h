// SPDX-License-Identifier: MIT
// Ternary products of many tokens by sum tables.
#pragma once

#include "generic/simd.h"
#include "generic/ternary.h"
#include "kernels.h"

namespace bitnet {
namespace {

// A tile is a few tokens side by side in 16-bit lanes. For the weights of one byte, a table holds, for each value that
// the byte can have, the sums of the activations so weighted, of all tokens of the tile. A row then costs one load and
// one addition a byte, and nothing is unpacked: the byte, made a dense code, is the table's index.
//
// The loads are what it costs, so that all else is arranged for the caches. A pass takes a few bytes of every row, as
// many as have tables that stay near; the codes of a block, which serve several tiles, lie in the order in which passes
// read them. The sums of all rows go through the cache in each pass, so they have 16 bits as long as the activations
// added so far cannot overflow them.

template <typename Simd>
struct SumTables : DotProducts<Simd> {
  using Base = DotProducts<Simd>;
  using Base::kTuning, Base::kVectorBytes, Base::settle;
  using typename Base::U8;

  static constexpr size_t kMostTokens = kTuning.tokens_at_a_time;  // whose tiles share codes

  template <size_t tokens>
  struct Tile {
    static constexpr size_t kBytes = tokens * sizeof(int16_t);
    static constexpr size_t kVector = kBytes < kVectorBytes ? kBytes : kVectorBytes;
    static constexpr size_t kVectors = kBytes / kVector;
    using Shorts = Vector<int16_t, kVector>;
    using Ints = Vector<int32_t, kVector>;
    struct Entry {
      Shorts v[kVectors];
      BITNET_INLINE Entry& operator+=(const Entry& x) {
        for (size_t i = 0; i < kVectors; ++i) v[i] += x.v[i];
        return *this;
      }
      BITNET_INLINE Entry& operator-=(const Entry& x) {
        for (size_t i = 0; i < kVectors; ++i) v[i] -= x.v[i];
        return *this;
      }
    };
  };

  // The code of each tuple of digits, the first digit changing slowest.
  template <typename P>
  struct Codes {
    static constexpr size_t kCount = P::kDigits == 4 ? 81 : 243;
    uint8_t code[kCount];
    constexpr Codes() : code() {
      for (size_t v = 0; v < kCount; ++v) code[v] = P::code_of(v);
    }
  };
  template <typename P>
  static constexpr Codes<P> kCodes = {};

  // table[code] = sum + the weighted activations a, for the tuples of their digits in `codes`, whose end is returned.
  // The last two digits have the same nine sums beneath each tuple of the others.
  template <size_t digits, typename Entry>
  static BITNET_INLINE const uint8_t* fill_nines(const Entry* a, Entry sum, const Entry* nine, const uint8_t* codes,
                                                 Entry* table) {
    if constexpr (digits == 2) {
#pragma GCC unroll 9
      for (size_t i = 0; i < 9; ++i) {
        Entry x = sum;
        x += nine[i];
        table[codes[i]] = x;
      }
      return codes + 9;
    } else {
      sum -= *a;
#pragma GCC unroll 1
      for (size_t d = 0; d < 3; ++d, sum += *a) {
        codes = fill_nines<digits - 1>(a + kBlockBytes, sum, nine, codes, table);
      }
      return codes;
    }
  }
  // The table of the activations a. A function of its own, so that it does not lack registers.
  template <typename P, typename Entry>
  static BITNET_NOINLINE void fill_table(const Entry* a, Entry* table) {
    const Entry* last = a + (P::kDigits - 2) * kBlockBytes;
    Entry nine[9], sum = {};
    sum -= last[0];
    sum -= last[kBlockBytes];
    for (size_t i = 0; i < 9; i += 3, sum += last[0]) {
      Entry x = sum;
      for (size_t j = 0; j < 3; ++j, x += last[kBlockBytes]) nine[i + j] = x;
    }
    fill_nines<P::kDigits>(a, Entry{}, nine, kCodes<P>.code, table);
  }

  // Copies eight tokens' worth of a block into eight lanes of the entries at `tile`, which are `stride` lanes apart.
  static BITNET_NOINLINE void transpose_tokens(const int8_t* const* tokens, size_t weights, int16_t* tile,
                                               size_t stride) {
    using Bytes = Vector<int8_t, 16>;
    for (size_t k = 0; k < weights; k += 16) {
      Bytes rows[8], shuffled[8];
      for (size_t t = 0; t < 8; ++t) rows[t] = load<Bytes>(tokens[t] + k);
      // Each of three perfect shuffles moves the top bit of a byte's place, a bit of its token, to the bottom.
      for (size_t round = 0; round < 3; ++round) {
        for (size_t i = 0; i < 4; ++i) {
          shuffled[2 * i] =
              __builtin_shufflevector(rows[i], rows[i + 4], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
          shuffled[2 * i + 1] = __builtin_shufflevector(rows[i], rows[i + 4], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13,
                                                        29, 14, 30, 15, 31);
        }
        for (size_t i = 0; i < 8; ++i) rows[i] = shuffled[i];
      }
      for (size_t i = 0; i < 8; ++i) {
        using Shorts = Vector<int16_t, 16>;
        const Shorts low =
            (Shorts)__builtin_shufflevector(rows[i], rows[i], 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7) >> 8;
        const Shorts high = (Shorts)__builtin_shufflevector(rows[i], rows[i], 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13,
                                                            13, 14, 14, 15, 15) >>
                            8;
        store(tile + (k + 2 * i) * stride, low);
        store(tile + (k + 2 * i + 1) * stride, high);
      }
    }
  }

  template <typename Entry>
  static bool overflows(const Entry& x, const Entry& y) {
    auto sum = x;
    sum += y;
    bool over = false;
    for (const auto& v : sum.v) {
      for (size_t j = 0; j < sizeof v / sizeof(int16_t); ++j) over |= v[j] < 0;
    }
    return over;
  }

  // Adds the table entries of one pass to the short sums of every row. A function of its own, with every entry added
  // before the next is looked up, because compilers take more registers than there are otherwise. The codes come four
  // at a time, as each load takes the place of a table's. `next` is asked for: weights of the rows' groups that lie too
  // far apart for the processor to foresee.
  template <typename P, size_t tokens, typename Entry = typename Tile<tokens>::Entry>
  static BITNET_NOINLINE void add_entries(const Entry (*tables)[P::kTable], const uint8_t* codes, size_t rows,
                                          const uint8_t* next, size_t group_stride, Entry* sums) {
    constexpr size_t kPass = P::pass(tokens);
    for (size_t group = 0; group < rows; group += kGroupRows, next += group_stride) {
      __builtin_prefetch(next);
      for (size_t row = group; row < group + kGroupRows; ++row) {
        Entry sum = sums[row];
#pragma GCC unroll 4
        for (size_t i = 0; i < kPass; i += 8, codes += 8) {
          uint32_t low = load<uint32_t>(codes), high = load<uint32_t>(codes + 4);
#pragma GCC unroll 4
          for (size_t j = i; j < i + 4; ++j, low >>= 8, high >>= 8) {
            sum += tables[j][low & 255];
            for (auto& v : sum.v) settle(v);
            sum += tables[j + 4][high & 255];
            for (auto& v : sum.v) settle(v);
          }
        }
        sums[row] = sum;
      }
    }
  }

  // A run of rows times some tokens.
  template <typename P, size_t tokens>
  class SumTablesRun {
    using T = Tile<tokens>;
    using Entry = typename T::Entry;
    using Ints = typename T::Ints;
    static constexpr size_t kPass = P::pass(tokens), kPasses = kBlockBytes / kPass;
    struct LongSums {
      Ints v[2 * T::kVectors];  // of each vector of tokens the even and the odd
    };
    struct Scratch {
      Entry activations[kBlockWeights<P>];  // of one block of a tile
      Entry tables[kPass][P::kTable];       // a byte that is no code finds some other sum, behind them if not in them
    };

   public:
    static constexpr size_t kTiles = kMostTokens / tokens;  // at a time
    // Bytes of scratch for each row, and for all.
    static constexpr size_t row_bytes(size_t tiles) { return kBlockBytes + tiles * (sizeof(Entry) + sizeof(LongSums)); }
    static constexpr size_t kBytes = sizeof(Scratch);

    SumTablesRun(const TernaryProduct& p, size_t token, size_t count, size_t begin, size_t rows)
        : p_(p),
          token_(token),
          count_(count),
          tiles_((count + tokens - 1) / tokens),
          begin_(begin),
          rows_(rows),
          padded_(padded_rows(rows)),
          scratch_(*static_cast<Scratch*>(p.scratch)),
          shorts_(reinterpret_cast<Entry*>(&scratch_ + 1)),
          longs_(reinterpret_cast<LongSums*>(shorts_ + tiles_ * padded_)),
          codes_(reinterpret_cast<uint8_t*>(longs_ + tiles_ * padded_)) {}

    void run() {
      __builtin_memset(shorts_, 0, tiles_ * padded_ * (sizeof *shorts_ + sizeof *longs_));
      for (size_t block = 0; block < p_.blocks; ++block) {
        load_codes(block);
        for (size_t tile = 0; tile < tiles_; ++tile) {
          load_activations(tile, block);
          for (size_t byte = 0; byte < kBlockBytes; byte += P::kRun) {
            make_room(tile, byte);
            for (size_t at = byte; at < byte + P::kRun; at += kPass) add_pass(tile, block, at);
          }
        }
      }
      for (size_t tile = 0; tile < tiles_; ++tile) {
        widen(tile);
        write(tile);
      }
    }

   private:
    const uint8_t* group_at(size_t row, size_t block) const {
      return p_.weights + ((begin_ + row) * p_.blocks + block * kGroupRows) * kBlockBytes;
    }

    void load_codes(size_t block) {
      for (size_t row = 0; row < rows_; row += kGroupRows) {
        const uint8_t* weights = group_at(row, block);
        for (size_t r = 0; r < kGroupRows; ++r) {
          uint8_t codes[kBlockBytes];
          for (size_t at = 0; at < kBlockBytes; at += kVectorBytes) {
            store(codes + at, P::codes(load<U8>(weights + r * kBlockBytes + at)));
          }
          for (size_t pass = 0; pass < kPasses; ++pass) {
            __builtin_memcpy(codes_ + (pass * padded_ + row + r) * kPass, codes + pass * kPass, kPass);
          }
        }
      }
    }

    // Of a lane of a tile. Lanes beyond the last token repeat it; nobody reads them.
    size_t token_of(size_t tile, size_t lane) const {
      const size_t i = tile * tokens + lane;
      return token_ + (i < count_ ? i : count_ - 1);
    }

    // Takes a block of a tile's activations.
    void load_activations(size_t tile, size_t block) {
      for (size_t first = 0; first < tokens; first += 8) {
        const int8_t* q[8];
        for (size_t t = 0; t < 8; ++t) {
          q[t] = p_.activations + (token_of(tile, first + t) * p_.blocks + block) * kBlockWeights<P>;
        }
        transpose_tokens(q, kBlockWeights<P>, (int16_t*)scratch_.activations + first, tokens);
      }
    }

    // For the sums of the bytes byte .. byte + P::kRun in the short ones.
    void make_room(size_t tile, size_t byte) {
      const Entry more = largest_sums(byte);
      if (overflows(largest_[tile], more)) widen(tile);
      largest_[tile] += more;
    }

    // For each token, the largest sum that weights of those bytes can give.
    Entry largest_sums(size_t byte) const {
      Entry largest = {};
      for (size_t i = 0; i < P::kDigits; ++i) {
        for (size_t j = byte; j < byte + P::kRun; ++j) {
          const Entry& a = scratch_.activations[kBlockBytes * i + j];
          for (size_t v = 0; v < T::kVectors; ++v) {
            const auto sign = a.v[v] >> 15;
            largest.v[v] += (a.v[v] ^ sign) - sign;
          }
        }
      }
      return largest;
    }

    // Moves the short sums into the long ones.
    void widen(size_t tile) {
      for (size_t row = tile * padded_; row < (tile + 1) * padded_; ++row) {
        for (size_t v = 0; v < T::kVectors; ++v) {
          const Ints both = (Ints)shorts_[row].v[v];
          longs_[row].v[2 * v] += both << 16 >> 16;
          longs_[row].v[2 * v + 1] += both >> 16;
        }
        shorts_[row] = {};
      }
      largest_[tile] = {};
    }

    // The passes over a block share the asking for the next one.
    void add_pass(size_t tile, size_t block, size_t byte) {
      for (size_t i = 0; i < kPass; ++i) fill_table<P>(scratch_.activations + byte + i, scratch_.tables[i]);
      const size_t pass = byte / kPass, line = (tile * kPasses + pass) * kGroupRows / (tiles_ * kPasses);
      add_entries<P, tokens>(scratch_.tables, codes_ + pass * padded_ * kPass, rows_,
                             group_at(0, (block + 1) % p_.blocks) + line * kBlockBytes,
                             p_.blocks * kGroupRows * kBlockBytes, shorts_ + tile * padded_);
    }

    void write(size_t tile) const {
      constexpr size_t kNear = 16;  // rows whose sums stay in the cache while the tokens take turns
      constexpr size_t kLanes = T::kVector / sizeof(int16_t);
      using Floats = Vector<float, T::kVector>;
      const size_t first = token_ + tile * tokens;
      const size_t count = count_ - tile * tokens < tokens ? count_ - tile * tokens : tokens;
      const auto place = [](size_t t) { return t / kLanes * kLanes + t % 2 * (kLanes / 2) + t % kLanes / 2; };
      float steps[tokens];
      for (size_t t = 0; t < tokens; ++t) steps[place(t)] = p_.steps[token_of(tile, t)];
      for (size_t near = 0; near < rows_; near += kNear) {
        const size_t rows = rows_ - near < kNear ? rows_ - near : kNear;
        float values[kNear][tokens];
        for (size_t r = 0; r < rows; ++r) {
          const float scale = p_.scales[p_.row_scales ? begin_ + near + r : 0];
          const LongSums& sums = longs_[tile * padded_ + near + r];
          for (size_t i = 0; i < 2 * T::kVectors; ++i) {
            const Floats step = load<Floats>(steps + i * kLanes / 2);
            store(values[r] + i * kLanes / 2, __builtin_convertvector(sums.v[i], Floats) * (scale * step));
          }
        }
        for (size_t t = 0; t < count; ++t) {
          float* out = p_.out + (first + t) * p_.out_stride + begin_ + near;
          for (size_t r = 0; r < rows; ++r) out[r] = values[r][place(t)];
        }
      }
    }

    const TernaryProduct& p_;
    const size_t token_, count_, tiles_, begin_, rows_, padded_;
    Scratch& scratch_;
    Entry* const shorts_;         // [tile][row]
    LongSums* const longs_;       // likewise
    uint8_t* const codes_;        // [pass][row][kPass] of one block
    Entry largest_[kTiles] = {};  // that the short sums can be
  };

  // Takes tiles of that width as long as they are worth it; returns the first token that is left.
  template <typename P, size_t tokens>
  static size_t take_tiles(const TernaryProduct& p, size_t token, size_t fewest) {
    using Run = SumTablesRun<P, tokens>;
    while (p.tokens - token >= fewest) {
      size_t count = p.tokens - token < kMostTokens ? p.tokens - token : kMostTokens;
      const size_t last = count % tokens;
      if (last < fewest && last < count) count -= last;
      const size_t row_bytes = Run::row_bytes((count + tokens - 1) / tokens);
      const size_t most = (kTernaryScratchBytes - Run::kBytes) / row_bytes / kGroupRows * kGroupRows;
      // Runs of rows of about the same length.
      const size_t rows = p.row_end - p.row_begin, runs = (rows + most - 1) / most;
      const size_t length = padded_rows((rows + runs - 1) / runs);
      for (size_t begin = p.row_begin; begin < p.row_end; begin += length) {
        const size_t rest = p.row_end - begin;
        Run(p, token, count, begin, rest < length ? rest : length).run();
      }
      token += count;
    }
    return token;
  }

  // As many tokens as are faster so; returns the first that is left.
  template <typename P>
  static size_t multiply_many(const TernaryProduct& p) {
    size_t t = take_tiles<P, 32>(p, 0, P::kTuning.tiles_of_32);
    t = take_tiles<P, 16>(p, t, P::kTuning.tiles_of_16);
    return take_tiles<P, 8>(p, t, P::kTuning.prepared);
  }
};

}  // namespace
}  // namespace bitnet
