// SPDX-License-Identifier: MIT
// A vocabulary that is put together token by token, in any order, as Hugging Face's files have it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model_generated.h"
#include "text/vocabulary.h"

namespace bitnet {

class TokenList {
 public:
  // Errors name `place`, which is where the file says it. A number or a text that another token has is an error.
  void add(int64_t id, std::string_view text, TokenType type, const std::string& place);
  // A token that the file adds to its vocabulary, or describes again.
  void add_or_mark(int64_t id, std::string_view text, TokenType type, const std::string& place);
  void set_type(Token token, TokenType type) { types_[token] = static_cast<uint8_t>(type); }

  // Numbers up to the last; some may be missing.
  size_t size() const { return types_.size(); }
  std::optional<Token> find(std::string_view text) const;
  bool has(int64_t id) const { return id >= 0 && static_cast<size_t>(id) < size() && types_[id] != 0; }
  TokenType type(Token token) const { return static_cast<TokenType>(types_[token]); }
  const std::string& text(Token token) const { return texts_[token]; }

  // Writes the pieces and their types; what is missing, and what lies between the last token and the model's
  // `vocabulary`, is an unused [PAD...], as llama.cpp's converter has it.
  void write(size_t vocabulary, fb::TokenizerT& out) const;

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };

  std::vector<std::string> texts_;
  std::vector<uint8_t> types_;  // 0: missing
  std::unordered_map<std::string, Token, Hash, std::equal_to<>> tokens_;
  size_t bytes_ = 0;
};

}  // namespace bitnet
