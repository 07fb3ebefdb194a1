// SPDX-License-Identifier: MIT
// Random and extreme inputs for the kernels.
#pragma once

#include <cmath>
#include <cstdint>
#include <random>

#include "guarded.h"
#include "kernels.h"

namespace bitnet {

enum class Values { ordinary, tiny, huge, subnormal, signed_zeros, mixed };
constexpr Values kAllValues[] = {Values::ordinary,  Values::tiny,         Values::huge,
                                 Values::subnormal, Values::signed_zeros, Values::mixed};

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
    }
    return 0;
  }
  Guarded<float> floats(size_t n, Values kind = Values::ordinary) {
    Guarded<float> x(n);
    for (float& v : x) v = value(kind);
    return x;
  }
  // Finite halves, subnormals among them.
  Guarded<f16> halves(size_t n) {
    Guarded<f16> x(n);
    for (f16& v : x) {
      v = static_cast<f16>(bits());
      if ((v & 0x7c00) == 0x7c00) v ^= 0x4000;
    }
    return x;
  }

 private:
  std::mt19937 random_;
};

}  // namespace bitnet
