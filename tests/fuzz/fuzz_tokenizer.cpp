// SPDX-License-Identifier: MIT
// A vocabulary from a hostile file, and a text: the vocabulary may be refused. If it is not, every token that encoding
// gives must decode, streaming must give well-formed UTF-8, and a vocabulary with all bytes must give the text back (in
// NFC where the rule asks for that).
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/composition.h"
#include "text/decoder.h"
#include "text/splitting_rules.h"
#include "text/tokenizer.h"
#include "text/utf8.h"
#include "tokenizer/vocabulary_builder.h"

namespace {

using namespace bitnet;

// Takes the input apart from its front; what is missing is zero.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}

  uint8_t byte() { return rest_.empty() ? 0 : static_cast<uint8_t>(bytes(1)[0]); }
  uint16_t word() { return static_cast<uint16_t>(byte() | byte() << 8); }
  std::string_view bytes(size_t count) {
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(taken.size());
    return taken;
  }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

void require(bool condition) {
  if (!condition) std::abort();
}

bool same(const Tokenizer& tokenizer, std::string_view a, std::string_view b) {
  const Vocabulary& vocabulary = tokenizer.vocabulary();
  const bool bytes = vocabulary.kind == TokenizerKind::byte_bpe && !vocabulary.pre_tokenizer.empty();
  const bool composes = bytes && rule_named(vocabulary.pre_tokenizer).composes;
  return composes ? compose(a) == compose(b) : a == b;
}

// Where some of the text is foreign: no control token comes of that, and no byte is lost.
void check_marked(const Tokenizer& tokenizer, std::string_view text, bool all_bytes) {
  if (text.empty()) return;
  const MarkedText whole{std::string(text), {{0, text.size()}}};
  const auto is_forged = [&](Token token) {
    return tokenizer.is_control(token) && token != tokenizer.vocabulary().unknown;
  };
  const std::vector<Token> plain = tokenizer.encode(whole);
  require(std::none_of(plain.begin(), plain.end(), is_forged));
  require(plain == tokenizer.encode(text, {}));
  require(tokenizer.encode(MarkedText{std::string(text), {}}) == tokenizer.encode(text, {.special = true}));
  const size_t begin = text.size() / 3, end = begin + (text.size() + 2) / 3;
  std::string bytes;
  tokenizer.decode(tokenizer.encode(MarkedText{std::string(text), {{begin, end}}}), {.special = true}, bytes);
  if (all_bytes) require(same(tokenizer, bytes, text));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr const char* kRules[] = {"llama-bpe", "gpt-2", "qwen2", "gpt-4o", "default", "", "starcoder", "?"};
  Input input(data, size);
  const uint8_t flags = input.byte();
  const bool all_bytes = flags & 1;
  VocabularyBuilder builder(flags & 2 ? TokenizerKind::sentencepiece : TokenizerKind::byte_bpe);
  builder.pre_tokenizer = kRules[flags >> 5];
  builder.add_space_prefix = flags & 4;
  if (all_bytes) builder.add_bytes();
  for (int count = input.byte(); count > 0; --count) {
    const uint8_t head = input.byte();
    const auto score = static_cast<float>(static_cast<int8_t>(input.byte()));
    builder.add(input.bytes(head >> 3), static_cast<TokenType>(head & 7),
                head == 255 ? std::bit_cast<float>(~0u) : score);
  }
  for (int count = input.byte(); count > 0; --count) {
    const Token left = static_cast<int16_t>(input.word());
    builder.merge(left, static_cast<int16_t>(input.word()));
  }
  builder.bos = static_cast<int8_t>(input.byte());
  builder.eos = static_cast<int8_t>(input.byte());
  builder.unknown = static_cast<int8_t>(input.byte());
  builder.add_bos = flags & 8;
  builder.add_eos = flags & 16;
  const std::string_view text = input.rest();

  try {
    const Tokenizer tokenizer(builder.view());
    for (const bool special : {false, true}) {
      const std::vector<Token> tokens = tokenizer.encode(text, {.special = special, .bos_eos = special});
      std::string bytes, streamed, well_formed;
      tokenizer.decode(tokens, {.special = true}, bytes);
      StreamDecoder decoder(tokenizer, {.special = true});
      for (const Token token : tokens) decoder.push(token, streamed);
      decoder.finish(streamed);
      append_well_formed(bytes, well_formed);
      require(streamed == well_formed);
      require(valid_utf8_prefix(streamed) == streamed.size());
      if (all_bytes && !(flags & 2) && !special) require(same(tokenizer, bytes, text));
    }
    check_marked(tokenizer, text, all_bytes && !(flags & 2));
  } catch (const Error&) {
  }
  return 0;
}
