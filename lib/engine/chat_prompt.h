// SPDX-License-Identifier: MIT
// A conversation as a model reads it.
#pragma once

#include <span>
#include <vector>

#include "engine/runtime.h"
#include "text/chat_template.h"
#include "text/marked_text.h"
#include "text/vocabulary.h"

namespace bitnet {

struct ChatForm {
  bool reply = true;   // end where the assistant's reply begins
  bool trust = false;  // contents may spell control tokens
  bool plain = false;  // without a template, contents are one text
};

// What the model's template writes. BITNET_ERROR_UNSUPPORTED where there is none, unless `plain`.
MarkedText render_chat(const Runtime& runtime, std::span<const ChatMessage> messages, const ChatForm& form);
std::vector<Token> tokenize_chat(const Runtime& runtime, std::span<const ChatMessage> messages, const ChatForm& form);

// Whether conversations are plain text here. Throws as render_chat does where they cannot be rendered at all.
bool is_plain_chat(const Runtime& runtime, const ChatForm& form);

// Puts the begin token that the vocabulary asks for before tokens that do not begin with it.
void add_begin_token(const Vocabulary& vocabulary, std::vector<Token>& tokens);

}  // namespace bitnet
