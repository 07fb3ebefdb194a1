// SPDX-License-Identifier: MIT
#include "base/nearest.h"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

namespace bitnet {
namespace {

// Levenshtein's: the fewest characters to put in, take out or replace.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row.back();
}

}  // namespace

std::string_view nearest_name(std::string_view given, std::span<const std::string_view> names) {
  const std::string_view text = given.substr(0, 100);  // bounds the work
  const auto far = [&](std::string_view name) { return distance(name, text); };
  const auto nearest = std::ranges::min_element(names, {}, far);
  if (nearest == names.end() || far(*nearest) * 2 > nearest->size()) return "";
  return *nearest;
}

}  // namespace bitnet
