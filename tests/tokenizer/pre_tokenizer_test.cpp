// SPDX-License-Identifier: MIT
// Where the published expressions cut. The expected words are what Hugging Face's tokenizers (Rust) gives for them.
#include "text/pre_tokenizer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace bitnet {
namespace {

using Words = std::vector<std::string>;

Words split(std::string_view rule, std::string_view text) {
  Words words;
  PreTokenizer(rule).split(text, [&](std::string_view word) { words.emplace_back(word); });
  return words;
}

TEST(PreTokenizer, CutsAsGpt2) {
  EXPECT_EQ(split("gpt-2", "It's  12345 don'T\n\n x!"),
            (Words{"It", "'s", " ", " 12345", " don", "'", "T", "\n\n", " x", "!"}));
}

TEST(PreTokenizer, CutsAsLlama3) {
  EXPECT_EQ(split("llama-bpe", "It's  12345 don'T\n\n x!\n\n"),
            (Words{"It", "'s", " ", " ", "123", "45", " don", "'T", "\n\n", " x", "!\n\n"}));
}

TEST(PreTokenizer, CutsAsQwen2) { EXPECT_EQ(split("qwen2", "a 123 b"), (Words{"a", " ", "1", "2", "3", " b"})); }

TEST(PreTokenizer, CutsAsGpt4o) {
  EXPECT_EQ(split("gpt-4o", "HelloWorld's 1234/\n"), (Words{"Hello", "World's", " ", "123", "4", "/\n"}));
}

TEST(PreTokenizer, CutsDigitsOutFirstWhereTheModelDoes) {
  EXPECT_EQ(split("starcoder", "x 12 y"), (Words{"x", " ", "1", "2", " y"}));
  EXPECT_EQ(split("falcon", "a1234 (b)"), (Words{"a", "123", "4", " ", "(", "b", ")"}));
}

// U+0085 is white space to Unicode, and U+180E and U+FEFF are not.
TEST(PreTokenizer, KnowsUnicodesWhiteSpace) {
  EXPECT_EQ(split("llama-bpe", "a\u0085\u0085b"), (Words{"a", "\u0085", "\u0085b"}));
  EXPECT_EQ(split("llama-bpe", "!\u180E\uFEFF!"), (Words{"!\u180E\uFEFF!"}));
}

// The long s is an s to a search without regard to case.
TEST(PreTokenizer, FoldsCaseAsUnicodeDoes) { EXPECT_EQ(split("llama-bpe", "it'\u017F"), (Words{"it", "'\u017F"})); }

TEST(PreTokenizer, MakesAWordOfEachRunOfInvalidBytes) {
  EXPECT_EQ(split("gpt-2", "ab \xFF\xC3 cd"), (Words{"ab", " ", "\xFF\xC3", " cd"}));
  EXPECT_EQ(split("gpt-2", "\xF0\x9F\x99"), (Words{"\xF0\x9F\x99"}));
  EXPECT_EQ(split("gpt-2", "a  \xED\xA0\x80"), (Words{"a", "  ", "\xED\xA0\x80"}));
}

TEST(PreTokenizer, LosesNothing) {
  std::string text;
  for (int i = 0; i < 3000; ++i) text += static_cast<char>(i * 7 + i / 100);
  for (const char* rule : {"llama-bpe", "gpt-2", "qwen2", "gpt-4o", "tekken", "starcoder", "falcon", "default"}) {
    std::string joined;
    for (const std::string& word : split(rule, text)) {
      EXPECT_FALSE(word.empty());
      joined += word;
    }
    EXPECT_EQ(joined, text) << rule;
  }
}

}  // namespace
}  // namespace bitnet
