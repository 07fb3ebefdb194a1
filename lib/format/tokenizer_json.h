// SPDX-License-Identifier: MIT
// tokenizer.json, the file of Hugging Face's tokenizers. What libbitnet computes otherwise than they do is refused by
// name, or the log told where it concerns few texts.
#pragma once

#include <optional>

#include "base/log.h"
#include "format/json.h"
#include "format/token_list.h"
#include "model_generated.h"

namespace bitnet {

struct TokenizerFile {
  TokenList tokens;
  fb::TokenizerT tokenizer;            // kind, rule, merges or scores, spaces; `tokens` has the pieces and their types
  std::optional<Token> front, back;    // what encoding puts around a text
  std::optional<std::string> unknown;  // the text of the token for what is unknown
};

TokenizerFile read_tokenizer_json(const Json& json, const Log& log);

// A token that `entry` describes (content, special, lstrip, ...).
void add_described_token(int64_t id, const JsonValue& entry, const Log& log, TokenizerFile& out);

}  // namespace bitnet
