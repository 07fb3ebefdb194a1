// SPDX-License-Identifier: MIT
// Elementwise functions and float reductions.
#pragma once

#include "generic/simd.h"
#include "kernels.h"

namespace bitnet {
namespace {

template <typename Simd>
struct Floats : Simd {
  using Simd::kLanes, Simd::half_to_float, Simd::float_to_half, Simd::settle;
  using typename Simd::F32, typename Simd::S32, typename Simd::U32;

  static constexpr size_t kParts = 16 / kLanes;  // vectors in a step of a float reduction

  static BITNET_INLINE F32 broadcast(float x) { return F32{} + x; }
  static BITNET_INLINE F32 select(S32 mask, F32 a, F32 b) { return (F32)((mask & (S32)a) | (~mask & (S32)b)); }

  // Calls f(first, count) for each vector of n elements; count is below kLanes only for the last.
  template <typename F>
  static BITNET_INLINE void for_vectors(size_t n, F f) {
    size_t i = 0;
    for (; i + kLanes <= n; i += kLanes) f(i, kLanes);
    if (i < n) f(i, n - i);
  }

  // `count` values, then zeros.
  static BITNET_INLINE F32 load_floats(const float* p, size_t count) {
    if (count == kLanes) return load<F32>(p);
    float some[kLanes] = {};
    for (size_t i = 0; i < count; ++i) some[i] = p[i];
    return load<F32>(some);
  }
  static BITNET_INLINE F32 load_halves(const f16* p, size_t count) {
    if (count == kLanes) return half_to_float(p);
    f16 some[kLanes] = {};
    for (size_t i = 0; i < count; ++i) some[i] = p[i];
    return half_to_float(some);
  }
  static BITNET_INLINE void store_floats(float* p, F32 x, size_t count) {
    if (count == kLanes) return store(p, x);
    float some[kLanes];
    store(some, x);
    for (size_t i = 0; i < count; ++i) p[i] = some[i];
  }

  // The 16 lanes of a float reduction.
  struct Lanes {
    F32 part[kParts] = {};
    // Summed to a vector; to the end.
    BITNET_INLINE F32 folded() {
      for (size_t half = kParts / 2; half > 0; half /= 2) {
        for (size_t p = 0; p < half; ++p) part[p] += part[p + half];
      }
      return part[0];
    }
    BITNET_INLINE float sum() {
      return fold(folded(), [](auto x, auto y) BITNET_INLINED { return x + y; });
    }
  };

  // Reduces f(first, count) over the vectors of n elements. Vectors beyond the end of the last step would add +0, which
  // changes no lane: a lane is never -0, as it starts from +0. f must give +0 beyond count.
  template <typename F>
  static BITNET_INLINE float reduce(size_t n, F f) {
    Lanes lanes;
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
#pragma GCC unroll 4
      for (size_t p = 0; p < kParts; ++p) lanes.part[p] += f(i + p * kLanes, kLanes);
    }
    for (size_t p = 0; i < n; ++p, i += kLanes) lanes.part[p] += f(i, n - i < kLanes ? n - i : kLanes);
    return lanes.sum();
  }

  static constexpr float kRounder = 12582912.0f;  // 1.5 * 2^23

  static BITNET_INLINE S32 round_to_int(F32 x) {
    const S32 rounded = (S32)((U32)(x + kRounder) - (U32)broadcast(kRounder));
    return rounded & (x == x);  // NOLINT(misc-redundant-expression): 0 for NaN
  }

  static BITNET_INLINE float largest_magnitude(const float* x, size_t n) {
    S32 largest = {};
    for_vectors(n, [&](size_t i, size_t count)
                       BITNET_INLINED { largest = larger(largest, (S32)load_floats(x + i, count) & 0x7fffffff); });
    return __builtin_bit_cast(float, fold(largest, [](auto x, auto y) BITNET_INLINED { return larger(x, y); }));
  }

  static BITNET_INLINE float at_least(float x, float least) { return x < least ? least : x; }

  // y[i] = f(i), in this order: a compiler would compute each where it is used.
  template <size_t n, typename F>
  static BITNET_INLINE void set_each(F32 (&y)[n], F f) {
#pragma GCC unroll 4
    for (size_t i = 0; i < n; ++i) {
      y[i] = f(i);
      if constexpr (n > 1) settle(y[i]);
    }
  }

  // e^x = fraction * 2^exponent, the fraction about 1.
  template <size_t n>
  struct Powers {
    F32 fraction[n];
    U32 exponent[n];
  };
  // Each step waits for the one before it. Taken for all vectors in turn, they fill each other's waits.
  template <size_t n>
  static BITNET_INLINE Powers<n> powers_of_e(const F32 (&x)[n]) {
    Powers<n> powers;
    F32(&p)[n] = powers.fraction;
    F32 shifted[n], r[n];
    set_each(shifted, [&](size_t i) BITNET_INLINED { return x[i] * 0x1.715476p+0f + kRounder; });
    set_each(r, [&](size_t i) BITNET_INLINED { return x[i] - (shifted[i] - kRounder) * 0x1.62e4p-1f; });
    set_each(r, [&](size_t i) BITNET_INLINED { return r[i] - (shifted[i] - kRounder) * 0x1.7f7d1cp-20f; });
    set_each(p, [&](size_t i) BITNET_INLINED { return r[i] * 0x1.6a23eap-10f + 0x1.123a22p-7f; });
    set_each(p, [&](size_t i) BITNET_INLINED { return p[i] * r[i] + 0x1.5558f2p-5f; });
    set_each(p, [&](size_t i) BITNET_INLINED { return p[i] * r[i] + 0x1.555492p-3f; });
    set_each(p, [&](size_t i) BITNET_INLINED { return p[i] * r[i] + 0x1.fffffcp-2f; });
    set_each(p, [&](size_t i) BITNET_INLINED { return (p[i] * (r[i] * r[i]) + r[i]) + 1.0f; });
    for (size_t i = 0; i < n; ++i) powers.exponent[i] = (U32)shifted[i] - (U32)broadcast(kRounder);
    return powers;
  }
  static BITNET_INLINE F32 two_to_the(U32 exponent) { return (F32)((exponent + 127) << 23); }

  static BITNET_INLINE F32 exp_of(F32 x) {
    const S32 underflow = x < -87.3365f;
    const Powers<1> power = powers_of_e<1>({select(x > 89.0f, broadcast(89.0f), x)});
    const U32 exponent = power.exponent[0], half = (U32)((S32)exponent >> 1);
    const F32 result = power.fraction[0] * two_to_the(half) * two_to_the(exponent - half);
    return (F32)((S32)result & ~underflow);
  }
  // The same, in place, for x <= 0 or NaN, where 2^exponent is a normal number.
  template <size_t n>
  static BITNET_INLINE void exps_of_negatives(F32 (&x)[n]) {
    const Powers<n> powers = powers_of_e(x);
#pragma GCC unroll 4
    for (size_t i = 0; i < n; ++i) {
      const S32 underflow = x[i] < -87.3365f;
      x[i] = (F32)((S32)(powers.fraction[i] * two_to_the(powers.exponent[i])) & ~underflow);
    }
  }
  static BITNET_INLINE F32 exp_of_negative(F32 x) {
    F32 one[1] = {x};
    exps_of_negatives(one);
    return one[0];
  }

  static void rms_norm(const float* x, const float* weight, float eps, size_t n, float* y) {
    const float squares = reduce(n, [&](size_t i, size_t count) BITNET_INLINED {
      const F32 v = load_floats(x + i, count);
      return v * v;
    });
    const float mean = squares / static_cast<float>(n);
    const float factor = 1.0f / __builtin_sqrtf(mean + eps);
    for_vectors(n, [&](size_t i, size_t count) BITNET_INLINED {
      store_floats(y + i, (load_floats(x + i, count) * factor) * load_floats(weight + i, count), count);
    });
  }

  static void rope(float* x, size_t heads, size_t head_dim, const float* cosines, const float* sines) {
    const size_t half = head_dim / 2;
    for (size_t head = 0; head < heads; ++head, x += head_dim) {
      for_vectors(half, [&](size_t i, size_t count) BITNET_INLINED {
        const F32 a = load_floats(x + i, count), b = load_floats(x + half + i, count);
        const F32 c = load_floats(cosines + i, count), s = load_floats(sines + i, count);
        store_floats(x + i, a * c - b * s, count);
        store_floats(x + half + i, b * c + a * s, count);
      });
    }
  }

  static float exp_sum(const float* x, float shift, size_t n, float* p) {
    return reduce(n, [&](size_t i, size_t count) BITNET_INLINED {
      store_floats(p + i, exp_of(load_floats(x + i, count) - shift), count);
      return load_floats(p + i, count);  // zeros beyond count, where e^x is not
    });
  }

  static void gate_relu2(const float* gate, const float* up, size_t n, float* y) {
    for_vectors(n, [&](size_t i, size_t count) BITNET_INLINED {
      const F32 g = load_floats(gate + i, count);
      const F32 positive = (F32)((S32)g & ~(g < 0.0f));
      store_floats(y + i, (positive * positive) * load_floats(up + i, count), count);
    });
  }

  static void gate_silu(const float* gate, const float* up, size_t n, float* y) {
    for_vectors(n, [&](size_t i, size_t count) BITNET_INLINED {
      const F32 g = load_floats(gate + i, count);
      store_floats(y + i, (g / (1.0f + exp_of(-g))) * load_floats(up + i, count), count);
    });
  }

  static void gate_gelu(const float* gate, const float* up, size_t n, float* y) {
    for_vectors(n, [&](size_t i, size_t count) BITNET_INLINED {
      const F32 g = load_floats(gate + i, count);
      const F32 z = g * (kGeluLinear + kGeluCubic * (g * g));
      store_floats(y + i, (g / (1.0f + exp_of(-z))) * load_floats(up + i, count), count);
    });
  }

  static void add(float* x, const float* y, size_t n) {
    for_vectors(n, [&](size_t i, size_t count) BITNET_INLINED {
      store_floats(x + i, load_floats(x + i, count) + load_floats(y + i, count), count);
    });
  }

  static void to_f16(const float* x, size_t n, f16* y) {
    for_vectors(n, [&](size_t i, size_t count) BITNET_INLINED {
      if (count == kLanes) return float_to_half(load<F32>(x + i), y + i);
      f16 some[kLanes];
      float_to_half(load_floats(x + i, count), some);
      for (size_t j = 0; j < count; ++j) y[i + j] = some[j];
    });
  }

  static void to_f32(const f16* x, size_t n, float* y) {
    for_vectors(n,
                [&](size_t i, size_t count) BITNET_INLINED { store_floats(y + i, load_halves(x + i, count), count); });
  }
};

}  // namespace
}  // namespace bitnet
