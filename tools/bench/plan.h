// SPDX-License-Identifier: MIT
// bitnet bench: what its options ask for.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bench/run.h"
#include "bench/sessions.h"
#include "options.h"

namespace bitnet::program {

struct BenchOptions {
  std::vector<std::string> models;
  ModelOptions model;
  bitnet_kv kv = BITNET_KV_DEFAULT;
  std::vector<uint32_t> prompt = {512}, generate = {128}, depth = {0}, threads;
  std::vector<std::string> scenarios;                             // "S1" ... "S6", "all"
  uint32_t batch = 0, sequence = 128;                             // forward only; a batch of 0: not that
  uint32_t gen_input = 0, gen_output = 128, gen_iterations = 20;  // generation of a length of one's own
  uint32_t warmup_steps = 10, benchmark_steps = 50;
  uint32_t repetitions = 0, warmup = 0;  // 0: as usual for the test
  bool all = false, sweep = false, logits = false, limits = false, energy = false;
  SessionsBench sessions;
  std::vector<std::string> compare;
  uint32_t seconds = 120;
  std::vector<std::string> sixteen_bits;  // shapes, or "all"
  std::string llama_bench;                // that also runs their models of 16 bits
  std::string output = "table", report;
};

struct PlannedTest {
  Test test;
  uint32_t warmups, repetitions;
  bool optional = false;  // one of all: left out where the model is trained for less
};

// In the order in which they are measured: what is measured with other threads needs another engine.
std::vector<PlannedTest> planned(const BenchOptions& options);

}  // namespace bitnet::program
