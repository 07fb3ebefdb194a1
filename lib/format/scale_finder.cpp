// SPDX-License-Identifier: MIT
#include "format/scale_finder.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <locale>
#include <sstream>

namespace bitnet {
namespace {

constexpr uint32_t kGroup = 64;

// Whether each run of `run` groups of a row fits one scale. A run does not reach beyond its row.
bool has_common(std::span<const float> row, size_t run) {
  for (size_t begin = 0; begin < row.size(); begin += run) {
    float common = 0;
    for (const float scale : row.subspan(begin, std::min(run, row.size() - begin))) {
      if (scale == 0) continue;
      if (common != 0 && scale != common) return false;
      common = scale;
    }
  }
  return true;
}

// The first scale of a run that is not 0; else 0.
float first_scale(std::span<const float> scales) {
  const auto found = std::ranges::find_if(scales, [](float scale) { return scale != 0; });
  return found == scales.end() ? 0 : *found;
}

}  // namespace

ScaleFinder::ScaleFinder(uint32_t rows, uint32_t cols)
    : rows_(rows), cols_(cols), groups_((cols + kGroup - 1) / kGroup), found_(rows), scales_(size_t{rows} * groups_) {}

void ScaleFinder::add_row(uint32_t row, std::span<const float> values) {
  Row& found = found_[row];
  for (uint32_t group = 0; group < groups_; ++group) {
    const uint32_t begin = group * kGroup, end = std::min(begin + kGroup, cols_);
    float scale = 0;
    bool mixed = false;
    for (uint32_t col = begin; col < end; ++col) {
      const float magnitude = std::fabs(values[col]);
      found.sum += magnitude;
      if (magnitude == 0 || magnitude == scale) continue;
      if (scale != 0 && !mixed && found.mixed == 0) {
        found.first = col;
        found.found = values[col];
        found.before = scale;
      }
      mixed |= scale != 0;
      if (scale == 0) scale = magnitude;
    }
    found.mixed += mixed;
    scales_[size_t{row} * groups_ + group] = scale;
  }
}

TernaryScales ScaleFinder::result() const {
  TernaryScales result;
  double sum = 0;
  uint64_t mixed = 0;
  for (const Row& row : found_) {
    sum += row.sum;
    mixed += row.mixed;
  }
  result.mean = sum / (static_cast<double>(rows_) * cols_);
  if (mixed != 0) {
    describe(result, mixed);
    return result;
  }
  const auto row_of = [&](uint32_t row) { return std::span(scales_).subspan(size_t{row} * groups_, groups_); };
  const auto all_rows = [&](size_t run) {
    for (uint32_t row = 0; row < rows_; ++row) {
      if (!has_common(row_of(row), run)) return false;
    }
    return true;
  };
  const float first = first_scale(scales_), common = first == 0 ? 1 : first;
  if (has_common(scales_, scales_.size())) {
    result.scales = {common};
    return result;
  }
  const bool rows_alike = all_rows(groups_);
  const size_t run = rows_alike ? groups_ : all_rows(2) ? 2 : 1;
  result.group = rows_alike ? 0 : static_cast<uint32_t>(run) * kGroup;
  for (uint32_t row = 0; row < rows_; ++row) {
    const auto scales = row_of(row);
    float before = first_scale(scales);
    if (before == 0) before = common;
    for (size_t begin = 0; begin < groups_; begin += run) {
      const float scale = first_scale(scales.subspan(begin, std::min(run, groups_ - begin)));
      if (scale != 0) before = scale;
      result.scales.push_back(before);
    }
  }
  return result;
}

void ScaleFinder::describe(TernaryScales& result, uint64_t mixed) const {
  const auto row = std::ranges::find_if(found_, [](const Row& found) { return found.mixed != 0; });
  const double share = 100 * static_cast<double>(mixed) / static_cast<double>(scales_.size());
  std::ostringstream text;
  text.exceptions(std::ios::badbit);  // so that memory that runs out is an error
  text.imbue(std::locale::classic());
  text << "row " << row - found_.begin() << ", column " << row->first << " holds " << row->found
       << " beside weights of magnitude " << row->before << "; weights of " << std::setprecision(3) << share
       << " % of the groups of " << kGroup << " columns have more than one magnitude besides 0";
  result.not_ternary = std::move(text).str();
}

TernaryScales round_by_absmean(double mean) {
  const float inverse = 1 / std::max(static_cast<float>(mean), 1e-5f);
  return {.scales = {1 / inverse}, .inverse_mean = inverse};
}

void round_to_trits(std::span<const float> values, float inverse_mean, int8_t* out) {
  for (size_t i = 0; i < values.size(); ++i) {
    const float value = values[i];
    out[i] = static_cast<int8_t>(inverse_mean == 0 ? static_cast<float>((value > 0) - (value < 0))
                                                   : std::clamp(std::nearbyint(value * inverse_mean), -1.0f, 1.0f));
  }
}

}  // namespace bitnet
