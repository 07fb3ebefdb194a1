// SPDX-License-Identifier: MIT
#include "format/planes_quantizer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/half.h"

namespace bitnet {
namespace {

// The nearest code, less the middle one. A plain sequence of operations, which compilers turn into vectors.
float nearest(float x, float middle) {
  constexpr float kRounder = 12582912.0f;  // 1.5 * 2^23: adding it leaves no bits for a fraction
  return (std::min(std::max(x, -middle), middle - 1) + kRounder) - kRounder;
}

// The scale with the least squared error of those tried. The largest weight goes near the code -middle, the one
// farthest from the middle, or a little beyond, so that it is cut off and the others are finer. For given codes q,
// sum(w q) / sum(q q) is the best scale, and sum(w q)^2 / sum(q q) is how much of the squares it explains.
float search_scale(const float* w, float middle) {
  float largest = 0;
  for (size_t i = 0; i < kGroupCols; ++i) {
    if (std::fabs(w[i]) > std::fabs(largest)) largest = w[i];
  }
  if (largest == 0) return 0;
  float best = 0, most = -1;
  for (int i = -4; i <= 5; ++i) {
    const float inverse = (0.5f * static_cast<float>(i) - middle) / largest;
    float products = 0, squares = 0;
    for (size_t j = 0; j < kGroupCols; ++j) {
      const float q = nearest(w[j] * inverse, middle);
      products += w[j] * q;
      squares += q * q;
    }
    const float explained = products * products / squares;
    if (explained > most) {
      most = explained;
      best = products / squares;
    }
  }
  return best;
}

float bound_of(double error, double norm, size_t cols) {
  const double n = static_cast<double>(cols);
  const double d = (n / 16 + 16) * 0x1p-24;
  const double bound = error * (1 + 2 * d) + norm * (std::sqrt(n) / 60000 + 4 * d);
  return std::nextafter(static_cast<float>(bound * (1 + 1e-9)), std::numeric_limits<float>::infinity());
}

// One row of tiles.
void quantize_tiles(Planes planes, const uint16_t* halves, size_t rows, size_t cols, uint8_t* out, float* scales) {
  const size_t padded = tiles_per_row(cols) * kTileCols, groups = padded / kGroupCols;
  const float middle = static_cast<float>(middle_code(planes));
  std::vector<float> w(padded), group_scales(groups);
  for (size_t r = 0; r < kTileRows; ++r) {
    std::fill(w.begin(), w.end(), 0.0f);
    if (r < rows) std::transform(halves + r * cols, halves + (r + 1) * cols, w.begin(), half_to_float);
    float largest = 0;
    for (size_t g = 0; g < groups; ++g) {
      group_scales[g] = search_scale(&w[g * kGroupCols], middle);
      largest = std::max(largest, std::fabs(group_scales[g]));
    }
    const float scale = largest > 0 ? largest / 127 : 1;
    for (size_t g = 0; g < groups; ++g) {
      uint8_t* tile = out + g / 4 * tile_bytes(planes);
      const float code = std::nearbyint(group_scales[g] / scale);
      tile[g % 4 * kTileRows + r] = static_cast<uint8_t>(static_cast<int8_t>(code));
      const float unit = scale * code;
      for (size_t c = g * kGroupCols; c < (g + 1) * kGroupCols; ++c) {
        const float q = code == 0 ? 0 : nearest(w[c] / unit, middle);
        write_code(planes, tile, r, c % kTileCols, static_cast<int>(q) + middle_code(planes));
      }
    }
    if (r < rows) scales[r] = scale;
  }
}

}  // namespace

void quantize_planes(Planes planes, const uint16_t* halves, size_t rows, size_t cols, uint8_t* out, float* scales,
                     float* bounds) {
  for (size_t begin = 0; begin < rows; begin += kTileRows) {
    const size_t count = std::min(kTileRows, rows - begin);
    uint8_t* const tiles = out + planes_bytes(planes, begin, cols);
    quantize_tiles(planes, halves + begin * cols, count, cols, tiles, scales + begin);
    if (bounds == nullptr) continue;
    for (size_t r = begin; r < begin + count; ++r) {
      bounds[r] = screen_bound(planes, tiles, r - begin, scales[r], halves + r * cols, cols);
    }
  }
}

float screen_bound(Planes planes, const uint8_t* tiles, size_t row, float scale, const uint16_t* halves, size_t cols) {
  double error = 0, norm = 0;
  for (size_t c = 0; c < cols; ++c) {
    const uint8_t* tile = tiles + c / kTileCols * tile_bytes(planes);
    const auto group_scale = static_cast<int8_t>(tile[c % kTileCols / kGroupCols * kTileRows + row]);
    const int q = read_code(planes, tile, row, c % kTileCols) - middle_code(planes);
    const double value = static_cast<double>(scale) * group_scale * q;  // exact: 24 + 7 + 6 bits
    const double deviation = static_cast<double>(half_to_float(halves[c])) - value;
    error += deviation * deviation;
    norm += value * value;
  }
  return bound_of(std::sqrt(error), std::sqrt(norm), cols);
}

}  // namespace bitnet
