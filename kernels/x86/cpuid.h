// SPDX-License-Identifier: MIT
// What CPUID and the operating system say of an x86-64 CPU, and what is made of it.
#pragma once

#include <cstdint>

#include "cpu.h"

namespace bitnet {

struct Cpuid {
  bool amd = false;
  uint32_t ecx1 = 0;                      // of leaf 1
  uint32_t ebx7 = 0, ecx7 = 0, edx7 = 0;  // of leaf 7
  uint32_t eax7_1 = 0;                    // of leaf 7, subleaf 1
  uint64_t saved = 0;                     // XCR0: the registers that the operating system saves
  bool grants_tiles = false;              // to those who request them
};

Cpu x86_cpu(const Cpuid& id);

}  // namespace bitnet
