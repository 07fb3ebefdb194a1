// SPDX-License-Identifier: MIT
#include "format/token_list.h"

#include <algorithm>

#include "base/error.h"
#include "format/vocabulary_limits.h"

namespace bitnet {

void TokenList::add(int64_t id, std::string_view text, TokenType type, const std::string& place) {
  require(id >= 0 && static_cast<size_t>(id) < kMaxTokens, BITNET_ERROR_FORMAT, place, ": token ", id,
          "; there can be tokens from 0 to ", kMaxTokens - 1);
  require(!has(id), BITNET_ERROR_FORMAT, place, ": token ", id, " is there twice");
  const auto [known, added] = tokens_.emplace(text, static_cast<Token>(id));
  require(added, BITNET_ERROR_FORMAT, place, ": tokens ", known->second, " and ", id, " have the same text");
  bytes_ += text.size();
  require(bytes_ <= kMaxTextBytes, BITNET_ERROR_UNSUPPORTED, place, ": the texts of the tokens have more than ",
          kMaxTextBytes, " bytes");
  if (static_cast<size_t>(id) >= size()) {
    texts_.resize(id + 1);
    types_.resize(id + 1);
  }
  texts_[id] = text;
  set_type(static_cast<Token>(id), type);
}

void TokenList::add_or_mark(int64_t id, std::string_view text, TokenType type, const std::string& place) {
  const std::optional<Token> known = find(text);
  if (!known) return add(id, text, type, place);
  require(*known == id, BITNET_ERROR_FORMAT, place, ": token ", id, " has the text of token ", *known);
  set_type(*known, type);
}

std::optional<Token> TokenList::find(std::string_view text) const {
  const auto found = tokens_.find(text);
  if (found == tokens_.end()) return std::nullopt;
  return found->second;
}

void TokenList::write(size_t vocabulary, fb::TokenizerT& out) const {
  require(vocabulary == 0 || size() <= vocabulary, BITNET_ERROR_FORMAT, "the tokenizer has token ", size() - 1,
          "; the model's vocabulary (vocab_size in config.json) ends at ", vocabulary - 1);
  const size_t count = std::max(size(), vocabulary);
  out.types = types_;
  out.types.resize(count);
  out.ends.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const std::string text = out.types[i] != 0 ? texts_[i] : "[PAD" + std::to_string(i) + "]";
    if (out.types[i] == 0) out.types[i] = static_cast<uint8_t>(TokenType::unused);
    out.pieces.insert(out.pieces.end(), text.begin(), text.end());
    out.ends.push_back(static_cast<uint32_t>(out.pieces.size()));
  }
}

}  // namespace bitnet
