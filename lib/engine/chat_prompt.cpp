// SPDX-License-Identifier: MIT
#include "engine/chat_prompt.h"

#include <optional>
#include <string>
#include <string_view>

namespace bitnet {
namespace {

MarkedText plain_text(std::span<const ChatMessage> messages) {
  MarkedText all;
  for (const ChatMessage& message : messages) {
    if (message.role == "user" && !all.text.empty()) all.text += '\n';
    all.text += message.content;
  }
  if (!all.text.empty()) all.foreign.push_back({0, all.text.size()});
  return all;
}

}  // namespace

bool is_plain_chat(const Runtime& runtime, const ChatForm& form) {
  if (form.plain && runtime.chat_template_choice().source.empty()) return true;
  runtime.chat_template();
  return false;
}

MarkedText render_chat(const Runtime& runtime, std::span<const ChatMessage> messages, const ChatForm& form) {
  if (is_plain_chat(runtime, form)) return plain_text(messages);
  const Tokenizer& tokenizer = runtime.tokenizer();
  const Vocabulary& vocabulary = tokenizer.vocabulary();
  std::string bos, eos, unknown, padding;
  const auto spelling = [&](Token token, std::string& text) -> std::optional<std::string_view> {
    if (token == kNoToken) return std::nullopt;
    return text = tokenizer.piece(token);
  };
  return runtime.chat_template().render(messages, {.add_generation_prompt = form.reply,
                                                   .bos_token = spelling(vocabulary.bos, bos),
                                                   .eos_token = spelling(vocabulary.eos, eos),
                                                   .unk_token = spelling(vocabulary.unknown, unknown),
                                                   .pad_token = spelling(vocabulary.padding, padding)});
}

std::vector<Token> tokenize_chat(const Runtime& runtime, std::span<const ChatMessage> messages, const ChatForm& form) {
  const MarkedText rendered = render_chat(runtime, messages, form);
  const Tokenizer& tokenizer = runtime.tokenizer();
  std::vector<Token> tokens =
      form.trust ? tokenizer.encode(rendered.text, {.special = true}) : tokenizer.encode(rendered);
  if (is_plain_chat(runtime, form)) add_begin_token(tokenizer.vocabulary(), tokens);  // a template writes its own
  return tokens;
}

void add_begin_token(const Vocabulary& vocabulary, std::vector<Token>& tokens) {
  if (!vocabulary.add_bos || vocabulary.bos == kNoToken) return;
  if (tokens.empty() || tokens.front() != vocabulary.bos) tokens.insert(tokens.begin(), vocabulary.bos);
}

}  // namespace bitnet
