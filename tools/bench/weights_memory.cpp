// SPDX-License-Identifier: MIT
#include "bench/weights_memory.h"

#include "terminal.h"

namespace bitnet::program {

std::string WeightsMemory::text() const {
  return std::string(mapped ? "mapped, " : "copied, ") +
         (huge_bytes > 0 ? bytes_text(huge_bytes) + " huge" : std::to_string(page_bytes >> 10) + " KiB pages");
}

}  // namespace bitnet::program
