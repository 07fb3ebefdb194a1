// SPDX-License-Identifier: MIT
// tokenizer.model of a hostile folder: it is refused with an Error, or makes a vocabulary.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "format/sentencepiece_model.h"
#include "text/tokenizer.h"
#include "tokenizer/imported.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bitnet;
  constexpr std::string_view kText = "It's 123 a\u2581b \xFF e\u0301  \n<s>";
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    TokenizerFile file = read_sentencepiece_model(bytes);
    fb::TokenizerT& out = file.tokenizer;
    file.tokens.write(0, out);
    if (out.types.size() != out.ends.size() || out.ends.back() != out.pieces.size()) std::abort();
    const auto known = [&](std::optional<Token> token) { return !token || file.tokens.has(*token); };
    if (!known(file.front) || !known(file.back)) std::abort();
    const Tokenizer tokenizer(view_of(out));
    for (const Token token : tokenizer.encode(kText, {.special = true})) tokenizer.piece(token);
  } catch (const Error&) {
  }
  return 0;
}
