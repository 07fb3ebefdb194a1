// SPDX-License-Identifier: MIT
#include "format/conversation.h"

#include "base/error.h"
#include "format/json.h"

namespace bitnet {
namespace {

void check_size(size_t size) {
  require(size <= kMostConversationBytes, BITNET_ERROR_UNSUPPORTED, "a conversation of ", size,
          " bytes is more than the ", kMostConversationBytes, " that are saved or loaded");
}

Message read_message(const JsonValue& json) {
  for (const auto& [key, value] : json.object().items()) {
    require(key == "role" || key == "content" || value.is_null(), BITNET_ERROR_UNSUPPORTED, json.place(), " has \"",
            key, "\", which this version does not keep: only role and content");
  }
  Message message = {std::string(json.at("role").text()), std::string(json.at("content").text())};
  if (message.role.find('\0') != std::string::npos) json.at("role").refuse("a text without zero bytes");
  return message;
}

}  // namespace

std::string write_conversation(const std::string& model, std::span<const Message> messages) {
  using Ordered = nlohmann::ordered_json;
  Ordered list = Ordered::array();
  for (const Message& message : messages) list.push_back({{"role", message.role}, {"content", message.content}});
  const Ordered json = {{"model", model}, {"messages", std::move(list)}};
  std::string text = json.dump(1, ' ', false, Ordered::error_handler_t::replace) + "\n";
  check_size(text.size());
  return text;
}

std::vector<Message> read_conversation(std::string_view text) {
  check_size(text.size());
  const Json json = parse_json(text);
  const JsonValue list = JsonValue(json).at("messages");
  std::vector<Message> messages;
  for (size_t i = 0; i < list.size(); ++i) messages.push_back(read_message(list[i]));
  return messages;
}

}  // namespace bitnet
