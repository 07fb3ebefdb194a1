// SPDX-License-Identifier: MIT
// Python's operations on strings, over texts that know which of their bytes are foreign.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "text/jinja/builtins.h"
#include "text/jinja/unicode.h"
#include "text/jinja/value.h"

namespace bitnet::jinja {

enum class Side { left, right, both };

template <typename Strip>
std::string_view strip(std::string_view text, Strip unwanted) {
  return strip_right(strip_left(text, unwanted), unwanted);
}

// `characters`: a string of what is stripped, or none for white space.
Text strip(const Text& text, const Value& characters, Side side);

// At most `most` times; no limit if negative.
Text replace(const Text& text, const std::string& old, const Text& with, int64_t most, Budget& budget);
List split(const Text& text, const Value& separator, int64_t most, Budget& budget);
List rsplit(const Text& text, const Value& separator, int64_t most, Budget& budget);

// `strict`: str.join(), which takes strings only; Jinja's filter writes anything as text.
Text join(const List& items, const Text& separator, bool strict, Budget& budget);

List lines_of(const Text& text, bool keep_ends, Budget& budget);
// Jinja's filter indent.
Text indented(const Text& text, const Text& indent, bool first, bool blank, Budget& budget);

// What str.find(sub, start, end) and its like look at: the arguments 1 and 2 count characters.
struct Window {
  std::string_view bytes;
  int64_t start;  // in characters
  bool outside;   // it begins behind the text or behind its own end
};
Window window_of(const Text& text, Arguments& arguments);

std::string without_underscores(std::string_view text);
// Python's int(text, base); nothing if it is no number of that base, an error if it does not fit.
std::optional<int64_t> read_integer(std::string_view text, int64_t base);

// Python knows every alphabet here; refuses what is not ASCII.
void require_ascii(char c, std::string_view what);
bool is_ascii_word(char c, std::string_view what);

}  // namespace bitnet::jinja
