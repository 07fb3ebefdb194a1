// SPDX-License-Identifier: MIT
// The tables that a build can hold; dispatch.cpp says which of them a CPU can run.
#pragma once

#include <span>
#include <string_view>

#include "kernels.h"

namespace bitnet {

extern const Kernels scalar_kernels;
extern const Kernels sse2_kernels;        // x86-64 baseline
extern const Kernels sse41_kernels;       // SSSE3, SSE4.1
extern const Kernels avx2_kernels;        // AVX2, F16C
extern const Kernels avxvnni_kernels;     // and AVX-VNNI
extern const Kernels avx512_kernels;      // AVX-512 F, BW, VL, DQ
extern const Kernels avx512vnni_kernels;  // and VNNI
// Of avx512vnni with other ternary products:
extern const TernaryKernels avx512vbmi_ternary;  // by VBMI
extern const TernaryKernels amx_ternary;         // by the int8 tiles of AMX, and VBMI

extern const Kernels neon_kernels;     // Armv8-A baseline
extern const Kernels dotprod_kernels;  // and the dot products of Armv8.2-A
extern const Kernels i8mm_kernels;     // and the int8 matrix products of Armv8.6-A

// A table with other ternary products, under a name of its own.
Kernels with_ternary(const Kernels& table, const char* name, const TernaryKernels& ternary);

// A table of this build, and whether this CPU can run it.
struct Choice {
  const Kernels* table;
  bool runs;
  // Requests from the operating system what the table needs beyond the CPU; false: it refuses. Null: nothing is needed.
  // A request is for the whole process and cannot be undone, so it is made only for a table that will be used.
  bool (*request)() = nullptr;
};

// The table of that name; for an empty name the first one that can be used. Null if there is none. Makes the request of
// a table only if the tables before it cannot be meant.
const Kernels* choose(std::span<const Choice> choices, std::string_view name);
// The first one that needs no request.
const Kernels* choose_unrequested(std::span<const Choice> choices);

}  // namespace bitnet
