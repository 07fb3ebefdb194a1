// SPDX-License-Identifier: MIT
// A model's vocabulary as the tokenizers read it: views into the model's metadata, which must outlive them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace bitnet {

using Token = int32_t;
constexpr Token kNoToken = -1;

// Strings laid end to end; string i is bytes[ends[i-1] .. ends[i]).
struct StringTable {
  std::string_view bytes;
  std::span<const uint32_t> ends;

  size_t size() const { return ends.size(); }
  std::string_view operator[](size_t i) const {
    const uint32_t begin = i == 0 ? 0 : ends[i - 1];
    return bytes.substr(begin, ends[i] - begin);
  }
};

// The numbers are GGUF's (tokenizer.ggml.token_type).
enum class TokenType : uint8_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

enum class TokenizerKind : uint8_t {
  byte_bpe,       // GPT-2's: UTF-8 bytes written in GPT-2's printable alphabet, ranked merges ("gpt2" in GGUF)
  sentencepiece,  // SentencePiece BPE: scores or merges, U+2581 for space, byte fallback ("llama" in GGUF)
};

// Before which stretches of text between added tokens a space is put.
enum class SpacePrefix : uint8_t {
  always,   // each: SentencePiece
  missing,  // each that does not begin with one: Hugging Face's Metaspace, "always"
  first,    // the same, if the text begins with it: Metaspace, "first"
};

// A pair of tokens that BPE joins; its rank is its index.
struct Merge {
  Token left;
  Token right;
};

struct Vocabulary {
  TokenizerKind kind = TokenizerKind::byte_bpe;
  std::string_view pre_tokenizer;  // GGUF's name of the splitting rule: "llama-bpe", "gpt-2", ...; byte_bpe only
  StringTable pieces;              // as the file spells them (byte_bpe: in GPT-2's alphabet)
  std::span<const uint8_t> types;  // TokenType of each piece
  std::span<const float> scores;   // sentencepiece only, where there are no merges
  std::span<const Merge> merges;   // byte_bpe; or sentencepiece, in place of scores
  Token bos = kNoToken, eos = kNoToken, unknown = kNoToken, padding = kNoToken;
  std::span<const Token> end_tokens;  // tokens besides eos that end a text or a turn
  bool add_bos = false, add_eos = false;
  bool add_space_prefix = true;                    // sentencepiece only
  SpacePrefix space_prefix = SpacePrefix::always;  // where add_space_prefix
  std::string_view chat_template;                  // Jinja source; empty if the model has none
};

}  // namespace bitnet
