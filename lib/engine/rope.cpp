// SPDX-License-Identifier: MIT
#include "engine/rope.h"

#include <cmath>

namespace bitnet {
namespace {

// The functions below use only operations whose result IEEE 754 defines, so that every platform computes the same bits.

constexpr double kLn2 = 0.69314718055994530942;

// Natural logarithm of x > 0, by 2 atanh((m-1)/(m+1)) with m the mantissa in [sqrt(1/2), sqrt(2)).
double ln(double x) {
  int exponent = 0;
  double m = std::frexp(x, &exponent);
  if (m < 0.70710678118654752440) {
    m *= 2;
    exponent--;
  }
  const double z = (m - 1) / (m + 1);
  const double z2 = z * z;
  double sum = 0;
  for (int k = 31; k >= 1; k -= 2) sum = sum * z2 + 1.0 / k;
  return exponent * kLn2 + 2 * z * sum;
}

// e^x for moderate x, by its Taylor series on [-ln2/2, ln2/2].
double exponential(double x) {
  const double n = std::floor(x / kLn2 + 0.5);
  const double r = x - n * kLn2;
  double sum = 1;
  for (int k = 18; k >= 1; k--) sum = 1 + sum * r / k;
  return std::ldexp(sum, static_cast<int>(n));
}

// Sine and cosine of x >= 0, below 2^24: reduced to [-pi/4, pi/4] with pi/2 in two parts, then their Taylor series.
void sine_cosine(double x, double& sine, double& cosine) {
  constexpr double kHalfPiHigh = 1.57079632673412561417;  // the first 33 bits, so that its multiples are exact
  constexpr double kHalfPiLow = 6.07710050650619224932e-11;
  const double n = std::floor(x / (kHalfPiHigh + kHalfPiLow) + 0.5);
  const double r = (x - n * kHalfPiHigh) - n * kHalfPiLow;
  const double r2 = r * r;
  double s = 1, c = 1;
  for (int k = 18; k >= 2; k -= 2) {
    s = 1 - s * r2 / (k * (k + 1));
    c = 1 - c * r2 / (k * (k - 1));
  }
  s *= r;
  switch (static_cast<int64_t>(n) & 3) {
    case 0:
      sine = s, cosine = c;
      break;
    case 1:
      sine = c, cosine = -s;
      break;
    case 2:
      sine = -s, cosine = -c;
      break;
    default:
      sine = -c, cosine = s;
      break;
  }
}

}  // namespace

Rope::Rope(uint32_t head_dim, float theta, const float* factors, float magnitude)
    : frequencies_(head_dim / 2), magnitude_(magnitude) {
  for (uint32_t i = 0; i < head_dim / 2; i++) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(head_dim);
    frequencies_[i] = 1.0f / static_cast<float>(exponential(exponent * ln(theta)));
    if (factors != nullptr) frequencies_[i] /= factors[i];
  }
}

void Rope::angles(uint32_t position, float* cosines, float* sines) const {
  for (size_t i = 0; i < frequencies_.size(); i++) {
    double sine, cosine;
    sine_cosine(static_cast<float>(position) * frequencies_[i], sine, cosine);
    cosines[i] = static_cast<float>(cosine) * magnitude_;
    sines[i] = static_cast<float>(sine) * magnitude_;
  }
}

}  // namespace bitnet
