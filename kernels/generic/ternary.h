// SPDX-License-Identifier: MIT
// Ternary products of few tokens by dot products.
#pragma once

#include <type_traits>

#include "generic/simd.h"
#include "generic/tuning.h"
#include "kernels.h"

namespace bitnet {
namespace {

template <typename P>
constexpr size_t kBlockWeights = P::kDigits* kBlockBytes;

template <typename Simd>
struct DotProducts : Simd {
  using Simd::dot_add, Simd::kLanes, Simd::kQuads, Simd::kTuning, Simd::kVectorBytes, Simd::settle, Simd::third_of,
      Simd::total;
  using typename Simd::Partial, typename Simd::S16, typename Simd::S32, typename Simd::S8, typename Simd::U16,
      typename Simd::U32, typename Simd::U8;

  // What differs between the packings. digits<i>: weight i of each byte, plus one; in turn, from 0.
  struct I2 {
    static constexpr TernaryTuning kTuning = Simd::kTuning.i2;
    static constexpr size_t kDigits = weights_per_byte(Packing::i2);
    struct Unpacker {
      U8 bytes;
      BITNET_INLINE explicit Unpacker(U8 packed) : bytes(packed) {}
      template <size_t i>
      BITNET_INLINE U8 digits() const {
        return (U8)((U16)bytes >> 2 * i) & 3;
      }
    };
    // Where an instruction multiplies any bytes. The second and the fourth digit stay where they are, four times as
    // large, and are summed in b.
    static BITNET_INLINE void add_whole(const U8 (&packed)[kGroupRows], const int8_t* q, S32* a, S32* b) {
      for (size_t r = 0; r < kGroupRows; ++r) {
        const U8 high = (U8)((U16)packed[r] >> 4);
        a[r] = dot_add(a[r], packed[r] & 3, load<S8>(q));
        b[r] = dot_add(b[r], packed[r] & 12, load<S8>(q + kBlockBytes));
        a[r] = dot_add(a[r], high & 3, load<S8>(q + 2 * kBlockBytes));
        b[r] = dot_add(b[r], high & 12, load<S8>(q + 3 * kBlockBytes));
      }
    }
    static BITNET_INLINE S32 whole_total(S32 a, S32 b) { return a + (b >> 2); }
    // Dense codes for sum tables: the digits' value in base 3, the first being the lowest.
    static BITNET_INLINE U8 codes(U8 bytes) {
      const U8 pairs = bytes - ((U8)((U16)bytes >> 2) & 0x33);  // d0 + 3 d1 | (d2 + 3 d3) << 4
      const U8 low = pairs & 15, high = (U8)((U16)pairs >> 4) & 15;
      return low + (U8)((U16)high << 3) + high;
    }
    // The code of the digits of v, the first being the highest.
    static constexpr uint8_t code_of(size_t v) {
      return static_cast<uint8_t>(v / 27 + v / 9 % 3 * 3 + v / 3 % 3 * 9 + v % 3 * 27);
    }
    static constexpr size_t kTable = 81;
    // Bytes of a row to a pass, as many as have tables that stay near: as measured.
    static constexpr size_t pass(size_t tokens) { return 256 / tokens; }
    static constexpr size_t kRun = 64;  // bytes whose sums fit 16 bits: 64 * 4 * 127 < 2^15
  };

  // Each digit in turn, by comparing and tripling.
  struct TriplingUnpacker {
    U8 bytes;
    BITNET_INLINE explicit TriplingUnpacker(U8 packed) : bytes(packed ^ 0x80) {}
    template <size_t i>
    BITNET_INLINE U8 digits() {
      const U8 digits = third_of((S8)bytes);
      bytes += bytes + bytes;  // tripling keeps the flipped bit: 3 * 128 = 128 modulo 256
      return digits;
    }
  };
  // The last four digits by lookup, the first by comparing.
  struct LookupUnpacker {
    U8 first;
    typename I2::Unpacker rest;
    BITNET_INLINE explicit LookupUnpacker(U8 packed)
        : first(third_of((S8)(packed ^ 0x80))), rest(Simd::last_four(packed)) {}
    template <size_t i>
    BITNET_INLINE U8 digits() const {
      if constexpr (i == 0) {
        return first;
      } else {
        return rest.template digits<i - 1>();
      }
    }
  };

  struct T5 {
    static constexpr TernaryTuning kTuning = Simd::kTuning.t5;
    static constexpr size_t kDigits = weights_per_byte(Packing::t5);
    using Unpacker = std::conditional_t<Simd::kHasLastFour, LookupUnpacker, TriplingUnpacker>;
    // Likewise. With r(0) = byte and r(i + 1) = 3 r(i) modulo 256, digit i is (3 r(i) - r(i + 1)) / 256. So if a sums
    // r(i) q(i) and b sums r(i + 1) q(i), over all i and bytes, the products of the digits are (3 a - b) / 256. Both
    // sums may overflow, but not the difference of at most kBlocks below.
    static BITNET_INLINE void add_whole(const U8 (&packed)[kGroupRows], const int8_t* q, S32* a, S32* b) {
      U8 rest[] = {packed[0], packed[1], packed[2], packed[3]};
#pragma GCC unroll 5
      for (size_t i = 0; i < kDigits; ++i) {
        const S8 x = load<S8>(q + i * kBlockBytes);
        for (size_t r = 0; r < kGroupRows; ++r) {
          a[r] = dot_add(a[r], rest[r], x);
          rest[r] = tripled(rest[r]);
          b[r] = dot_add(b[r], rest[r], x);
        }
      }
    }
    static BITNET_INLINE U8 tripled(U8 x) {
      U8 twice = x + x;
      // So that clang does not find a product of bytes, for which there is no instruction, and g++ keeps the order of
      // add_whole, in which all vectors fit the registers.
      settle(twice);
      return twice + x;
    }
    static BITNET_INLINE S32 whole_total(S32 a, S32 b) { return (S32)(3 * (U32)a - (U32)b) >> 8; }
    static BITNET_INLINE U8 codes(U8 bytes) { return bytes; }  // dense enough
    static constexpr uint8_t code_of(size_t v) { return static_cast<uint8_t>((256 * v + 242) / 243); }
    static constexpr size_t kTable = 256;
    static constexpr size_t pass(size_t) { return 8; }
    static constexpr size_t kRun = 32;  // 32 * 5 * 127 < 2^15
  };

  // Stores digits<i> and all that follow, `stride` bytes apart.
  template <typename P, size_t i = 0>
  static BITNET_INLINE void store_digits(typename P::Unpacker& bytes, uint8_t* to, size_t stride) {
    store(to, bytes.template digits<i>());
    if constexpr (i + 1 < P::kDigits) store_digits<P, i + 1>(bytes, to + stride, stride);
  }

  // The sum of a token's activations: what the digits, which are the weights + 1, add to every row.
  template <typename P>
  static int32_t sum_of_activations(const int8_t* q, size_t blocks) {
    S32 sum = {};
    for (size_t block = 0; block < blocks; ++block, q += kBlockWeights<P>) {
      Partial partial = {};
      for (size_t i = 0; i < kBlockWeights<P>; i += kVectorBytes) partial = dot_add(partial, U8{} + 1, load<S8>(q + i));
      sum += total(partial);
    }
    return sums_of_lanes(sum, sum, sum, sum)[0];
  }

  // Adds the products of digits<i> and all that follow.
  template <typename P, size_t n, size_t i = 0>
  static BITNET_INLINE void add_products(typename P::Unpacker* bytes, const int8_t* q, size_t stride,
                                         Partial (*sums)[n]) {
    S8 a[n];
    for (size_t t = 0; t < n; ++t) a[t] = load<S8>(q + t * stride + i * kBlockBytes);
    for (size_t r = 0; r < kGroupRows; ++r) {
      const U8 digits = bytes[r].template digits<i>();
      for (size_t t = 0; t < n; ++t) sums[r][t] = dot_add(sums[r][t], digits, a[t]);
    }
    if constexpr (i + 1 < P::kDigits) add_products<P, n, i + 1>(bytes, q, stride, sums);
  }

  // Whether the digits of one token are multiplied where they are: separating them would cost more than that.
  template <size_t n>
  static constexpr bool kWhole = n == 1 && kQuads == Quads::of_unsigned;

  // What four rows have gathered of `n` tokens.
  template <typename P, size_t n, bool whole = kWhole<n>>
  class GroupSums {
   public:
    // A Partial with 16-bit lanes takes 64 dot_adds of at most 508, and then has to be widened; 32 bits hold rows of
    // 2^31 / 254 weights.
    static constexpr size_t kBlocks =
        sizeof(Partial{}[0]) < sizeof(int32_t) ? 64 * kVectorBytes / kBlockWeights<P> : SIZE_MAX;

    BITNET_INLINE void add(const U8 (&packed)[kGroupRows], const int8_t* q, size_t stride) {
      using Unpacker = typename P::Unpacker;
      Unpacker bytes[] = {Unpacker(packed[0]), Unpacker(packed[1]), Unpacker(packed[2]), Unpacker(packed[3])};
      add_products<P, n>(bytes, q, stride, partial_);
    }
    BITNET_INLINE void widen() {
      for (size_t r = 0; r < kGroupRows; ++r) {
        for (size_t t = 0; t < n; ++t) {
          sums_[r][t] += total(partial_[r][t]);
          partial_[r][t] = Partial{};
        }
      }
    }
    // Of token t, once widened.
    BITNET_INLINE Quad rows(size_t t) const {
      return sums_of_lanes(sums_[0][t], sums_[1][t], sums_[2][t], sums_[3][t]);
    }

   private:
    Partial partial_[kGroupRows][n] = {};
    S32 sums_[kGroupRows][n] = {};
  };

  template <typename P, size_t n>
  class GroupSums<P, n, true> {
   public:
    // A product of a digit is at most 254, and t5 has it times 256.
    static constexpr size_t kBlocks = (size_t{1} << 31) / (254 * 256) * kLanes / kBlockWeights<P>;

    BITNET_INLINE void add(const U8 (&packed)[kGroupRows], const int8_t* q, size_t) { P::add_whole(packed, q, a_, b_); }
    BITNET_INLINE void widen() {
      for (size_t r = 0; r < kGroupRows; ++r) {
        sums_[r] += P::whole_total(a_[r], b_[r]);
        a_[r] = b_[r] = S32{};
      }
    }
    BITNET_INLINE Quad rows(size_t) const { return sums_of_lanes(sums_[0], sums_[1], sums_[2], sums_[3]); }

   private:
    S32 a_[kGroupRows] = {}, b_[kGroupRows] = {}, sums_[kGroupRows] = {};
  };

  static BITNET_INLINE void write_rows(const TernaryProduct& p, size_t token, size_t row, Quad sums) {
    using Floats = Vector<float, 16>;
    const Floats values = __builtin_convertvector(sums, Floats);
    float* const out = p.out + token * p.out_stride + row;
    const float step = p.steps[token], *const scales = p.scales + (p.row_scales ? row : 0);
    if (row + kGroupRows <= p.row_end) {
      const Floats four = p.row_scales ? load<Floats>(scales) : Floats{*scales, *scales, *scales, *scales};
      store(out, values * (four * step));
    } else {
      for (size_t r = 0; row + r < p.row_end; ++r) out[r] = values[r] * (scales[p.row_scales ? r : 0] * step);
    }
  }

  // All rows times `n` tokens, four rows at a time, reading the weights strictly forward. Where there are several
  // passes, for other tokens each, only the first waits for memory: all fetch their share of as many rows behind these,
  // if they are few enough to stay in the second-level cache.
  template <typename P, size_t n>
  static void dot_products(const TernaryProduct& p, size_t token, size_t pass = 0, size_t passes = 1) {
    constexpr size_t kPage = 4096, kFetched = 512;                      // bytes
    constexpr size_t kMiddle = kPage / 2 / (kGroupRows * kBlockBytes);  // of a page, in blocks of a group
    using Sums = GroupSums<P, n>;
    const size_t stride = p.blocks * kBlockWeights<P>;
    const int8_t* activations = p.activations + token * stride;
    int32_t bias[n];
    for (size_t t = 0; t < n; ++t) bias[t] = sum_of_activations<P>(activations + t * stride, p.blocks);
    constexpr size_t kMostBehind = size_t{1} << 18;
    const size_t behind = (p.row_end - p.row_begin) * p.blocks * kBlockBytes;
    const size_t share = passes > 1 && behind <= kMostBehind ? pass : kGroupRows;

    for (size_t group = p.row_begin; group < p.row_end; group += kGroupRows) {
      const uint8_t* weights = p.weights + group * p.blocks * kBlockBytes;
      Sums sums;
      for (size_t block = 0; block < p.blocks; ++block, weights += kGroupRows * kBlockBytes) {
        // The processor's own prefetching (Zen 4's) keeps ahead best alone, but stops at the ends of pages: in the
        // middle of a page the beginning of the next one is fetched. What lies behind the weights is not read.
        if (reinterpret_cast<uintptr_t>(weights) % kPage / (kGroupRows * kBlockBytes) == kMiddle) {
          for (size_t i = 0; i < kFetched; i += kBlockBytes) __builtin_prefetch(weights + kPage / 2 + i, 0, 2);
        }
        for (size_t r = share; r < kGroupRows; r += passes)
          __builtin_prefetch(weights + behind + r * kBlockBytes, 0, 2);
        for (size_t at = 0; at < kBlockBytes; at += kVectorBytes) {
          const U8 packed[] = {load<U8>(weights + at), load<U8>(weights + kBlockBytes + at),
                               load<U8>(weights + 2 * kBlockBytes + at), load<U8>(weights + 3 * kBlockBytes + at)};
          sums.add(packed, activations + block * kBlockWeights<P> + at, stride);
        }
        if (block % Sums::kBlocks == Sums::kBlocks - 1) sums.widen();
      }
      sums.widen();
#pragma GCC unroll 4  // so that the sums stay in registers
      for (size_t t = 0; t < n; ++t) write_rows(p, token + t, group, sums.rows(t) - bias[t]);
    }
  }
};

}  // namespace
}  // namespace bitnet
