// SPDX-License-Identifier: MIT
// A document of runs in each of the forms that people and programs read.
#pragma once

#include <string>

#include "bench/run.h"

namespace bitnet::program {

std::string as_table(const Document& document, bool markdown);
std::string as_csv(const Document& document);   // a row for each metric of each run
std::string as_json(const Document& document);  // docs/benchmarks.md says what is where
std::string as_e2e(const Document& document);   // the table of bitnet.cpp's e2e_benchmark.py

// What scenarios of one subject and number of threads say together.
struct ScenarioSummary {
  const Subject* subject;
  uint32_t threads;
  std::vector<std::pair<uint32_t, double>> prompt_ms;  // tokens of the prompt; milliseconds a token
  double generation_variation;                         // of the scenarios' medians
};
std::vector<ScenarioSummary> scenario_summaries(const Document& document);

}  // namespace bitnet::program
