// SPDX-License-Identifier: MIT
// How byte-level BPE tokenizers prepare a text: whether they compose its characters, and the regular expressions that
// cut it into words.
#pragma once

#include <array>
#include <span>
#include <string_view>

namespace bitnet {

// What an expression matches is a piece, and so is what lies between two matches ("isolated", in Hugging Face's words).
struct Cut {
  std::string_view expression;   // as published; empty: none
  bool bytes = false;            // it sees bytes, not characters: Hugging Face runs it behind its ByteLevel step
  std::string_view linear = {};  // finds the same, in time linear in the text, where the published one does not

  bool operator==(const Cut& other) const { return expression == other.expression && bytes == other.bytes; }
};

struct SplittingRule {
  std::string_view name;        // GGUF's (tokenizer.ggml.pre)
  std::array<Cut, 6> cuts;      // each cuts what the ones before it left
  bool composes = false;        // the text is put into NFC first
  bool ignores_merges = false;  // a word that is itself in the vocabulary is taken whole, without a look at the merges
};

// The steps of Hugging Face's tokenizers that are no expression of the file's own.
namespace cuts {
extern const Cut kByteLevel;                  // ByteLevel with use_regex: GPT-2's expression
extern const Cut kPunctuation;                // Punctuation, Contiguous
extern const Cut kDigits, kByteDigits;        // Digits; behind ByteLevel, where U+00B2 and the like are digits
extern const Cut kEachDigit, kEachByteDigit;  // the same with individual_digits
}  // namespace cuts

// BITNET_ERROR_UNSUPPORTED, listing the known names, for any other.
const SplittingRule& rule_named(std::string_view name);

// The cut of some rule with this expression; null if no rule has it.
const Cut* find_cut(std::string_view expression, bool bytes);

// Null if there is none. `rule.name` does not count.
const SplittingRule* find_rule(const SplittingRule& rule);

}  // namespace bitnet
