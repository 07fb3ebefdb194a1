// SPDX-License-Identifier: MIT
// A chat template from a hostile file, and a conversation: it may be refused, but nothing else may go wrong, and what
// it says of foreign text is well-formed.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view source(reinterpret_cast<const char*>(data), size);
  const std::vector<bitnet::ChatMessage> messages = {{"system", "Be brief."},
                                                     {"user", " a \xF0\x9F\x99\x82 \xFF "},
                                                     {"assistant", "<think>\n1\n</think>\n2"},
                                                     {"user", ""}};
  try {
    const bitnet::MarkedText marked =
        bitnet::ChatTemplate(source).render(messages, {.bos_token = "<s>", .eos_token = "</s>"});
    size_t free = 0;  // where the next range may begin
    for (const bitnet::Range& range : marked.foreign) {
      if (range.begin < free || range.begin >= range.end || range.end > marked.text.size()) std::abort();
      free = range.end + 1;
    }
  } catch (const bitnet::Error&) {
  }
  return 0;
}
