// SPDX-License-Identifier: MIT
// Conversations as JSON: {"model": "name", "messages": [{"role": "user", "content": "Hi"}, ...]}
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/message.h"

namespace bitnet {

constexpr size_t kMostConversationBytes = size_t{16} << 20;

// Bytes that are not UTF-8 become U+FFFD. BITNET_ERROR_UNSUPPORTED for more than can be read again.
std::string write_conversation(const std::string& model, std::span<const Message> messages);

// BITNET_ERROR_FORMAT for what is no conversation, BITNET_ERROR_UNSUPPORTED for one with more in it than is kept.
std::vector<Message> read_conversation(std::string_view text);

}  // namespace bitnet
