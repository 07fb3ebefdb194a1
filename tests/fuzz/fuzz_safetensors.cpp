// SPDX-License-Identifier: MIT
// Any bytes as a safetensors file: reading it ends in tensors, all of whose values are there, or an Error.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"
#include "format/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    for (const bitnet::Safetensor& tensor : bitnet::read_safetensors(std::as_bytes(std::span(data, size)))) {
      if (tensor.type == bitnet::Safetype::other) continue;
      std::vector<float> values(tensor.rows * tensor.cols);
      bitnet::safetensor_values(tensor, 0, values);
    }
  } catch (const bitnet::Error&) {
  }
  return 0;
}
