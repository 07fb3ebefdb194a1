// SPDX-License-Identifier: MIT
#include "format/group_scales.h"

#include <algorithm>
#include <cmath>
#include <locale>
#include <sstream>
#include <utility>

#include "base/error.h"
#include "base/half.h"
#include "groups.h"

namespace bitnet {
namespace {

constexpr uint16_t kOne = 0x3c00;  // 1 as binary16
constexpr float kLeastNormal = 0x1p-14f;

}  // namespace

void Rounding::note(float value, float rounded) {
  ++values;
  if (value == rounded) return;
  ++inexact;
  const double error = std::fabs(double{value} - rounded), magnitude = std::fabs(double{value});
  largest = std::max(largest, error);
  if (magnitude >= kLeastNormal) relative = std::max(relative, error / magnitude);
}

void RoundingTotal::add(const Rounding& part) {
  const std::lock_guard lock(mutex_);
  total_.values += part.values;
  total_.inexact += part.inexact;
  total_.largest = std::max(total_.largest, part.largest);
  total_.relative = std::max(total_.relative, part.relative);
}

std::string RoundingTotal::text(const char* type) const {
  std::ostringstream out;
  out.imbue(std::locale::classic());
  out << total_.inexact << " of " << total_.values << " numbers are not exact in " << type
      << "; they were rounded by at most " << total_.largest;
  if (total_.relative != 0)
    out << ", or " << total_.relative << " of themselves";  // else all lie below its normal range
  return std::move(out).str();
}

void RoundingTotal::report(const Log& log, bitnet_log_level level) const {
  if (!is_exact()) say(log, level, text(), "; the option dense keeps all digits (--dense f32)");
}

GroupScales::GroupScales(const TernaryScales& found, uint32_t rows, uint32_t cols, uint32_t group)
    : found_(found),
      rows_(rows),
      groups_(static_cast<uint32_t>(groups_per_row(cols, group))),
      found_groups_(found.group == 0 ? 1 : static_cast<uint32_t>(groups_per_row(cols, found.group))),
      repeat_(found.group == 0 ? groups_ : found.group / group) {
  if (found.group == 0) {
    of_tensor_ = found.scales;
    return;
  }
  of_tensor_ = {1};
  const auto exact = [](float scale) { return half_to_float(float_to_half(scale)) == scale; };
  if (std::ranges::all_of(found.scales, exact)) return;
  // Half of the range lies below 1, so that a row's smaller scales have room.
  of_tensor_.assign(rows, 1);
  for (uint32_t row = 0; row < rows; ++row) {
    const auto* const scales = &found.scales[size_t{row} * found_groups_];
    const float largest = *std::max_element(scales, scales + found_groups_);
    int exponent = 0;
    std::frexp(largest, &exponent);
    of_tensor_[row] = std::ldexp(1.0f, exponent - 15);
  }
}

float GroupScales::scale_at(uint32_t row, uint32_t group) const {
  return found_.scales[size_t{row} * found_groups_ + group / repeat_];
}

void GroupScales::write_row(uint32_t row, uint16_t* out) const {
  for (uint32_t g = 0; g < groups_; ++g) {
    out[g] = found_.group == 0 ? kOne : float_to_half(scale_at(row, g) / factor(row));
  }
}

Rounding GroupScales::rounding() const {
  Rounding rounding;
  for (uint32_t row = 0; found_.group != 0 && row < rows_; ++row) {
    for (uint32_t g = 0; g < groups_; g += repeat_) {
      const float scale = scale_at(row, g);
      rounding.note(scale, half_to_float(float_to_half(scale / factor(row))) * factor(row));
    }
  }
  return rounding;
}

}  // namespace bitnet
