// SPDX-License-Identifier: MIT
// Measures one model with one number of threads: prompts, generation, scenarios, and the forward pass alone.
#pragma once

#include <string>
#include <vector>

#include "bench/energy.h"
#include "bench/run.h"
#include "bench/token_weights.h"
#include "options.h"

namespace bitnet::program {

// Arbitrary tokens, the same for each seed: speed does not depend on which they are.
std::vector<bitnet_token> some_tokens(uint32_t count, uint32_t vocabulary, uint32_t seed);

struct RunnerOptions {
  uint32_t threads = 1;
  bitnet_kv kv = BITNET_KV_DEFAULT;
  bool logits = false;                    // generation: ask for all logits
  const TokenWeights* weights = nullptr;  // what reads them takes turns with generation
  EnergyMeter* energy = nullptr;          // one that works
};

class Runner {
 public:
  // For contexts of so many tokens, in so many sequences at a time.
  Runner(bitnet_model* model, uint32_t context, uint32_t batch, const RunnerOptions& options);

  // What the context held for one test serves the next, if that is as deep or deeper.
  void measure(Run& run, uint32_t warmups, uint32_t repetitions);
  void warm(const Test& test);
  void sample(Run& run);  // one more repetition

 private:
  struct Sample {
    double seconds = 0, prompt_seconds = 0;  // of all of it; until the prompt's last token has its successor
    std::vector<double> token_seconds = {};  // of each token after that
    double computing = 0;                    // share of the time that passes over the weights and drawing took
    double call_seconds = 0;                 // of a call, without them
  };
  void fill(uint32_t depth);
  Sample once(const Test& test);
  Sample forward(const Test& test);
  bitnet_token next_after(bitnet_token token);
  void add_computing(Sample& sample, size_t calls) const;
  void add(Run& run, const Sample& sample, double joules) const;

  const RunnerOptions options_;
  Engine engine_;
  std::vector<Session> sessions_;
  Sampler greedy_;
  std::vector<bitnet_token> tokens_;
  const bitnet_logits_of wanted_;  // of a prompt; a model without a head can only be measured with prompts
};

}  // namespace bitnet::program
