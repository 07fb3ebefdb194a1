// SPDX-License-Identifier: MIT
// What figures mean for who chooses.
#pragma once

#include <string>
#include <vector>

#include "bench/run.h"

namespace bitnet::program {

// 1, 2, 3, 4, 6, 8, 12, ... up to `most`, which is among them.
std::vector<uint32_t> thread_sweep(uint32_t most);

// For each subject measured with several numbers of threads: which is best for prompts, and which for generation.
std::vector<std::string> thread_advice(const Document& document);

}  // namespace bitnet::program
