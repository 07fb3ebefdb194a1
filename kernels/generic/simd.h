// SPDX-License-Identifier: MIT
// Vectors, and what the kernels need of an instruction set beyond the vector extensions of GCC and Clang.
//
// The headers of this folder are compiled once for each instruction set. Everything in them, and in those of
// instruction sets, is in an anonymous namespace, and nothing of the standard library is called: the linker would keep
// one copy of a function that several sets share, perhaps the one with instructions that the CPU lacks.
#pragma once

#include <cstddef>
#include <cstdint>

#define BITNET_INLINED __attribute__((always_inline))  // of lambdas
#define BITNET_INLINE inline BITNET_INLINED
#define BITNET_NOINLINE __attribute__((noinline))

namespace bitnet {
namespace {

template <typename T, size_t bytes>
using Vector __attribute__((vector_size(bytes))) = T;

template <typename V>
BITNET_INLINE V load(const void* p) {
  V v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
template <typename V>
BITNET_INLINE void store(void* p, V v) {
  __builtin_memcpy(p, &v, sizeof v);
}

// Which bytes an instruction multiplies with int8 values, four products to a lane: digits alone, any unsigned ones, or
// any signed ones.
enum class Quads { of_digits, of_unsigned, of_signed };

// An instruction set is a struct that derives from Vectors<itself, bytes of a vector> or from the set that it extends.
// It has
//
//   kTuning               tuning.h
//   kQuads                which bytes dot_add multiplies; of_digits if it has no such instruction
//   widen(p)              int8 values as int16
//   narrow(x, p)          int32 values that int8 can hold, as int8
//   multiply_pairs(a, b)  a0 * b0 + a1 * b1 of neighbouring int16 lanes
//   Partial               S16 or S32: sums of products, not yet in 32-bit lanes or already
//   dot_add(s, d, q)      s + the products of the digits 0 .. 2 in d and the int8 values in q, several to a lane: where
//                         Partial has 16-bit lanes, at most 2 * 2 * 127 of them a call
//   total(s)              a Partial in 32-bit lanes
//   dot_quads(s, d, q)    s + the products of the four values 0 .. 63 in each lane of d and the four int8 values in q
//   bytes_to_int(p)       int8 values as int32
//   half_to_float(p)      binary16 values as floats
//   float_to_half(x, p)   and back, to nearest even
//   settle(v)             has v computed, and in a register, before what follows
//
// and in place of those below what it can do better. What a set redefines, functions of the set that it extends do not
// see: it redefines these as well.
template <typename Set, size_t bytes>
struct Vectors {
  static constexpr size_t kVectorBytes = bytes;
  static constexpr size_t kLanes = bytes / sizeof(float);
  using U8 = Vector<uint8_t, bytes>;
  using S8 = Vector<int8_t, bytes>;
  using U16 = Vector<uint16_t, bytes>;
  using S16 = Vector<int16_t, bytes>;
  using U32 = Vector<uint32_t, bytes>;
  using S32 = Vector<int32_t, bytes>;
  using S64 = Vector<int64_t, bytes>;
  using F32 = Vector<float, bytes>;

  // s + multiply_pairs(a, b), modulo 2^32, as a saved session may hold any codes.
  static BITNET_INLINE S32 dot_pairs(S32 s, S16 a, S16 b) { return (S32)((U32)s + (U32)Set::multiply_pairs(a, b)); }
  // Likewise s + multiply_pairs(a, the two int16 values at p in every lane).
  static BITNET_INLINE S32 add_pairs(S32 s, S16 a, const uint32_t* p) { return dot_pairs(s, a, (S16)(U32{} + *p)); }
  // Unless kQuads is of_digits: s + the products of the four bytes in each lane of c and the four int8 values at p.
  static BITNET_INLINE S32 add_quads(S32 s, U8 c, const uint32_t* p) { return Set::dot_add(s, c, (S8)(U32{} + *p)); }
  // Whether dot_add, too, sums the products of a 32-bit lane in that lane.
  static constexpr bool kAddsNeighbours = true;
  // The four values at p in every lane.
  static BITNET_INLINE S8 broadcast_quad(const int8_t* p) { return (S8)(S32{} + load<int32_t>(p)); }
  // q = 256 * upper + lower, both in the range of int8.
  static BITNET_INLINE void split(S32 q, int8_t* upper, int8_t* lower) {
    const S32 low = q << 24 >> 24;
    Set::narrow(low, lower);
    Set::narrow((q - low) >> 8, upper);
  }
  // s + a * b, of products that a float holds exactly: so that it is the same whether they are rounded or not.
  static BITNET_INLINE F32 add_exact(F32 s, F32 a, F32 b) { return s + a * b; }
  // x * *p, the one float at p.
  static BITNET_INLINE F32 times(F32 x, const float* p) { return x * *p; }
  // For sets that do not convert binary16. Lanes with a value's bits and zeros, as floats; and back to nearest even, as
  // f16_from of scalar.cpp, sign-extended.
  static BITNET_INLINE F32 floats_of_halves(S32 h) {
    const S32 magnitude = (h & 0x7fff) << 13;
    // Read as a float this is too small by 2^112, subnormals included.
    const S32 value = (S32)((F32)magnitude * 0x1p112f);
    const S32 infinite = (magnitude >= 0x7c00 << 13) & 0x7f800000;
    const S32 quiet = (magnitude > 0x7c00 << 13) & 0x400000;
    return (F32)(value | infinite | quiet | (h & 0x8000) << 16);
  }
  static BITNET_INLINE S32 halves_of_floats(F32 x) {
    const auto either = [](S32 mask, S32 a, S32 b) BITNET_INLINED { return (mask & a) | (~mask & b); };
    const S32 magnitude = (S32)x & 0x7fffffff;
    const S32 small = (S32)((F32)magnitude + 0.5f) - 0x3f000000;
    const S32 rounded = (S32)((U32)magnitude + 0xfff + ((U32)magnitude >> 13 & 1));  // modulo 2^32: NaN may overflow
    const S32 normal = (rounded >> 13) - ((127 - 15) << 10);
    const S32 nan = 0x7e00 | (magnitude >> 13 & 0x1ff);
    S32 h = either(magnitude < 0x38800000, small, normal);
    h = either(magnitude >= 0x47800000, S32{} + 0x7c00, h);
    h = either(magnitude > 0x7f800000, nan, h);
    return (h << 16 >> 16) | ((S32)x >> 31 << 15);
  }
  // Whether there is last_four(b): of each t5 byte the last four digits as an i2 byte, by lookup.
  static constexpr bool kHasLastFour = false;
  // How many of the thresholds 86 and 171 each byte reaches. The sign bits come flipped, as x86 compares signed bytes.
  static BITNET_INLINE U8 third_of(S8 flipped) { return (U8)(-(flipped > 85 - 128) - (flipped > 170 - 128)); }
};

// n as a type, for lambdas.
template <size_t n>
struct Constant {
  constexpr operator size_t() const { return n; }
};

// Calls f(token, tokens) for the tokens from the first below `end`, so many at a time; how many is a constant.
template <size_t tokens, typename F>
BITNET_INLINE void for_tokens(size_t token, size_t end, F f) {
  for (; token + tokens <= end; token += tokens) f(token, Constant<tokens>());
  if constexpr (tokens > 1) for_tokens<(tokens + 1) / 2>(token, end, f);
}

// Weights are fetched this many bytes ahead into the second-level cache, which can wait for more lines than the first.
// Otherwise memory idles while a thread computes.
constexpr size_t kAhead = 8192;
BITNET_INLINE void fetch(const void* p) { __builtin_prefetch(p, 0, 2); }

template <typename T>
BITNET_INLINE T larger(T x, T y) {
  return y > x ? y : x;
}

// f over all lanes in the order of a float reduction's tree: lanes j and j + 8, j and j + 4, j and j + 2, j and j + 1.
template <typename V, typename F>
BITNET_INLINE auto fold(V x, F f) {
  if constexpr (sizeof x == 64) {
    return fold(f(__builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7),
                  __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15)),
                f);
  } else if constexpr (sizeof x == 32) {
    return fold(f(__builtin_shufflevector(x, x, 0, 1, 2, 3), __builtin_shufflevector(x, x, 4, 5, 6, 7)), f);
  } else {
    x = f(x, __builtin_shufflevector(x, x, 2, 3, 0, 1));
    return f(x, __builtin_shufflevector(x, x, 1, 0, 3, 2))[0];
  }
}

using Quad = Vector<int32_t, 16>;

template <typename V>
BITNET_INLINE auto sum_of_quads(V x) {
  if constexpr (sizeof x == 64) {
    return sum_of_quads(__builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7) +
                        __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15));
  } else if constexpr (sizeof x == 32) {
    return __builtin_shufflevector(x, x, 0, 1, 2, 3) + __builtin_shufflevector(x, x, 4, 5, 6, 7);
  } else {
    return x;
  }
}
// The sum of the 32-bit lanes of each, in the order of a float reduction's tree.
template <typename V>
BITNET_INLINE auto sums_of_lanes(V x0, V x1, V x2, V x3) {
  const auto a = sum_of_quads(x0), b = sum_of_quads(x1), c = sum_of_quads(x2), d = sum_of_quads(x3);
  const auto ab = __builtin_shufflevector(a, b, 0, 4, 1, 5) + __builtin_shufflevector(a, b, 2, 6, 3, 7);
  const auto cd = __builtin_shufflevector(c, d, 0, 4, 1, 5) + __builtin_shufflevector(c, d, 2, 6, 3, 7);
  return __builtin_shufflevector(ab, cd, 0, 1, 4, 5) + __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
}

}  // namespace
}  // namespace bitnet
