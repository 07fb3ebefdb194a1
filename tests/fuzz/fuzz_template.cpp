// SPDX-License-Identifier: MIT
// A chat template from a hostile file, and a conversation: it may be refused, but nothing else may go wrong.
#include <cstddef>
#include <cstdint>
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
    bitnet::ChatTemplate(source).render(messages, {.bos_token = "<s>", .eos_token = "</s>"});
  } catch (const bitnet::Error&) {
  }
  return 0;
}
