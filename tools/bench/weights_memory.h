// SPDX-License-Identifier: MIT
// How the system holds a model's weights in memory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace bitnet::program {

struct WeightsMemory {
  bool mapped;          // most are pages of the file itself; otherwise of a copy
  uint64_t page_bytes;  // of an ordinary page
  uint64_t huge_bytes;  // in huge pages: of the file, or of all the program's memory if there is a copy
  std::string text() const;
};

// Of the weights of that file, as they lie after use: whether most are a copy is the model's to say. Empty where the
// system does not say the rest.
std::optional<WeightsMemory> weights_memory(const std::string& path, bool copied);

}  // namespace bitnet::program
