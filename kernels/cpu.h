// SPDX-License-Identifier: MIT
// What the CPU at hand can run. Each processor's folder has a cpu.cpp that finds out.
#pragma once

#include <vector>

#include "layers.h"

namespace bitnet {

struct Feature {
  const char* name;
  bool present;
};

struct InstructionSet {
  const KernelLayer* layer;
  bool runs;
  // Requests from the operating system what the set needs beyond the CPU; false: it refuses. Null: nothing is needed.
  // A request is for the whole process and cannot be undone, so it is made only for a set that will be used.
  bool (*request)() = nullptr;
};

struct Cpu {
  std::vector<InstructionSet> sets;  // of this build, fastest first, but for scalar
  std::vector<Feature> features;     // that matter here
};

Cpu this_cpu();

}  // namespace bitnet
