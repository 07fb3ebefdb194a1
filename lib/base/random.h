// SPDX-License-Identifier: MIT
// Chance, for names that nobody else has and seeds that nobody chose. Not for samplers, whose numbers come from a seed
// alone.
#pragma once

#include <cstdint>

namespace bitnet {

// 64 bits of the system's. Throws std::exception where the system has none to give.
uint64_t random_bits();

}  // namespace bitnet
