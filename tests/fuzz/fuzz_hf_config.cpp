// SPDX-License-Identifier: MIT
// Any text as a config.json: reading it ends in a description of a model or an Error.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "format/hf_config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    bitnet::read_hf_config(bitnet::parse_json({reinterpret_cast<const char*>(data), size}));
  } catch (const bitnet::Error&) {
  }
  return 0;
}
