// SPDX-License-Identifier: MIT
#include "engine/pass_costs.h"

#include <algorithm>

namespace bitnet {

void PassCosts::record(uint32_t rows, Duration time) {
  double& known = row_time_[std::bit_width(rows) - 1];
  const double latest = static_cast<double>(time.count()) / rows;
  known = known == 0 ? latest : known + kWeight * (latest - known);
}

// A row takes no more time in a larger pass, so that a smaller one's serves where a larger one's is not known.
uint32_t PassCosts::rows_within(Duration limit, uint32_t most) const {
  uint32_t best = 1;
  double row_time = 0;
  for (uint32_t i = 0; i < row_time_.size() && (most >> i) != 0; i++) {
    if (row_time_[i] != 0) row_time = row_time_[i];
    if (row_time == 0) continue;
    const double rows = static_cast<double>(limit.count()) / row_time;
    const auto last = static_cast<double>(std::min<uint64_t>((uint64_t{2} << i) - 1, most));
    if (rows >= static_cast<double>(uint64_t{1} << i)) best = static_cast<uint32_t>(std::min(rows, last));
  }
  return row_time == 0 ? std::min(kFirstRows, most) : best;
}

}  // namespace bitnet
