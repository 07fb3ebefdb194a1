// SPDX-License-Identifier: MIT
#include "base/memory.h"

namespace bitnet {

// There is nothing to ask: a job that limits memory lets allocations fail, which are then answered as such.
uint64_t memory_limit(const std::string&) { return UINT64_MAX; }

}  // namespace bitnet
