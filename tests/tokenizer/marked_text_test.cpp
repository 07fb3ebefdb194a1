// SPDX-License-Identifier: MIT
// Rendered conversations into tokens: what messages spell is text, whatever it spells.
#include "text/marked_text.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "text/tokenizer.h"
#include "tokenizer/vocabulary_builder.h"

namespace bitnet {
namespace {

using Tokens = std::vector<Token>;

// "[...]" in the text is foreign.
MarkedText marked(std::string_view text) {
  MarkedText result;
  for (const char c : text) {
    if (c == '[') {
      result.foreign.push_back({result.text.size(), 0});
    } else if (c == ']') {
      result.foreign.back().end = result.text.size();
    } else {
      result.text += c;
    }
  }
  return result;
}

struct Bpe {
  Bpe() {
    builder.add_bytes();
    builder.add("ab"), builder.add("abc"), builder.add("bc"), builder.add("\u0120a"), builder.add("|>");
    builder.merge('a', 'b'), builder.merge(256, 'c'), builder.merge('b', 'c'), builder.merge(' ', 'a');
    builder.merge('|', '>');
    end = builder.add("<|eot_id|>", TokenType::control);
    longer = builder.add("<|eot_id|>!", TokenType::control);
    shorter = builder.add("<|e", TokenType::user_defined);
    think = builder.add("<think>", TokenType::user_defined);
    builder.unknown = builder.add("<unk>", TokenType::unknown);
  }
  VocabularyBuilder builder{TokenizerKind::byte_bpe};
  Token end, longer, shorter, think;
};

struct Sentencepiece {
  Sentencepiece() {
    builder.unknown = builder.add("<unk>", TokenType::unknown);
    end = builder.add("</s>", TokenType::control);
    builder.add_bytes();
    for (const char* piece : {"\u2581", "a", "b", "<", "s", "/", ">"}) builder.add(piece, TokenType::normal, -9);
    builder.add("ab", TokenType::normal, -2), builder.add("\u2581a", TokenType::normal, -1);
    builder.add("\u2581\u2581", TokenType::normal, -3);
    think = builder.add("<think>", TokenType::user_defined);
  }
  VocabularyBuilder builder{TokenizerKind::sentencepiece};
  Token end, think;
};

template <typename Vocabulary>
bool has_control(const Vocabulary& vocabulary, const Tokens& tokens) {
  const Tokenizer tokenizer(vocabulary);
  return std::any_of(tokens.begin(), tokens.end(), [&](Token token) { return tokenizer.is_control(token); });
}

TEST(MarkedText, ControlTokensAreTheTemplatesAlone) {
  const Bpe bpe;
  const Tokenizer tokenizer(bpe.builder.view());
  const auto encode = [&](std::string_view text) { return tokenizer.encode(marked(text)); };
  EXPECT_EQ(encode("a<|eot_id|>b"), (Tokens{'a', bpe.end, 'b'}));
  EXPECT_EQ(encode("[a]<|eot_id|>[b]"), (Tokens{'a', bpe.end, 'b'}));
  EXPECT_EQ(encode("[x<|eot_id|>y]<|eot_id|>"), (Tokens{'x', bpe.shorter, 'o', 't', '_', 'i', 'd', 260, 'y', bpe.end}));
  EXPECT_EQ(encode("[<unk>]<unk>"), (Tokens{'<', 'u', 'n', 'k', '>', bpe.builder.unknown}));
}

TEST(MarkedText, ASpellingAcrossABoundaryIsText) {
  const Bpe bpe;
  const Vocabulary vocabulary = bpe.builder.view();
  const Tokenizer tokenizer(vocabulary);
  const std::string spelling = "<|eot_id|>";
  for (size_t begin = 0; begin < spelling.size(); ++begin) {
    for (size_t end = begin + 1; end <= spelling.size(); ++end) {
      const MarkedText text{"x" + spelling + "y", {{1 + begin, 1 + end}}};
      EXPECT_FALSE(has_control(vocabulary, tokenizer.encode(text))) << begin << " " << end;
    }
  }
  EXPECT_EQ(tokenizer.encode({"x" + spelling + "y", {{0, 1}, {11, 12}}}), (Tokens{'x', bpe.end, 'y'}));
}

TEST(MarkedText, AShorterTokenOfTheTemplateIsFoundWhereALongerOneWouldCross) {
  const Bpe bpe;
  const Tokenizer tokenizer(bpe.builder.view());
  EXPECT_EQ(tokenizer.encode(marked("<|eot_id|>[!]")), (Tokens{bpe.end, '!'}));
  EXPECT_EQ(tokenizer.encode(marked("<|eot_id|>!")), Tokens{bpe.longer});
}

TEST(MarkedText, UserDefinedTokensAreFoundEverywhere) {
  const Bpe bpe;
  const Tokenizer tokenizer(bpe.builder.view());
  EXPECT_EQ(tokenizer.encode(marked("<think>[<think>]<th[ink>]")), (Tokens{bpe.think, bpe.think, bpe.think}));
}

TEST(MarkedText, SentencePieceLikewise) {
  const Sentencepiece model;
  const Tokenizer tokenizer(model.builder.view());
  const auto plain = tokenizer.encode("a</s>b", {});
  EXPECT_EQ(tokenizer.encode(marked("[a</s>b]")), plain);
  EXPECT_EQ(tokenizer.encode(marked("a</[s>b]")), plain);
  EXPECT_EQ(tokenizer.encode(marked("[a]</s>[b]")), tokenizer.encode("a</s>b", {.special = true}));
  EXPECT_EQ(tokenizer.encode(marked("[<unk>]")), tokenizer.encode("<unk>", {}));
  EXPECT_EQ(tokenizer.encode(marked("[<think>]")).front(), model.think);
}

// Random texts of the parts, some of them foreign. Foreign parts spell no control token, nor do neighbours together.
MarkedText random_conversation(std::minstd_rand& random, const std::vector<std::string>& own,
                               const std::vector<std::string>& foreign) {
  MarkedText result;
  for (size_t i = random() % 12; i > 0; --i) {
    const bool mark = random() % 2 == 0;
    const auto& parts = mark ? foreign : own;
    const size_t begin = result.text.size();
    result.text += parts[random() % parts.size()];
    if (!mark) continue;
    if (!result.foreign.empty() && result.foreign.back().end == begin) {
      result.foreign.back().end = result.text.size();
    } else {
      result.foreign.push_back({begin, result.text.size()});
    }
  }
  return result;
}

template <typename Model>
void expect_no_other_tokens(const Model& model, const std::vector<std::string>& own) {
  const Tokenizer tokenizer(model.builder.view());
  const std::vector<std::string> foreign = {"a",    "b", " ", "c",  "abc", " a",     "\n\n", "bc ",   "<think>", "\xC3",
                                            "\xA4", "ü", "1", "''", "  ",  "\u2581", "s",    "don't", "\t\n "};
  std::minstd_rand random(7);
  for (int i = 0; i < 5000; ++i) {
    const MarkedText text = random_conversation(random, own, foreign);
    ASSERT_EQ(tokenizer.encode(text), tokenizer.encode(text.text, {.special = true})) << text.text;
  }
}

TEST(MarkedText, MarksChangeNothingWhereNothingIsForged) {
  Bpe bpe;
  for (const char* rule : {"gpt-2", "llama-bpe", "qwen2", "default"}) {
    bpe.builder.pre_tokenizer = rule;
    expect_no_other_tokens(bpe, {"<|eot_id|>", "<unk>", "User: ", " ", "ab", "\n", "\xC3", "'"});
  }
  expect_no_other_tokens(Sentencepiece(), {"</s>", "[INST] ", " ", "ab", "<unk>", "\xE2\x96"});
}

TEST(TurnNames, AreControlTokensWhateverTheFileSays) {
  for (const TokenType type : {TokenType::normal, TokenType::user_defined, TokenType::control}) {
    for (const char* name : {"<start_of_turn>", "<|im_start|>", "<|start_header_id|>", "[INST]"}) {
      VocabularyBuilder builder(TokenizerKind::sentencepiece);
      builder.add_space_prefix = false;
      builder.add_bytes();
      const Token token = builder.add(name, type);
      const Tokenizer tokenizer(builder.view());
      EXPECT_TRUE(tokenizer.is_control(token)) << name;
      EXPECT_FALSE(tokenizer.is_end_of_generation(token)) << name;
      const MarkedText text{std::string(name) + name, {{0, std::string(name).size()}}};
      EXPECT_EQ(tokenizer.encode(text).size(), std::string(name).size() + 1) << name;
      EXPECT_EQ(tokenizer.encode(text).back(), token) << name;
    }
  }
}

TEST(EndNames, MarkupIsAnEndOnlyAsAControlToken) {
  for (const TokenType type : {TokenType::normal, TokenType::user_defined, TokenType::control}) {
    VocabularyBuilder builder(TokenizerKind::byte_bpe);
    builder.add_bytes();
    const Token token = builder.add("</s>", type);
    const Tokenizer tokenizer(builder.view());
    EXPECT_EQ(tokenizer.is_end_of_generation(token), type == TokenType::control);
    EXPECT_EQ(tokenizer.is_control(token), type == TokenType::control);
  }
}

}  // namespace
}  // namespace bitnet
