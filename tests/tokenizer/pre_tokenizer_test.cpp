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
  EXPECT_EQ(split("smollm", "x 12 y"), (Words{"x", " ", "1", "2", " y"}));
  EXPECT_EQ(split("falcon", "a1234 (b)"), (Words{"a", "123", "4", " ", "(", "b", ")"}));
}

// Falcon's digits are cut behind Hugging Face's ByteLevel, which writes the last byte of U+00BD as a fraction.
TEST(PreTokenizer, CutsDigitsOutOfBytesWhereTheModelDoes) {
  EXPECT_EQ(split("falcon", "\u00BD"), (Words{"\xC2", "\xBD"}));
  EXPECT_EQ(split("falcon3", "a 1234 \u00BD!?"), (Words{"a", " ", "1", "2", "3", "4", " \u00BD", "!?"}));
  EXPECT_EQ(split("falcon_e", "12"), (Words{"1", "2"}));
}

TEST(PreTokenizer, CutsAsDeepseek) {
  EXPECT_EQ(split("deepseek-coder", "int x12 = a;\n\u4F60\u597D"),
            (Words{"int", " x", "1", "2", " =", " a", ";", "\n", "\u4F60\u597D"}));
  EXPECT_EQ(split("deepseek-llm", "a b12,  \n\u4F60\u597D   "),
            (Words{"a", " b", "1", "2", ",", "  ", "\n", "\u4F60\u597D", "   "}));
  EXPECT_EQ(split("deepseek-v3", "don't 12345 \u4F60\u597D"),
            (Words{"don", "'t", " ", "123", "45", " ", "\u4F60\u597D"}));
}

// A combining mark belongs to its letter; and what has a composed form is composed, as the model's normalizer does.
TEST(PreTokenizer, KeepsMarksWithTheirLettersWhereTheModelDoes) {
  EXPECT_EQ(split("qwen35", "x\u0332y"), (Words{"x\u0332y"}));
  EXPECT_EQ(split("qwen2", "x\u0332y"), (Words{"x", "\u0332y"}));
  EXPECT_EQ(split("qwen2", "e\u0301t"), (Words{"\u00E9t"}));
  EXPECT_EQ(split("deepseek-r1-qwen", "e\u0301t"), (Words{"e", "\u0301t"}));
  EXPECT_EQ(split("gpt-neox", "e\u0301"), (Words{"\u00E9"}));
  EXPECT_EQ(split("gpt-2", "e\u0301"), (Words{"e", "\u0301"}));
}

// The published expression for white space at the end is quadratic in a run that is not at the end.
TEST(PreTokenizer, CutsLongRunsInLinearTime) {
  const std::string spaces(1 << 20, ' ');
  for (const char* rule : {"deepseek-llm", "deepseek-coder", "deepseek-v3", "falcon3", "qwen35"}) {
    EXPECT_GE(split(rule, "\u4F60" + spaces + "\u4F60").size(), 3u) << rule;
  }
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
  for (const char* rule : {"llama-bpe", "gpt-2", "qwen2", "qwen35", "gpt-4o", "tekken", "starcoder", "falcon",
                           "falcon3", "deepseek-llm", "deepseek-coder", "deepseek-v3", "default"}) {
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
