// SPDX-License-Identifier: MIT
// bitnet bench --compare: what takes part, and how the parts take turns.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bench/runner.h"
#include "bench/subject.h"

namespace bitnet::program {

// What one --compare says, after the options of the command itself.
struct PartOptions {
  std::string name;  // as results name it; without, its own words
  ModelOptions model;
  bitnet_kv kv = BITNET_KV_DEFAULT;
  uint32_t threads = 0;     // 0: those of the test
  std::string program;      // another build of bitnet
  std::string llama_bench;  // another program: the llama-bench of llama.cpp or a fork
  std::string extra;        // its further options
};
PartOptions part_options(const std::string& words, const PartOptions& common);

class Part {
 public:
  virtual ~Part() = default;
  // Returns tokens a second, of a program that is started anew for each sample; otherwise 0.
  virtual double warm(const Test& test) = 0;
  // Adds tokens_per_second; and what else it finds out.
  // A program measures so many times, and the median counts.
  virtual void sample(Run& run, uint32_t repetitions) = 0;
  // Of its weights, where it is a model in this process, which many parts share.
  virtual uint64_t weight_bytes() const { return 0; }
};

struct PartsSetting {
  std::vector<Test> tests;
  bool logits = false;
  EnergyMeter* energy = nullptr;
  uint32_t rounds = 0;  // 0: until all intervals are narrow, or the time is up
  double seconds = 0;   // the time
};

struct Measured {
  std::vector<Run> runs;                // of a part those of all tests, of the next part ...
  std::vector<Comparison> comparisons;  // for each part but the first, what it is to the first
};
// Measures all parts in turn.
Measured measure_parts(const std::vector<PartOptions>& parts, const PartsSetting& setting, const Machine& machine);

}  // namespace bitnet::program
