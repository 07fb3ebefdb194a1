// SPDX-License-Identifier: MIT
// What is done to numbers one by one, in few places, or for few models.
#pragma once

#include <cstddef>

namespace bitnet {

// x[i] * factor; by 1 nothing happens.
inline void multiply_all(float* x, size_t n, float factor) {
  for (size_t i = 0; factor != 1 && i < n; i++) x[i] *= factor;
}

// x[i] / divisor; by 1 nothing happens.
inline void divide_all(float* x, size_t n, float divisor) {
  for (size_t i = 0; divisor != 1 && i < n; i++) x[i] /= divisor;
}

// The gate is at most `limit`, the other factor between -limit and limit; 0: nothing happens. NaN stays.
inline void limit_gate(float* gate, float* up, size_t n, float limit) {
  for (size_t i = 0; limit != 0 && i < n; i++) {
    gate[i] = gate[i] > limit ? limit : gate[i];
    up[i] = up[i] > limit ? limit : up[i] < -limit ? -limit : up[i];
  }
}

}  // namespace bitnet
