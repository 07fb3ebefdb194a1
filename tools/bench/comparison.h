// SPDX-License-Identifier: MIT
// Two things that were measured in turn: what the second is to the first, and whether that can be said.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/statistics.h"

namespace bitnet::program {

struct ComparedTest {
  std::string test;
  bool prompt;                              // a prompt: its time is the time to the first token
  std::vector<double> baseline, candidate;  // tokens a second, in pairs
  Interval speed;                           // of the candidate to the baseline

  const char* verdict() const;  // "faster", "slower", "no difference"
};

struct Comparison {
  std::string baseline, candidate;
  std::vector<ComparedTest> tests = {};
  std::optional<uint64_t> baseline_memory = {}, candidate_memory = {};  // bytes that each had at most

  // Means of the tests: geometric, of all or of the prompts or of the others. 0 if there are none.
  double speedup() const;
  double first_token_speedup() const;
  double generation_speedup() const;
};

}  // namespace bitnet::program
