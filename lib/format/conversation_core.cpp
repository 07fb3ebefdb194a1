// SPDX-License-Identifier: MIT
// In place of conversation.cpp where there is no JSON.
#include "base/error.h"
#include "format/conversation.h"

namespace bitnet {
namespace {

[[noreturn]] void refuse() {
  fail(BITNET_ERROR_UNSUPPORTED,
       "this build of libbitnet (BITNET_CORE) has no JSON, so it neither saves nor loads conversations; keep their "
       "messages yourself");
}

}  // namespace

std::string write_conversation(const std::string&, std::span<const Message>) { refuse(); }
std::vector<Message> read_conversation(std::string_view) { refuse(); }

}  // namespace bitnet
