// SPDX-License-Identifier: MIT
// What samples say: of one thing, and of two that were measured in turn.
#pragma once

#include <vector>

namespace bitnet::program {

struct Summary {
  double mean, median, stdev, min, max, p95, p99;  // stdev: of the sample; 0 for a single value
};

double median(std::vector<double> values);
// The smallest value that at least this share of all does not exceed; of one value or more.
double quantile(std::vector<double> values, double share);
Summary summary(const std::vector<double>& values);
// Standard deviation over mean.
double variation(const std::vector<double>& values);

// A ratio and where it lies with 99 % confidence.
struct Interval {
  double ratio, low, high;
  bool excludes_one() const { return low > 1 || high < 1; }
};

// Of a to b, measured in pairs: a bootstrap over the logarithms of the pairs' ratios, so that what slows both at a time
// does not count. The same pairs give the same interval.
Interval paired_ratio(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace bitnet::program
