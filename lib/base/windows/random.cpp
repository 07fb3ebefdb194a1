// SPDX-License-Identifier: MIT
#include "base/random.h"

#include <random>

namespace bitnet {

uint64_t random_bits() {
  std::random_device random;
  return uint64_t{random()} << 32 | random();
}

}  // namespace bitnet
