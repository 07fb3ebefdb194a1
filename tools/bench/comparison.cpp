// SPDX-License-Identifier: MIT
#include "bench/comparison.h"

#include <cmath>

namespace bitnet::program {

const char* ComparedTest::verdict() const {
  if (!speed.excludes_one()) return "no difference";
  return speed.ratio > 1 ? "faster" : "slower";
}

namespace {

template <typename Takes>
double mean_ratio(const std::vector<ComparedTest>& tests, const Takes& takes) {
  double sum = 0, count = 0;
  for (const ComparedTest& test : tests) {
    if (!takes(test)) continue;
    sum += std::log(test.speed.ratio);
    ++count;
  }
  return count > 0 ? std::exp(sum / count) : 0;
}

}  // namespace

double Comparison::speedup() const {
  return mean_ratio(tests, [](const ComparedTest&) { return true; });
}
double Comparison::first_token_speedup() const {
  return mean_ratio(tests, [](const ComparedTest& test) { return test.prompt; });
}
double Comparison::generation_speedup() const {
  return mean_ratio(tests, [](const ComparedTest& test) { return !test.prompt; });
}

}  // namespace bitnet::program
