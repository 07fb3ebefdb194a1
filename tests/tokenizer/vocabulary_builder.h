// SPDX-License-Identifier: MIT
// Owns the data of a vocabulary that a test puts together.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/byte_alphabet.h"
#include "text/utf8.h"
#include "text/vocabulary.h"

namespace bitnet {

class VocabularyBuilder {
 public:
  explicit VocabularyBuilder(TokenizerKind kind) : kind_(kind) {}

  Token add(std::string_view piece, TokenType type = TokenType::normal, float score = 0) {
    bytes_ += piece;
    ends_.push_back(static_cast<uint32_t>(bytes_.size()));
    types_.push_back(static_cast<uint8_t>(type));
    scores_.push_back(score);
    return static_cast<Token>(ends_.size() - 1);
  }

  void merge(Token left, Token right) { merges_.push_back({left, right}); }

  // Tokens 0 to 255: every byte, as the kind writes it.
  void add_bytes() {
    for (int byte = 0; byte < 256; ++byte) {
      std::string piece;
      if (kind_ == TokenizerKind::byte_bpe) {
        append_utf8(byte_to_alphabet(static_cast<uint8_t>(byte)), piece);
        add(piece);
      } else {
        constexpr char kDigits[] = "0123456789ABCDEF";
        add(std::string("<0x") + kDigits[byte >> 4] + kDigits[byte & 15] + ">", TokenType::byte);
      }
    }
  }

  // Valid as long as the builder, and until something is added to it.
  Vocabulary view() const {
    Vocabulary vocabulary;
    vocabulary.kind = kind_;
    vocabulary.pre_tokenizer = pre_tokenizer;
    vocabulary.pieces = {bytes_, ends_};
    vocabulary.types = types_;
    if (kind_ == TokenizerKind::sentencepiece) vocabulary.scores = scores_;
    vocabulary.merges = merges_;
    vocabulary.bos = bos;
    vocabulary.eos = eos;
    vocabulary.unknown = unknown;
    vocabulary.add_bos = add_bos;
    vocabulary.add_eos = add_eos;
    vocabulary.add_space_prefix = add_space_prefix;
    return vocabulary;
  }

  std::string pre_tokenizer = "gpt-2";
  Token bos = kNoToken, eos = kNoToken, unknown = kNoToken;
  bool add_bos = false, add_eos = false;
  bool add_space_prefix = true;

 private:
  TokenizerKind kind_;
  std::string bytes_;
  std::vector<uint32_t> ends_;
  std::vector<uint8_t> types_;
  std::vector<float> scores_;
  std::vector<Merge> merges_;
};

}  // namespace bitnet
