// SPDX-License-Identifier: MIT
// The limits of the machine, as measured when asked.
#pragma once

namespace bitnet {

// Multiply-adds a second of one core, from register to register, with the instructions of a kernel table; 0 where it is
// not known how to measure that.
struct ComputePeaks {
  double int8_macs;   // products of int8 added to wider integers
  double float_macs;  // float multiplications, each with an addition that rounds by itself
  double fused_macs;  // fused multiply-adds; as float_macs if there are none
};
ComputePeaks measure_compute(const char* isa);

// Bytes a second of reading memory forward.
struct MemoryPeaks {
  unsigned threads;  // what "all" means
  double one_small, one_huge, all_small, all_huge;
};
MemoryPeaks measure_memory();

}  // namespace bitnet
