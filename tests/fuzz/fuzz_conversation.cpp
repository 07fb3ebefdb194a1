// SPDX-License-Identifier: MIT
// A saved conversation of anyone's: it is refused with an Error, or read; what was read is written and read again as it
// was.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "format/conversation.h"

namespace {

bool same(const bitnet::Message& a, const bitnet::Message& b) { return a.role == b.role && a.content == b.content; }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bitnet;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  std::vector<Message> messages;
  try {
    messages = read_conversation(bytes);
  } catch (const Error&) {
    // As messages of a host that may hold any bytes: what is written can be read.
    messages = {{"user", std::string(bytes)}};
    const std::vector<Message> again = read_conversation(write_conversation(std::string(bytes), messages));
    if (again.size() != 1 || again[0].role != "user") std::abort();
    return 0;
  }
  const std::vector<Message> again = read_conversation(write_conversation("model", messages));
  if (!std::equal(messages.begin(), messages.end(), again.begin(), again.end(), same)) std::abort();
  return 0;
}
