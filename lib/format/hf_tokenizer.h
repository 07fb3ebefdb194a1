// SPDX-License-Identifier: MIT
// The tokenizer and the chat template of a model that Hugging Face's libraries saved as a folder.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/log.h"
#include "model_generated.h"

namespace bitnet {

struct HfTokenizer {
  std::unique_ptr<fb::TokenizerT> tokenizer;
  std::string chat_template;  // Jinja; empty if there is none
};

// Reads tokenizer.json, or tokenizer.model where that is missing; and, as far as they are there, added_tokens.json,
// tokenizer_config.json, special_tokens_map.json, generation_config.json, config.json, chat_template.jinja and
// chat_template.json. Texts become the tokens that transformers makes of them with add_special_tokens.
//
// `vocabulary`: rows of the model's embedding, to which unused tokens are added; 0: as many as the tokenizer has. The
// log gets what is worth knowing. Throws Error naming the file and the key that is missing, wrong or unsupported.
HfTokenizer read_hf_tokenizer(const std::string& folder, uint32_t vocabulary, const Log& log);

}  // namespace bitnet
