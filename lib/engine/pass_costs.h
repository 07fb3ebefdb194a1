// SPDX-License-Identifier: MIT
// How long passes take, learnt from those before: how many rows fit a given time.
#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <cstdint>

namespace bitnet {

class PassCosts {
 public:
  using Duration = std::chrono::nanoseconds;

  void record(uint32_t rows, Duration time);
  // The most rows, at most `most` and at least 1, that are expected to take no more than `limit`. As long as nothing is
  // known, a few.
  uint32_t rows_within(Duration limit, uint32_t most) const;

 private:
  static constexpr uint32_t kFirstRows = 16;
  static constexpr double kWeight = 0.25;  // of the latest pass

  // Nanoseconds a row in passes of 2^i .. 2^(i+1) - 1 rows; 0: not known.
  std::array<double, 32> row_time_ = {};
};

}  // namespace bitnet
