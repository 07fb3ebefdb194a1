// SPDX-License-Identifier: MIT
#include "bench/plan.h"

#include <algorithm>
#include <array>

#include "base/cores.h"
#include "bench/advice.h"
#include "terminal.h"

namespace bitnet::program {

namespace {

struct Scenario {
  const char* name;
  uint32_t prompt, generate;
};
constexpr std::array kScenarios = {Scenario{"S1", 16, 32},   Scenario{"S2", 64, 64},    Scenario{"S3", 256, 128},
                                   Scenario{"S4", 512, 256}, Scenario{"S5", 1024, 128}, Scenario{"S6", 64, 512}};

class Plan {
 public:
  explicit Plan(const BenchOptions& options) : options_(options) {}

  std::vector<PlannedTest> tests() {
    if (options_.all) return everything();
    for (const uint32_t threads : threads_of()) {
      threads_ = threads;
      if (!options_.sessions.sessions.empty()) {
        add_sessions();
      } else if (options_.batch != 0 || options_.gen_input != 0) {
        add_steps();
      } else if (!options_.scenarios.empty()) {
        add_scenarios();
      } else {
        add_speeds();
      }
    }
    if (tests_.empty()) throw Stop(kUsage, "nothing to measure: both -p and -n are 0");
    return tests_;
  }

 private:
  // What a report shows: speed by threads, by the length of prompts, by scenario, and by sessions.
  std::vector<PlannedTest> everything() {
    for (const uint32_t threads : threads_of()) {
      threads_ = threads;
      add_speeds();
    }
    threads_ = options_.threads.empty() ? usable_cores() : options_.threads.back();
    add_scenarios();
    add({.kind = Kind::forward, .prompt = options_.sequence, .batch = options_.batch ? options_.batch : 4}, 1, 5);
    for (const uint32_t sessions : {1u, 2u, 4u, 8u}) {
      add({.kind = Kind::sessions, .prompt = 16, .generate = 32, .batch = sessions}, 1, 3);
    }
    return tests_;
  }

  std::vector<uint32_t> threads_of() const {
    if ((options_.sweep || options_.all) && options_.threads.empty()) return thread_sweep(usable_cpus());
    std::vector<uint32_t> threads = options_.threads;
    if (threads.empty()) threads = {options_.output == "e2e" ? 2u : 0u};  // theirs, where the table is theirs
    std::ranges::replace(threads, 0u, usable_cores());
    return threads;
  }

  void add(Test test, uint32_t warmups, uint32_t repetitions) {
    test.threads = threads_;
    tests_.push_back({std::move(test), options_.warmup ? options_.warmup : warmups,
                      options_.repetitions ? options_.repetitions : repetitions});
  }

  void add_speeds() {
    std::vector<uint32_t> depths = options_.depth;
    std::ranges::sort(depths);
    for (const uint32_t depth : depths) {
      for (const uint32_t tokens : options_.prompt) {
        if (tokens != 0) add({.kind = Kind::prompt, .prompt = tokens, .depth = depth}, 1, 5);
      }
      for (const uint32_t tokens : options_.generate) {
        if (tokens != 0) add({.kind = Kind::generation, .generate = tokens, .depth = depth}, 1, 5);
      }
    }
  }

  void add_scenarios() {
    const bool all =
        options_.scenarios.empty() || std::ranges::find(options_.scenarios, "all") != options_.scenarios.end();
    for (const Scenario& s : kScenarios) {
      if (!all && std::ranges::find(options_.scenarios, s.name) == options_.scenarios.end()) continue;
      add({.kind = Kind::scenario, .prompt = s.prompt, .generate = s.generate, .scenario = s.name}, 3, 5);
      tests_.back().optional = all;
    }
  }

  void add_steps() {
    if (options_.batch != 0) {
      add({.kind = Kind::forward, .prompt = options_.sequence, .batch = options_.batch}, options_.warmup_steps,
          options_.benchmark_steps);
    }
    if (options_.gen_input != 0) {
      add({.kind = Kind::scenario,
           .prompt = options_.gen_input,
           .generate = options_.gen_output,
           .scenario = formatted("%u+%u", options_.gen_input, options_.gen_output)},
          3, options_.gen_iterations);
    }
  }

  void add_sessions() {
    if (options_.generate.front() == 0) throw Stop(kUsage, "nothing to measure: -n is 0");
    for (const uint32_t sessions : options_.sessions.sessions) {
      add({.kind = Kind::sessions,
           .prompt = options_.prompt.front(),
           .generate = options_.generate.front(),
           .batch = sessions},
          1, 5);
    }
  }

  const BenchOptions& options_;
  uint32_t threads_ = 0;
  std::vector<PlannedTest> tests_;
};

}  // namespace

std::vector<PlannedTest> planned(const BenchOptions& options) { return Plan(options).tests(); }

}  // namespace bitnet::program
