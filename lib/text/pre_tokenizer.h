// SPDX-License-Identifier: MIT
// Cuts a text into the words that byte-level BPE works on, with the regular expressions that the models were published
// with (splitting_rules.h), run by PCRE2.
//
// Bytes that are not UTF-8 have no published meaning: every longest run of them is a word of its own, and the
// expressions see the text around it as if it ended there. No byte is ever lost.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

typedef struct pcre2_real_code_8 pcre2_code_8;

namespace bitnet {

class PreTokenizer {
 public:
  using Emit = std::function<void(std::string_view word)>;

  struct FreeCode {
    void operator()(pcre2_code_8* code) const;
  };
  using CodePtr = std::unique_ptr<pcre2_code_8, FreeCode>;

  // `name` is GGUF's (tokenizer.ggml.pre). BITNET_ERROR_UNSUPPORTED, listing the known names, for any other.
  explicit PreTokenizer(std::string_view name);
  ~PreTokenizer();

  // The model takes a word that is itself in the vocabulary whole, without looking at the merges.
  bool ignores_merges() const { return ignores_merges_; }

  // Calls `emit` for each word in turn; laid end to end they are the text, in NFC if the rule asks for that. A word is
  // valid during the call. Any number of threads may split at once.
  void split(std::string_view text, const Emit& emit) const;

 private:
  void split_valid(std::string_view text, size_t expression, const Emit& emit) const;

  std::vector<CodePtr> expressions_;  // each cuts what the one before it left
  bool composes_ = false;
  bool ignores_merges_ = false;
};

}  // namespace bitnet
