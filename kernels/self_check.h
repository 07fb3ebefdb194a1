// SPDX-License-Identifier: MIT
#pragma once

#include "kernels.h"

namespace bitnet {

// Runs each function of a table once, on small inputs, and compares with the scalar one, bit for bit. False: they
// differ. For CPUs and emulators that do not compute what they promise. Takes a fraction of a millisecond, and 3 MiB of
// address space.
//
// An instruction that the CPU lacks ends the program: only a signal handler or another process could survive it, and a
// library installs no handler and starts no process. What can be told beforehand is cpu.cpp's part.
bool passes_self_check(const Kernels& table);

}  // namespace bitnet
