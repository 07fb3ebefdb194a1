// SPDX-License-Identifier: MIT
#include "text/chat_template.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja/program.h"
#include "text/jinja/renderer.h"

namespace bitnet {

namespace {

// Templates make control tokens of these ("<|" + role + "|>"); any other role is as foreign as a content.
bool is_known_role(std::string_view role) {
  constexpr std::string_view kRoles[] = {"assistant", "developer", "function", "ipython",
                                         "model",     "system",    "tool",     "user"};
  return std::find(std::begin(kRoles), std::end(kRoles), role) != std::end(kRoles);
}

}  // namespace

struct ChatTemplate::Program {
  jinja::Program program;
};

ChatTemplate::ChatTemplate(std::string_view source) : program_(new Program{jinja::parse(source)}) {}

ChatTemplate::~ChatTemplate() = default;

// The variables that Hugging Face's apply_chat_template gives; no tools and no documents.
MarkedText ChatTemplate::render(std::span<const ChatMessage> messages, const ChatVariables& variables) const {
  jinja::List list;
  for (const ChatMessage& message : messages) {
    const jinja::Text role(std::string(message.role), !is_known_role(message.role));
    const jinja::Text content(std::string(message.content), true);
    list.push_back(jinja::Dict{{"role", role}, {"content", content}});
  }
  std::vector<std::pair<std::string_view, jinja::Value>> known{
      {"messages", std::move(list)},
      {"add_generation_prompt", variables.add_generation_prompt},
      {"tools", jinja::None()},
      {"documents", jinja::None()}};
  const auto define = [&](const char* name, const std::optional<std::string_view>& token) {
    if (token) known.emplace_back(name, *token);
  };
  define("bos_token", variables.bos_token);
  define("eos_token", variables.eos_token);
  define("unk_token", variables.unk_token);
  define("pad_token", variables.pad_token);
  return jinja::render(program_->program, known);
}

}  // namespace bitnet
