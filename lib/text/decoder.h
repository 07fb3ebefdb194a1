// SPDX-License-Identifier: MIT
// Turns tokens into text as they come, never splitting a character.
#pragma once

#include <string>
#include <string_view>

#include "text/tokenizer.h"

namespace bitnet {

// The text it gives is always well-formed UTF-8: bytes that cannot become a character are U+FFFD, one for each maximal
// subpart (WHATWG Encoding Standard). The tokenizer must outlive it.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, DecodeOptions options = {})
      : tokenizer_(&tokenizer), options_(options), continuation_(options.continuation) {}

  // Appends what the token completes: nothing, while a character is unfinished. Returns how many bytes that was.
  size_t push(Token token, std::string& out);
  std::string push(Token token);

  // The end of the text: an unfinished character becomes U+FFFD. The decoder is then as new.
  size_t finish(std::string& out);
  std::string finish();

 private:
  size_t flush(std::string& out, bool last);

  const Tokenizer* tokenizer_;
  DecodeOptions options_;
  bool continuation_;
  std::string pending_;  // the first bytes of a character; at most three between calls
};

// Appends a text with everything ill-formed in it replaced as above.
void append_well_formed(std::string_view bytes, std::string& out);

}  // namespace bitnet
