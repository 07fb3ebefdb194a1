// SPDX-License-Identifier: MIT
// bitnet bench --against-16-bits: ternary weights beside weights of 16 bits in models of the same shape, which is how
// papers on ternary models tell their speed (https://arxiv.org/abs/2410.16144).
#pragma once

#include <string>
#include <vector>

#include "bench/parts.h"
#include "bench/plan.h"

namespace bitnet::program {

// Writes models of random weights into the folder for temporary files, measures them in turn, and removes them. What
// does not fit into memory is left out, and the document says so.
void measure_against_16_bits(const BenchOptions& options, EnergyMeter* energy, Document& document);

}  // namespace bitnet::program
