// SPDX-License-Identifier: MIT
#include "bench/weights_memory.h"

namespace bitnet::program {

// The system tells which pages are in memory, but not which of them are huge.
std::optional<WeightsMemory> weights_memory(const std::string&, bool) { return std::nullopt; }

}  // namespace bitnet::program
