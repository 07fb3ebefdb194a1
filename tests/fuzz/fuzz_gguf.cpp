// SPDX-License-Identifier: MIT
// Any bytes as a GGUF file: opening and loading end in a model or an Error.
#include <cstddef>
#include <cstdint>

#include "base/error.h"
#include "format/load.h"
#include "format/open.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  // The last byte chooses the options.
  const uint8_t choice = data[size - 1];
  bitnet::OpenOptions options;
  if (choice & 1) options.packing = bitnet::Packing::t5;
  if (choice & 2) options.head = bitnet::HeadType::int8;
  options.layout = static_cast<bitnet::I2sLayout>(choice >> 2 & 3);
  if (choice & 16) options.quantize = bitnet::Quantize::absmean;
  if (choice & 32) options.activation = bitnet::fb::Activation::silu;
  try {
    bitnet::load_model(bitnet::open_container(std::as_bytes(std::span(data, size - 1)), options));
  } catch (const bitnet::Error&) {
  }
  return 0;
}
