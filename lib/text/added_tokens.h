// SPDX-License-Identifier: MIT
// Finds tokens that are written out in a text ("<|eot_id|>"): the leftmost, and of those the longest, as Hugging
// Face's tokenizers match added tokens.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/vocabulary.h"

namespace bitnet {

class AddedTokens {
 public:
  struct Match {
    size_t begin = std::string_view::npos;  // npos: there is none
    size_t size = 0;
    Token token = kNoToken;
  };

  // Longer ones are refused, so that a hostile vocabulary cannot make the search quadratic.
  static constexpr size_t kLongest = 1024;

  // Every token's text is texts[token], which must outlive this; empty texts are never found.
  AddedTokens(const StringTable& texts, std::vector<Token> tokens);

  Match find(std::string_view text, size_t from) const;
  // The longest that begins at this byte, if one does.
  Match longest_at(std::string_view text, size_t at) const;

 private:
  StringTable texts_;
  std::vector<Token> sorted_;             // by text, then by number
  std::array<uint32_t, 257> first_byte_;  // where in sorted_ the texts that begin with each byte start
};

}  // namespace bitnet
