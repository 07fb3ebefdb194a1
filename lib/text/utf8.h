// SPDX-License-Identifier: MIT
// UTF-8, well-formed and otherwise. Ill-formed bytes are cut into the maximal subparts of the Unicode Standard (3.9,
// table 3-8) and of the WHATWG Encoding Standard: each would be one U+FFFD.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace bitnet {

constexpr char32_t kReplacement = 0xFFFD;

struct Utf8Step {
  enum class Kind { valid, invalid, truncated };  // truncated: the text ends where the character could still go on
  Kind kind;
  size_t size;     // bytes taken; at least 1
  char32_t point;  // kReplacement unless valid
};

// Reads the first character of a text that is not empty.
Utf8Step next_utf8(std::string_view text);

// Bytes up to the first that does not belong to a well-formed character.
size_t valid_utf8_prefix(std::string_view text);

void append_utf8(char32_t point, std::string& out);

}  // namespace bitnet
