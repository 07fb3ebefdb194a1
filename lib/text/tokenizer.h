// SPDX-License-Identifier: MIT
// Turns text into a model's tokens and back.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/added_tokens.h"
#include "text/index_table.h"
#include "text/marked_text.h"
#include "text/pair_merger.h"
#include "text/pre_tokenizer.h"
#include "text/vocabulary.h"

namespace bitnet {

struct EncodeOptions {
  bool special = false;  // control tokens written in the text ("<|eot_id|>") are those tokens; otherwise plain text
  bool bos_eos = false;  // begin and end the text as the model's add_bos and add_eos ask
};

struct DecodeOptions {
  bool special = false;       // write control tokens out; otherwise they are left out
  bool continuation = false;  // text came before: keep the space that SentencePiece puts before a text's first word
};

// After construction any number of threads may use it at once. The vocabulary's data must outlive it.
class Tokenizer {
 public:
  // Checks the vocabulary; BITNET_ERROR_FORMAT or BITNET_ERROR_UNSUPPORTED say what is wrong with it.
  explicit Tokenizer(const Vocabulary& vocabulary);
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  // User-defined tokens are found in the text first, the longest first, then, if asked for, control tokens; what lies
  // between them is encoded as the model's kind says. The text may hold any bytes.
  std::vector<Token> encode(std::string_view text, EncodeOptions options) const;

  // A rendered conversation. Control tokens are found outside the foreign ranges only; a spelling that shares a byte
  // with one is plain text. Nothing else depends on the ranges: where they spell no control token, this is
  // encode(text, {.special = true}).
  std::vector<Token> encode(const MarkedText& marked) const;

  // Appends the bytes that the tokens stand for: not necessarily UTF-8 (see StreamDecoder).
  void decode(std::span<const Token> tokens, DecodeOptions options, std::string& out) const;

  // The bytes of one token, control tokens spelt out, byte tokens as their byte.
  std::string piece(Token token) const { return std::string(text_of(token)); }

  size_t size() const { return types_.size(); }
  bool is_control(Token token) const;            // control, or the token for what is unknown
  bool is_end_of_generation(Token token) const;  // the model has ended its text or its turn

  const Vocabulary& vocabulary() const { return vocabulary_; }

 private:
  void check() const;
  void spell_out();
  void mark_turns();
  std::vector<Token> tokens_of(std::initializer_list<TokenType> types) const;
  void index_pieces();
  void index_merges();
  void find_byte_tokens();

  TokenType type_of(Token token) const { return static_cast<TokenType>(types_[token]); }
  std::string_view text_of(Token token) const;
  Token find_ordinary(std::string_view text) const;
  std::optional<Joined> merge_rank(const Symbol& left, const Symbol& right) const;
  std::optional<Joined> join_score(const Symbol& left, const Symbol& right) const;
  template <typename Find>
  void encode_parts(std::string_view text, const Find& find, std::vector<Token>& out) const;
  void encode_plain(std::string_view text, bool first, PairMerger& merger, std::vector<Token>& out) const;
  void encode_byte_bpe(std::string_view text, PairMerger& merger, std::vector<Token>& out) const;
  bool needs_space(std::string_view text, bool first) const;
  void encode_sentencepiece(std::string_view text, bool first, PairMerger& merger, std::vector<Token>& out) const;
  void encode_word(std::string_view word, PairMerger& merger, std::vector<Token>& out) const;
  void append_tokens(const PairMerger& merger, std::vector<Token>& out) const;
  void append_bytes(std::string_view text, std::vector<Token>& out) const;

  Vocabulary vocabulary_;
  std::vector<uint8_t> types_;
  std::string bytes_;                     // what each token stands for, end to end
  std::vector<uint32_t> ends_;            // as StringTable's
  StringTable texts_;                     // of the two above
  size_t longest_ = 0;                    // bytes of the longest token that ordinary text can give
  bool spaces_lead_ = true;               // no such token has a space behind another character
  std::vector<Token> end_of_generation_;  // sorted
  std::array<Token, 256> byte_tokens_{};  // kNoToken where the vocabulary has none
  IndexTable ordinary_{0};                // tokens that ordinary text can give, by their text
  IndexTable merges_{0};                  // pairs to ranks
  std::optional<AddedTokens> user_defined_, all_added_;
  std::optional<PreTokenizer> pre_tokenizer_;
};

}  // namespace bitnet
