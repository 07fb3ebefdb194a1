// SPDX-License-Identifier: MIT
// Text of any encoding as the program reads it: what is converted becomes valid UTF-8, all else stays as it is.
#include <cstdlib>
#include <string>

#include "handles.h"
#include "text/utf8.h"
#include "text_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bitnet::program;
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  try {
    const DecodedText decoded = decode_text(bytes, "input");
    const bool valid = bitnet::valid_utf8_prefix(decoded.text) == decoded.text.size();
    if (!valid && !bytes.ends_with(decoded.text)) std::abort();
    if (decoded.text != bytes && decoded.notes.empty()) std::abort();
  } catch (const Stop&) {
    if (!is_wide_text(bytes)) std::abort();
  }
  return 0;
}
