// SPDX-License-Identifier: MIT
// Random and extreme inputs for the kernels.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "guarded.h"
#include "kernels.h"

namespace bitnet {

enum class Values { ordinary, tiny, huge, subnormal, signed_zeros, mixed, infinities, nans };
constexpr Values kAllValues[] = {Values::ordinary,     Values::tiny,  Values::huge,       Values::subnormal,
                                 Values::signed_zeros, Values::mixed, Values::infinities, Values::nans};

// The blocks of a split that lie one after the other.
struct KvBlocks {
  KvBlocks(const void* first, size_t bytes) {
    for (size_t i = 0; i <= kKvSplit / kKvBlock; ++i) at[i] = static_cast<const char*>(first) + i * bytes;
  }
  const void* at[kKvSplit / kKvBlock + 1];
};

// Every count up to a few vectors, then those of real models and their neighbours.
inline std::vector<size_t> lengths() {
  std::vector<size_t> n;
  for (size_t i = 0; i <= 70; ++i) n.push_back(i);
  for (size_t i : {100, 127, 128, 319, 320, 321, 640, 2047, 2560, 3200, 6912, 8640}) n.push_back(i);
  return n;
}

class Inputs {
 public:
  explicit Inputs(uint32_t seed) : random_(seed) {}

  uint32_t bits() { return random_(); }
  uint32_t below(uint32_t n) { return bits() % n; }
  // In [-1, 1).
  float uniform() { return static_cast<float>(static_cast<int32_t>(bits())) * 0x1p-31f; }

  float value(Values kind) {
    switch (kind) {
      case Values::ordinary:
        return uniform() * 4;
      case Values::tiny:
        return uniform() * 1e-30f;
      case Values::huge:
        return uniform() * 1e18f;  // squares and their sums stay finite
      case Values::subnormal:
        return __builtin_bit_cast(float, bits() & 0x807fffff);
      case Values::signed_zeros:
        return below(2) ? 0.0f : -0.0f;
      case Values::mixed:
        return value(kAllValues[below(5)]);
      case Values::infinities:
        return below(8) ? uniform() * 4 : std::copysign(std::numeric_limits<float>::infinity(), uniform());
      case Values::nans:
        return below(8) ? uniform() * 4 : std::numeric_limits<float>::quiet_NaN();
    }
    return 0;
  }

  // What these return can only be read: a kernel that writes to its input crashes.
  Guarded<float> floats(size_t n, Values kind = Values::ordinary) {
    return made<float>(n, [&] { return value(kind); });
  }
  // Finite halves, subnormals among them.
  Guarded<f16> halves(size_t n) {
    return made<f16>(n, [&] {
      const f16 h = static_cast<f16>(bits());
      return static_cast<f16>((h & 0x7c00) == 0x7c00 ? h ^ 0x4000 : h);
    });
  }
  // -127 .. 127.
  Guarded<int8_t> int8s(size_t n) {
    return made<int8_t>(n, [&] { return static_cast<int8_t>(static_cast<int>(below(255)) - 127); });
  }

  template <typename T, typename Make>
  Guarded<T> made(size_t n, Make make) {
    Guarded<T> x(n);
    for (T& v : x) v = make();
    x.seal();
    return x;
  }

 private:
  std::mt19937 random_;
};

}  // namespace bitnet
