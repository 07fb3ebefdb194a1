// SPDX-License-Identifier: MIT
// Cuts a Jinja template into tokens, whitespace control applied (jinja2/lexer.py is the definition).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bitnet::jinja {

struct Lexeme {
  enum class Kind {
    text,  // between the tags
    print_begin,
    print_end,
    block_begin,
    block_end,
    name,
    string,
    integer,
    real,
    symbol,
    end,
  };
  Kind kind;
  std::string text;  // a string's is what it stands for
  uint32_t line;
};

// Ends with a lexeme of Kind::end. Throws Error naming the line.
std::vector<Lexeme> tokenize(std::string_view source);

}  // namespace bitnet::jinja
