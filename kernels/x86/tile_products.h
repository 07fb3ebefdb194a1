// SPDX-License-Identifier: MIT
// Ternary products of many tokens by products of tiles: of class Tiles, which is Intel AMX.
#pragma once

#include "generic/simd.h"
#include "generic/ternary.h"
#include "kernels.h"

namespace bitnet {
namespace {

// One instruction multiplies 16 rows by 16 tokens over 64 columns, 16 times what a dot product does. Its first operand
// is a tile of weights: 64 digits of each row, as they fall out of a block. The second is a tile of activations, in
// which each row holds a word, four columns, of every token; all are so rearranged once, for all rows.
//
// A core begins such a product every 16 cycles and ends it after 52, so that four sums take turns: of two tiles of rows
// and two of tokens or, of few tokens, of four and one. Weights are unpacked a piece at a time, small enough to stay in
// the first-level cache while activations pass it by on their way from the second. While all tokens are multiplied by a
// piece, the next one is unpacked and what other rows have gathered is written, a few vectors after each four products,
// which leave the vector units idle. Between pieces sums wait in memory.

template <typename Simd>
struct TileProducts : DotProducts<Simd> {
  using Base = DotProducts<Simd>;
  using Base::kTuning, Base::kVectorBytes;
  using typename Base::U8;
  using Tiles = typename Simd::Tiles;

  static constexpr size_t kSide = 16;  // rows and tokens of a tile
  static constexpr size_t kTileBytes = kSide * kBlockBytes;
  static constexpr size_t kPieceColumns = 768;  // at most; of a row
  static constexpr size_t kTokensAtATime = kTuning.tokens_at_a_time;
  using Words = Vector<int32_t, 64>;
  using TileFloats = Vector<float, 64>;

  // Value j of x[i] to place i of x[j]. Each round moves the top bit of a value's place, one of its vector's number, to
  // the bottom.
  template <typename V>
  static BITNET_INLINE void transpose_tile(V (&x)[kSide]) {
#pragma GCC unroll 4
    for (size_t round = 0; round < 4; ++round) {
      V shuffled[kSide];
#pragma GCC unroll 8
      for (size_t i = 0; i < kSide / 2; ++i) {
        shuffled[2 * i] =
            __builtin_shufflevector(x[i], x[i + kSide / 2], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        shuffled[2 * i + 1] = __builtin_shufflevector(x[i], x[i + kSide / 2], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13,
                                                      29, 14, 30, 15, 31);
      }
#pragma GCC unroll 16
      for (size_t i = 0; i < kSide; ++i) x[i] = shuffled[i];
    }
  }

  // All rows times some tokens: row_tiles tiles of rows and 4 / row_tiles tiles of tokens, a set, at a time.
  template <typename P, size_t row_tiles>
  class TileRun {
    static constexpr size_t kTokenTiles = 4 / row_tiles;
    static constexpr size_t kRows = row_tiles * kSide, kTokens = kTokenTiles * kSide, kGroups = kRows / kGroupRows;
    static constexpr size_t kMostSets = kTokensAtATime / kTokens;
    static constexpr size_t kMostBlocks = row_tiles == 2 ? kPieceColumns / kBlockWeights<P> : 1;  // of a piece

    using ActivationTiles = int8_t[kTokenTiles][kTileBytes];
    using WeightTiles = uint8_t[row_tiles][kTileBytes];
    using Piece = WeightTiles[kMostBlocks * P::kDigits];
    static constexpr size_t kSums = row_tiles * kTokenTiles;
    using Sums = int32_t[kSums][kSide][kSide];  // the tokens of a tile change fastest; of tiles, those of tokens
    struct Scratch {
      Piece pieces[2];
      Sums sums[kMostSets];
      int32_t biases[kMostSets][kTokenTiles][kSide];
      float steps[kMostSets][kTokenTiles][kSide];
    };

    // Which blocks of which rows a piece has.
    struct Part {
      size_t row, begin, end;
    };

    // Fills a piece, a block of four rows at a time, and fetches what will be unpacked after it.
    class Unpacking {
     public:
      Unpacking(const TernaryProduct& p, const Part& part, const Part& next, Piece& piece)
          : p_(p),
            part_(part),
            ahead_((next.row * p.blocks + next.begin * kGroupRows - part.row * p.blocks - part.begin * kGroupRows) *
                   kBlockBytes),
            piece_(piece) {
        begin_group();
      }

      // What falls to one of `times` calls.
      BITNET_INLINE void go_on(size_t times) {
        for (due_ += kGroups * (part_.end - part_.begin); due_ >= times; due_ -= times) unpack();
      }

     private:
      // There may be fewer groups; what comes of the last one again is not used.
      void begin_group() {
        const size_t last = (p_.row_end - 1) / kGroupRows, group = part_.row / kGroupRows + group_;
        from_ = p_.weights + ((group < last ? group : last) * p_.blocks + part_.begin) * kGroupRows * kBlockBytes;
        to_ = reinterpret_cast<uint8_t*>(piece_) + group_ * kGroupRows * kBlockBytes;
        block_ = part_.begin;
      }
      BITNET_INLINE void unpack() {
        for (size_t row = 0; row < kGroupRows; ++row, from_ += kBlockBytes, to_ += kBlockBytes) {
          __builtin_prefetch(from_ + ahead_);
          for (size_t at = 0; at < kBlockBytes; at += kVectorBytes) {
            typename P::Unpacker bytes(load<U8>(from_ + at));
            Base::template store_digits<P>(bytes, to_ + at, sizeof(WeightTiles));
          }
        }
        to_ += P::kDigits * sizeof(WeightTiles) - kGroupRows * kBlockBytes;
        if (++block_ < part_.end) return;
        ++group_;
        begin_group();
      }

      const TernaryProduct& p_;
      const Part part_;
      const size_t ahead_;
      Piece& piece_;
      size_t group_ = 0, block_ = 0, due_ = 0;
      const uint8_t* from_;
      uint8_t* to_;
    };

   public:
    // Tokens at a time for rows of `blocks` blocks.
    static constexpr size_t most_tokens(size_t blocks) {
      const size_t sets = (kTernaryScratchBytes - sizeof(Scratch)) / (blocks * P::kDigits * sizeof(ActivationTiles));
      return (sets < kMostSets ? sets : kMostSets) * kTokens;
    }

    TileRun(const TernaryProduct& p, size_t token, size_t tokens)
        : p_(p),
          token_(token),
          tokens_(tokens),
          sets_((tokens + kTokens - 1) / kTokens),
          steps_(p.blocks * P::kDigits),
          scratch_(*static_cast<Scratch*>(p.scratch)),
          activations_(reinterpret_cast<ActivationTiles*>(&scratch_ + 1)) {}

    void run() {
      arrange_activations();
      const size_t parts = (p_.blocks + kMostBlocks - 1) / kMostBlocks;  // of a row
      const size_t count = (p_.row_end - p_.row_begin + kRows - 1) / kRows * parts;
      const auto part = [&](size_t i) {
        i = i < count ? i : count - 1;
        return Part{p_.row_begin + i / parts * kRows, p_.blocks * (i % parts) / parts,
                    p_.blocks * (i % parts + 1) / parts};
      };
      Unpacking(p_, part(0), part(1), scratch_.pieces[0]).go_on(1);
      for (size_t i = 0; i < count; ++i) {
        Unpacking next(p_, part(i + 1), part(i + 2), scratch_.pieces[(i + 1) % 2]);
        for (size_t set = 0; set < sets_; ++set) multiply(part(i), scratch_.pieces[i % 2], set, next);
      }
      for (size_t set = 0; set < sets_; ++set) {
        for (size_t sum = 0; sum < kSums; ++sum) write(part(count - 1).row, set, sum);
      }
    }

   private:
    // Of a tile of a set. Those beyond the last token repeat it; nobody reads them.
    size_t token_of(size_t set, size_t tile, size_t lane) const {
      const size_t i = set * kTokens + tile * kSide + lane;
      return token_ + (i < tokens_ ? i : tokens_ - 1);
    }

    void arrange_activations() {
      const size_t stride = p_.blocks * kBlockWeights<P>;
      for (size_t set = 0; set < sets_; ++set) {
        for (size_t tile = 0; tile < kTokenTiles; ++tile) {
          for (size_t lane = 0; lane < kSide; ++lane) {
            const size_t token = token_of(set, tile, lane);
            scratch_.biases[set][tile][lane] =
                -Base::template sum_of_activations<P>(p_.activations + token * stride, p_.blocks);
            scratch_.steps[set][tile][lane] = p_.steps[token];
          }
          for (size_t step = 0; step < steps_; ++step) {
            Words words[kSide];
            for (size_t lane = 0; lane < kSide; ++lane) {
              words[lane] = load<Words>(p_.activations + token_of(set, tile, lane) * stride + step * kBlockBytes);
            }
            transpose_tile(words);
            int8_t* const to = activations_[set * steps_ + step][tile];
            for (size_t k = 0; k < kSide; ++k) store(to + k * kBlockBytes, words[k]);
          }
        }
      }
    }

    // Adds the products of a part of the rows to the sums of a set of tokens. Meanwhile the next part is unpacked, and
    // what the set has gathered with the rows before these is written.
    void multiply(const Part& part, const Piece& piece, size_t set, Unpacking& next) {
      Sums& sums = scratch_.sums[set];
      if (part.begin == 0) {
        const auto& biases = scratch_.biases[set];
        tiles_.template load<0>(biases[0], 0);
        tiles_.template load<1>(biases[1 % kTokenTiles], 0);
        tiles_.template load<2>(biases[2 % kTokenTiles], 0);
        tiles_.template load<3>(biases[3 % kTokenTiles], 0);
      } else if (sets_ > 1) {
        tiles_.template load<0>(sums[0], kBlockBytes);
        tiles_.template load<1>(sums[1], kBlockBytes);
        tiles_.template load<2>(sums[2], kBlockBytes);
        tiles_.template load<3>(sums[3], kBlockBytes);
      }
      const ActivationTiles* q = activations_ + set * steps_ + part.begin * P::kDigits;
      const size_t steps = (part.end - part.begin) * P::kDigits;
      const size_t written_every = steps / kSums;
      const size_t fetched = (kTokens + steps - 1) / steps;  // tokens whose outputs are asked for in a step
      const bool is_first = part.begin == 0 && part.row > p_.row_begin, is_last = part.end == p_.blocks;
      for (size_t step = 0; step < steps; ++step, ++q) {
        add_products(piece[step], *q);
        next.go_on(sets_ * steps);
        if (is_last) fetch_output(part.row, set, step * fetched, fetched);
        if (is_first && step % written_every == 0 && step / written_every < kSums) {
          write(part.row - kRows, set, step / written_every);
        }
      }
      if (sets_ == 1 && !is_last) return;
      tiles_.template store<0>(sums[0], kBlockBytes);
      tiles_.template store<1>(sums[1], kBlockBytes);
      tiles_.template store<2>(sums[2], kBlockBytes);
      tiles_.template store<3>(sums[3], kBlockBytes);
    }

    BITNET_INLINE void add_products(const WeightTiles& weights, const ActivationTiles& q) {
      if constexpr (row_tiles == 2) {
        tiles_.template load<4>(weights[0], kBlockBytes);
        tiles_.template load_passing<6>(q[0], kBlockBytes);
        tiles_.template multiply<0, 4, 6>();
        tiles_.template load_passing<7>(q[1], kBlockBytes);
        tiles_.template multiply<1, 4, 7>();
        tiles_.template load<5>(weights[1], kBlockBytes);
        tiles_.template multiply<2, 5, 6>();
        tiles_.template multiply<3, 5, 7>();
      } else {
        tiles_.template load_passing<7>(q[0], kBlockBytes);
        tiles_.template load<4>(weights[0], kBlockBytes);
        tiles_.template multiply<0, 4, 7>();
        tiles_.template load<5>(weights[1], kBlockBytes);
        tiles_.template multiply<1, 5, 7>();
        tiles_.template load<6>(weights[2], kBlockBytes);
        tiles_.template multiply<2, 6, 7>();
        tiles_.template load<4>(weights[3], kBlockBytes);
        tiles_.template multiply<3, 4, 7>();
      }
    }

    // Asks for where the sums of the rows from `row` on will be written, of some lanes of a set.
    BITNET_INLINE void fetch_output(size_t row, size_t set, size_t lane, size_t count) const {
      for (size_t i = set * kTokens + lane; count > 0 && i < tokens_; ++i, --count) {
        const float* const out = p_.out + (token_ + i) * p_.out_stride + row;
        for (size_t r = 0; r < kRows; r += kSide) __builtin_prefetch(out + r, 1);
      }
    }

    // A tile of what a set has gathered with the rows from `row` on.
    BITNET_INLINE void write(size_t row, size_t set, size_t sum) const {
      const size_t tile = sum % kTokenTiles, first = set * kTokens + tile * kSide;
      row += sum / kTokenTiles * kSide;
      if (row >= p_.row_end) return;
      const size_t rows = p_.row_end - row < kSide ? p_.row_end - row : kSide;
      const TileFloats steps = load<TileFloats>(scratch_.steps[set][tile]);
      TileFloats values[kSide];
      for (size_t r = 0; r < kSide; ++r) {
        const float scale = p_.scales[p_.row_scales ? row + (r < rows ? r : 0) : 0];
        const Words sums = load<Words>(scratch_.sums[set][sum][r]);
        values[r] = __builtin_convertvector(sums, TileFloats) * (scale * steps);
      }
      transpose_tile(values);
      for (size_t lane = 0; lane < kSide && first + lane < tokens_; ++lane) {
        float* const out = p_.out + (token_ + first + lane) * p_.out_stride + row;
        if (rows == kSide) {
          store(out, values[lane]);
        } else {
          __builtin_memcpy(out, &values[lane], rows * sizeof(float));
        }
      }
    }

    const TernaryProduct& p_;
    const size_t token_, tokens_, sets_, steps_;
    Scratch& scratch_;
    ActivationTiles* const activations_;  // [set][step]
    Tiles tiles_;
  };

  // As many tokens as are faster so; returns the first that is left.
  template <typename P>
  static size_t multiply_many(const TernaryProduct& p) {
    size_t token = 0;
    const auto take = [&]<size_t row_tiles>(size_t fewest) {
      using Run = TileRun<P, row_tiles>;
      const size_t most = Run::most_tokens(p.blocks);
      while (most > 0 && p.tokens - token >= fewest) {
        const size_t tokens = p.tokens - token < most ? p.tokens - token : most;
        Run(p, token, tokens).run();
        token += tokens;
      }
    };
    take.template operator()<2>(kSide + 1);
    take.template operator()<4>(P::kTuning.prepared);
    return token;
  }
};

}  // namespace
}  // namespace bitnet
