// SPDX-License-Identifier: MIT
// What templates take for a digit; and Python's idea of white space (str.isspace), for strip() and for the "-" of
// Jinja's tags.
#pragma once

#include <cstddef>
#include <string_view>

#include "text/utf8.h"

namespace bitnet::jinja {

inline bool is_digit(char c) { return c >= '0' && c <= '9'; }

inline bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

// Bytes of the last character.
inline size_t last_size(std::string_view text) {
  size_t size = 1;
  while (size < 4 && size < text.size() && (text[text.size() - size] & 0xC0) == 0x80) ++size;
  return next_utf8(text.substr(text.size() - size)).size == size ? size : 1;
}

template <typename Strip>
std::string_view strip_left(std::string_view text, Strip strip) {
  while (!text.empty()) {
    const size_t size = next_utf8(text).size;
    if (!strip(text.substr(0, size))) break;
    text.remove_prefix(size);
  }
  return text;
}

template <typename Strip>
std::string_view strip_right(std::string_view text, Strip strip) {
  while (!text.empty()) {
    const size_t size = last_size(text);
    if (!strip(text.substr(text.size() - size))) break;
    text.remove_suffix(size);
  }
  return text;
}

inline bool is_space_character(std::string_view character) {
  const Utf8Step step = next_utf8(character);
  return step.kind == Utf8Step::Kind::valid && is_space(step.point);
}

}  // namespace bitnet::jinja
