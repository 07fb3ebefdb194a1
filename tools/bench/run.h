// SPDX-License-Identifier: MIT
// What `bitnet bench` finds: a document of runs. A run is a test of a subject, with all its samples; every form of
// output is made of it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/comparison.h"
#include "bench/machine.h"
#include "bench/weights_memory.h"

namespace bitnet::program {

enum class Kind : uint8_t {
  prompt,      // tokens evaluated together
  generation,  // tokens evaluated one by one
  scenario,    // a prompt, then generation
  forward,     // sequences evaluated together, nothing drawn
  sessions,    // sessions that generate at once
};
const char* name_of(Kind kind);

struct Test {
  Kind kind = Kind::prompt;
  uint32_t prompt = 0;    // tokens evaluated together, of each sequence
  uint32_t generate = 0;  // tokens drawn
  uint32_t depth = 0;     // tokens in the context before
  uint32_t batch = 1;     // sequences, or sessions
  uint32_t threads = 1;
  std::string scenario = {};  // "S1"

  std::string name() const;
  uint32_t context() const { return depth + prompt + generate; }
};

// A model as it was opened.
struct Subject {
  std::string path, name, architecture, isa, packing, head, kv;
  uint64_t file_bytes, parameters, token_bytes, checksum;
  double load_seconds;
};

// What one repetition, or another way of looking at one, gave: a value for each.
struct Metric {
  std::string name;  // with its unit, as the JSON has it
  std::vector<double> values;
};

struct Run {
  std::shared_ptr<const Subject> subject;
  Test test;
  std::string part = {};  // of a comparison
  std::vector<Metric> metrics = {};
  std::vector<std::pair<std::string, double>> facts = {};  // single numbers, named as metrics are
  std::vector<std::vector<double>> token_seconds = {};     // of each repetition, of each token after the first
  std::optional<WeightsMemory> weights = {};
  std::optional<ProcessMemory> memory = {};

  void add(const std::string& name, double value);
  const Metric* find(std::string_view name) const;
  const Metric& at(std::string_view name) const;
};

// Ternary weights beside weights of 16 bits, of one shape.
struct AgainstSixteenBits {
  std::string shape, packing, test;
  uint64_t parameters;
  std::string threads;  // "2"; of the best numbers "best: 4", of the two "best: 4, 8"
  std::string program;  // whose 16 bits are the faster; "" where they do not fit
  double sixteen = 0;   // tokens a second; 0: not measured
  double ternary = 0;
  std::optional<Interval> speed = {};  // of ternary to 16 bits; of best numbers of threads there are no pairs
  std::optional<double> sixteen_joules = {}, ternary_joules = {};  // a token
};

struct Document {
  Machine machine;
  double began = 0;  // seconds since 1970
  std::string energy_source = {}, energy_problem = {};
  std::vector<Run> runs = {};
  std::vector<Comparison> comparisons = {};
  std::vector<AgainstSixteenBits> against_sixteen_bits = {};
  std::vector<std::string> warnings = {}, notes = {}, advice = {};
};

}  // namespace bitnet::program
