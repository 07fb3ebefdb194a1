// SPDX-License-Identifier: MIT
#include "bench/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>

namespace bitnet::program {

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const size_t middle = values.size() / 2;
  return values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double quantile(std::vector<double> values, double share) {
  std::ranges::sort(values);
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(values.size())));
  return values[std::min(std::max<size_t>(rank, 1), values.size()) - 1];
}

namespace {

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double stdev(const std::vector<double>& values) {
  if (values.size() < 2) return 0;
  const double middle = mean(values);
  double squares = 0;
  for (const double value : values) squares += (value - middle) * (value - middle);
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

// The mean of the middle half: as robust as a median, nearly as sharp as a mean.
double middle_mean(std::vector<double>& values) {
  std::ranges::sort(values);
  const size_t cut = values.size() / 4;
  const auto from = values.begin() + static_cast<std::ptrdiff_t>(cut), to = values.end() - (from - values.begin());
  return std::accumulate(from, to, 0.0) / static_cast<double>(to - from);
}

}  // namespace

Summary summary(const std::vector<double>& values) {
  const auto [least, most] = std::ranges::minmax(values);
  return {mean(values), median(values), stdev(values), least, most, quantile(values, 0.95), quantile(values, 0.99)};
}

double variation(const std::vector<double>& values) { return stdev(values) / mean(values); }

Interval paired_ratio(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> ratios(std::min(a.size(), b.size()));
  for (size_t i = 0; i < ratios.size(); ++i) ratios[i] = std::log(a[i] / b[i]);
  constexpr size_t kDraws = 4000;
  std::vector<double> draws(kDraws), drawn(ratios.size());
  uint64_t state = 1;
  for (double& draw : draws) {
    for (double& value : drawn) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      value = ratios[(state >> 33) % ratios.size()];
    }
    draw = middle_mean(drawn);
  }
  const double low = quantile(draws, 0.005), high = quantile(draws, 0.995);
  return {std::exp(middle_mean(ratios)), std::exp(low), std::exp(high)};
}

}  // namespace bitnet::program
