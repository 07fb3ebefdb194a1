// SPDX-License-Identifier: MIT
// Which chat template a model is used with: the caller's, the file's, or a known one where the file's is a mistake.
#pragma once

#include <memory>
#include <string>

#include "base/log.h"
#include "text/chat_template.h"
#include "text/vocabulary.h"

namespace bitnet {

struct ChatTemplateChoice {
  std::string source;  // Jinja; empty if there is none
  std::string origin;  // as bitnet_model_info.chat_template_source
};

// The Jinja source that an option of the C API asks for: the name of a known template, the source itself, or a file.
// BITNET_ERROR_ARGUMENT if it is none of them. The log gets what was done to the text.
std::string read_chat_template(const std::string& option, const Log& log);

// `option` empty: the vocabulary's own template, or what stands in for it. The log gets what is worth knowing.
ChatTemplateChoice choose_chat_template(const std::string& option, const Vocabulary& vocabulary, const Log& log);

// The template that the option gave. Throws as ChatTemplate's constructor does, naming the option.
std::unique_ptr<const ChatTemplate> parse_chat_template(const std::string& option, const std::string& source);

}  // namespace bitnet
