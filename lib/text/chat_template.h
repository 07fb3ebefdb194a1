// SPDX-License-Identifier: MIT
// Renders a conversation with the Jinja template that came with the model, as Hugging Face's apply_chat_template does:
// trim_blocks and lstrip_blocks on, no autoescape. The constructs that are understood are listed in docs/tokenizers.md;
// anything else is refused when it is reached, or when the template is parsed.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "text/marked_text.h"

namespace bitnet {

struct ChatMessage {
  std::string_view role;
  std::string_view content;
};

struct ChatVariables {
  bool add_generation_prompt = true;
  // Undefined in the template where the model has none.
  std::optional<std::string_view> bos_token = {}, eos_token = {}, unk_token = {}, pad_token = {};
};

class ChatTemplate {
 public:
  // BITNET_ERROR_UNSUPPORTED for a construct that is not understood, BITNET_ERROR_FORMAT for what is not Jinja; both
  // name the line. `source` is not needed afterwards.
  explicit ChatTemplate(std::string_view source);
  ~ChatTemplate();

  // Any number of threads may render at once. BITNET_ERROR_ARGUMENT if the template rejects the conversation (its
  // raise_exception), BITNET_ERROR_FORMAT if it goes wrong, BITNET_ERROR_UNSUPPORTED if it takes too much work.
  MarkedText render(std::span<const ChatMessage> messages, const ChatVariables& variables) const;

 private:
  struct Program;
  std::unique_ptr<const Program> program_;
};

}  // namespace bitnet
