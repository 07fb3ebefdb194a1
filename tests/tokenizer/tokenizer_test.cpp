// SPDX-License-Identifier: MIT
// What the tokenizers promise beyond agreeing with the reference (oracle_test.cpp), on vocabularies made for it.
#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "tokenizer/vocabulary_builder.h"

namespace bitnet {
namespace {

using Tokens = std::vector<Token>;

bitnet_status status_of(const Vocabulary& vocabulary) {
  try {
    Tokenizer{vocabulary};
  } catch (const Error& error) {
    return error.status();
  }
  return BITNET_OK;
}

std::string decoded(const Tokenizer& tokenizer, const Tokens& tokens, DecodeOptions options = {}) {
  std::string out;
  tokenizer.decode(tokens, options, out);
  return out;
}

// Tokens 0 to 255 are the bytes; then "ab" 256, "abc" 257, "bc" 258, " a" 259, in the order of their merges.
VocabularyBuilder small_bpe() {
  VocabularyBuilder builder(TokenizerKind::byte_bpe);
  builder.add_bytes();
  builder.add("ab"), builder.add("abc"), builder.add("bc"), builder.add("\u0120a");
  builder.merge('a', 'b'), builder.merge(256, 'c'), builder.merge('b', 'c'), builder.merge(' ', 'a');
  return builder;
}

VocabularyBuilder small_sentencepiece() {
  VocabularyBuilder builder(TokenizerKind::sentencepiece);
  builder.add_bytes();
  builder.add("\u2581", TokenType::normal, -9);        // 256
  builder.add("a", TokenType::normal, -9);             // 257
  builder.add("b", TokenType::normal, -9);             // 258
  builder.add("ab", TokenType::normal, -2);            // 259
  builder.add("\u2581a", TokenType::normal, -1);       // 260
  builder.add("\u2581\u2581", TokenType::normal, -3);  // 261
  return builder;
}

TEST(ByteBpe, JoinsTheLowestRankFirst) {
  const VocabularyBuilder builder = small_bpe();
  const Tokenizer tokenizer(builder.view());
  EXPECT_EQ(tokenizer.encode("abc", {}), Tokens{257});
  EXPECT_EQ(tokenizer.encode("bc", {}), Tokens{258});
  EXPECT_EQ(tokenizer.encode("x abc", {}), (Tokens{'x', ' ', 257}));
  EXPECT_EQ(tokenizer.encode("x a", {}), (Tokens{'x', 259}));
  EXPECT_EQ(tokenizer.encode("", {}), Tokens{});
}

TEST(ByteBpe, OfEqualPairsJoinsTheLeftmostFirst) {
  VocabularyBuilder builder(TokenizerKind::byte_bpe);
  builder.add_bytes();
  const Token pair = builder.add("aa");
  builder.merge('a', 'a');
  const Tokenizer tokenizer(builder.view());
  EXPECT_EQ(tokenizer.encode("aaaaa", {}), (Tokens{pair, pair, 'a'}));
}

TEST(ByteBpe, TakesAWordOfTheVocabularyWholeWhereTheModelDoes) {
  VocabularyBuilder builder(TokenizerKind::byte_bpe);
  builder.add_bytes();
  const Token word = builder.add("word");
  builder.pre_tokenizer = "llama-bpe";
  EXPECT_EQ(Tokenizer(builder.view()).encode("word", {}), Tokens{word});
  builder.pre_tokenizer = "gpt-2";
  EXPECT_EQ(Tokenizer(builder.view()).encode("word", {}), (Tokens{'w', 'o', 'r', 'd'}));
}

TEST(ByteBpe, PassesOverAMergeWhoseResultIsNotInTheVocabulary) {
  VocabularyBuilder builder(TokenizerKind::byte_bpe);
  builder.add_bytes();
  builder.merge('x', 'y');
  EXPECT_EQ(Tokenizer(builder.view()).encode("xy", {}), (Tokens{'x', 'y'}));
}

TEST(ByteBpe, GivesEveryByteBack) {
  const VocabularyBuilder builder = small_bpe();
  const Tokenizer tokenizer(builder.view());
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  EXPECT_EQ(decoded(tokenizer, tokenizer.encode(all, {})), all);
  std::mt19937 random(7);
  for (int round = 0; round < 500; ++round) {
    std::string text(random() % 40, '\0');
    for (char& c : text) c = static_cast<char>(random());
    EXPECT_EQ(decoded(tokenizer, tokenizer.encode(text, {})), text) << testing::PrintToString(text);
  }
}

TEST(ByteBpe, TreatsARunOfInvalidBytesAsAWord) {
  VocabularyBuilder builder(TokenizerKind::byte_bpe);
  builder.add_bytes();
  const Token pair = builder.add([] {
    std::string piece;
    append_utf8(byte_to_alphabet(0xFF), piece);
    append_utf8(byte_to_alphabet(0xFE), piece);
    return piece;
  }());
  builder.merge(0xFF, 0xFE), builder.merge('a', 0xFF);
  builder.pre_tokenizer = "llama-bpe";
  const Tokenizer tokenizer(builder.view());
  EXPECT_EQ(tokenizer.encode("a\xFF\xFE"
                             "b",
                             {}),
            (Tokens{'a', pair, 'b'}));
}

TEST(ByteBpe, UsesTheUnknownTokenForAByteThatItLacks) {
  VocabularyBuilder builder(TokenizerKind::byte_bpe);
  const Token a = builder.add("a");
  EXPECT_EQ(Tokenizer(builder.view()).encode("axxa", {}), (Tokens{a, a}));
  builder.unknown = builder.add("<unk>", TokenType::unknown);
  EXPECT_EQ(Tokenizer(builder.view()).encode("axxa", {}), (Tokens{a, builder.unknown, a}));
}

TEST(ByteBpe, IsNotSlowOnAMegabyteOfOneLetter) {
  const VocabularyBuilder builder = small_bpe();
  const Tokenizer tokenizer(builder.view());
  for (const char c : {'a', ' ', '\n', '1', '!'}) {
    const std::string text(1 << 20, c);
    EXPECT_EQ(decoded(tokenizer, tokenizer.encode(text, {})).size(), text.size());
  }
  std::string pairs;
  for (int i = 0; i < 1 << 19; ++i) pairs += "ab";
  EXPECT_EQ(tokenizer.encode(pairs, {}), Tokens(1 << 19, 256));
}

TEST(SentencePiece, JoinsTheHighestScoreFirst) {
  const VocabularyBuilder builder = small_sentencepiece();
  const Tokenizer tokenizer(builder.view());
  EXPECT_EQ(tokenizer.encode("ab", {}), (Tokens{260, 258}));  // " a" before "ab"
  EXPECT_EQ(tokenizer.encode("bab", {}), (Tokens{256, 258, 259}));
  EXPECT_EQ(tokenizer.encode(" a", {}), (Tokens{256, 260}));
}

// Where it has merges, only those join, in their order, whatever the scores.
TEST(SentencePiece, JoinsByMergesWhereItHasThem) {
  VocabularyBuilder builder = small_sentencepiece();
  builder.merge(257, 258);  // "ab" before " a"
  builder.merge(256, 257);
  const Tokenizer tokenizer(builder.view());
  EXPECT_EQ(tokenizer.encode("ab", {}), (Tokens{256, 259}));
  EXPECT_EQ(tokenizer.encode("a", {}), Tokens{260});
  EXPECT_EQ(tokenizer.encode(" b", {}), (Tokens{256, 256, 258})) << "no merge makes two spaces";
}

TEST(SentencePiece, PutsASpaceWhereTheModelDoes) {
  VocabularyBuilder builder = small_sentencepiece();
  const Token x = builder.add("<x>", TokenType::user_defined);
  Vocabulary vocabulary = builder.view();
  vocabulary.space_prefix = SpacePrefix::missing;
  const Tokenizer missing(vocabulary);
  EXPECT_EQ(missing.encode("a", {}), Tokens{260});
  EXPECT_EQ(missing.encode(" a", {}), Tokens{260});
  EXPECT_EQ(missing.encode("\u2581a<x>a<x> a", {}), (Tokens{260, x, 260, x, 260}));
  vocabulary.space_prefix = SpacePrefix::first;
  const Tokenizer first(vocabulary);
  EXPECT_EQ(first.encode("a<x>a", {}), (Tokens{260, x, 257}));
  EXPECT_EQ(first.encode("<x>a", {}), (Tokens{x, 257}));
}

TEST(SentencePiece, JoinsAcrossASpaceWhereAPieceHasOne) {
  VocabularyBuilder builder = small_sentencepiece();
  const Token joined = builder.add("a\u2581", TokenType::normal, -0.5F);
  const Token longer = builder.add("a\u2581b", TokenType::normal, -0.25F);
  const Tokenizer tokenizer(builder.view());
  EXPECT_EQ(tokenizer.encode("a b", {}), (Tokens{256, longer}));
  EXPECT_EQ(tokenizer.encode("a a", {}), (Tokens{256, joined, 257}));
}

TEST(SentencePiece, FallsBackToBytes) {
  const VocabularyBuilder builder = small_sentencepiece();
  const Tokenizer tokenizer(builder.view());
  EXPECT_EQ(tokenizer.encode("aä\xFF", {}), (Tokens{260, 0xC3, 0xA4, 0xFF}));
  EXPECT_EQ(decoded(tokenizer, {260, 0xC3, 0xA4, 0xFF}), "aä\xFF");
}

TEST(SentencePiece, UsesTheUnknownTokenWhereItHasNoBytes) {
  VocabularyBuilder builder(TokenizerKind::sentencepiece);
  builder.unknown = builder.add("<unk>", TokenType::unknown);
  const Token a = builder.add("a");
  builder.add_space_prefix = false;
  EXPECT_EQ(Tokenizer(builder.view()).encode("aäöa", {}), (Tokens{a, builder.unknown, a}));
}

TEST(SentencePiece, TakesTheLeadingSpaceAwayOnlyAtTheBeginning) {
  const VocabularyBuilder builder = small_sentencepiece();
  const Tokenizer tokenizer(builder.view());
  EXPECT_EQ(decoded(tokenizer, {260, 260}), "a a");
  EXPECT_EQ(decoded(tokenizer, {260}, {.continuation = true}), " a");
  EXPECT_EQ(decoded(tokenizer, {261, 257}), " a");
}

TEST(SentencePiece, LeavesTheSpacesAloneWhereTheModelAddsNone) {
  VocabularyBuilder builder = small_sentencepiece();
  builder.add_space_prefix = false;
  const Tokenizer tokenizer(builder.view());
  EXPECT_EQ(tokenizer.encode("a", {}), Tokens{257});
  EXPECT_EQ(decoded(tokenizer, {260}), " a");
}

class AddedTokensTest : public testing::Test {
 protected:
  AddedTokensTest() {
    for (const char* user : {"[x]", "[xx]", "[", "\u0120"}) builder.add(user, TokenType::user_defined);
    control = builder.add("<|end|>", TokenType::control);
  }
  VocabularyBuilder builder = small_bpe();  // 260 [x], 261 [xx], 262 [, 263 the letter G with a dot
  Token control = kNoToken;
};

TEST_F(AddedTokensTest, AreFoundLeftmostAndLongest) {
  const Tokenizer tokenizer(builder.view());
  EXPECT_EQ(tokenizer.encode("a[xx][x][x", {}), (Tokens{'a', 261, 260, 262, 'x'}));
  EXPECT_EQ(tokenizer.encode("[[x]", {}), (Tokens{262, 260}));
}

TEST_F(AddedTokensTest, AreWrittenAsTheyAreAndNotInTheByteAlphabet) {
  const Tokenizer tokenizer(builder.view());
  EXPECT_EQ(tokenizer.encode("\u0120", {}), Tokens{263});
  EXPECT_EQ(tokenizer.piece(263), "\u0120");
}

TEST_F(AddedTokensTest, OfControlAreFoundOnlyWhenAskedFor) {
  const Tokenizer tokenizer(builder.view());
  EXPECT_EQ(tokenizer.encode("a<|end|>", {.special = true}), (Tokens{'a', control}));
  const Tokens plain = tokenizer.encode("a<|end|>", {});
  EXPECT_EQ(std::count(plain.begin(), plain.end(), control), 0);
  EXPECT_EQ(decoded(tokenizer, plain), "a<|end|>");
}

TEST_F(AddedTokensTest, OfControlAreWrittenOnlyWhenAskedFor) {
  const Tokenizer tokenizer(builder.view());
  EXPECT_EQ(decoded(tokenizer, {'a', control, 260}), "a[x]");
  EXPECT_EQ(decoded(tokenizer, {'a', control, 260}, {.special = true}), "a<|end|>[x]");
}

TEST_F(AddedTokensTest, EndGeneration) {
  builder.eos = 'q';
  const Token turn = builder.add("<|eot_id|>");  // of a wrong type in the file, as converters often leave it
  const Tokenizer tokenizer(builder.view());
  EXPECT_TRUE(tokenizer.is_end_of_generation('q'));
  EXPECT_TRUE(tokenizer.is_end_of_generation(turn));
  EXPECT_TRUE(tokenizer.is_end_of_generation(control));
  EXPECT_FALSE(tokenizer.is_end_of_generation('a'));
  EXPECT_FALSE(tokenizer.is_end_of_generation(kNoToken));
  EXPECT_TRUE(tokenizer.is_control(turn));
  EXPECT_FALSE(tokenizer.is_control('q'));
}

TEST(Tokenizer, AddsBosAndEosAsTheModelAsks) {
  VocabularyBuilder builder = small_bpe();
  builder.bos = builder.add("<s>", TokenType::control);
  builder.eos = builder.add("</s>", TokenType::control);
  const auto encoded = [&](bool asked) { return Tokenizer(builder.view()).encode("ab", {.bos_eos = asked}); };
  EXPECT_EQ(encoded(true), Tokens{256});
  builder.add_bos = true;
  EXPECT_EQ(encoded(true), (Tokens{builder.bos, 256}));
  EXPECT_EQ(encoded(false), Tokens{256});
  builder.add_eos = true;
  EXPECT_EQ(encoded(true), (Tokens{builder.bos, 256, builder.eos}));
}

TEST(Tokenizer, TakesTheDefaultRuleWhereTheVocabularyNamesNone) {
  VocabularyBuilder builder = small_bpe();
  for (const char* const rule : {"", "default"}) {
    builder.pre_tokenizer = rule;
    EXPECT_EQ(Tokenizer(builder.view()).encode("'S", {}), (Tokens{'\'', 'S'}));
  }
}

TEST(Tokenizer, EndsGenerationAtTheTokensThatTheVocabularyLists) {
  VocabularyBuilder builder = small_bpe();
  builder.eos = builder.add("[stop]", TokenType::control);
  const Token turn = builder.add("[turn]", TokenType::control), other = builder.add("[other]", TokenType::control);
  const Token ends[] = {turn, builder.eos};
  Vocabulary vocabulary = builder.view();
  vocabulary.end_tokens = ends;
  const Tokenizer tokenizer(vocabulary);
  EXPECT_TRUE(tokenizer.is_end_of_generation(turn));
  EXPECT_TRUE(tokenizer.is_end_of_generation(builder.eos));
  EXPECT_FALSE(tokenizer.is_end_of_generation(other));
}

TEST(Tokenizer, RefusesTokensThatAreNotInTheVocabulary) {
  const VocabularyBuilder builder = small_bpe();
  const Tokenizer tokenizer(builder.view());
  std::string out;
  for (const Token token : {-1, 260, INT32_MAX, INT32_MIN}) {
    EXPECT_THROW(tokenizer.piece(token), Error);
    EXPECT_THROW(tokenizer.decode(Tokens{token}, {}, out), Error);
    EXPECT_THROW(tokenizer.is_control(token), Error);
  }
}

TEST(Tokenizer, NamesAnUnknownRuleAndThoseItKnows) {
  VocabularyBuilder builder = small_bpe();
  builder.pre_tokenizer = "klingon";
  try {
    Tokenizer{builder.view()};
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), BITNET_ERROR_UNSUPPORTED);
    EXPECT_NE(std::string(error.what()).find("\"klingon\""), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("llama-bpe, "), std::string::npos);
  }
}

TEST(Tokenizer, RefusesABrokenVocabulary) {
  const auto broken = [](auto change) {
    const VocabularyBuilder builder = small_sentencepiece();
    Vocabulary vocabulary = builder.view();
    change(vocabulary);
    return status_of(vocabulary);
  };
  ASSERT_EQ(broken([](Vocabulary&) {}), BITNET_OK);
  EXPECT_EQ(broken([](Vocabulary& v) { v.pieces = {}; }), BITNET_ERROR_FORMAT);
  EXPECT_EQ(broken([](Vocabulary& v) { v.pieces.bytes.remove_suffix(1); }), BITNET_ERROR_FORMAT);
  EXPECT_EQ(broken([](Vocabulary& v) { v.types = v.types.first(3); }), BITNET_ERROR_FORMAT);
  EXPECT_EQ(broken([](Vocabulary& v) { v.scores = v.scores.first(3); }), BITNET_ERROR_FORMAT);
  EXPECT_EQ(broken([](Vocabulary& v) { v.bos = 262; }), BITNET_ERROR_FORMAT);
  EXPECT_EQ(broken([](Vocabulary& v) { v.eos = -2; }), BITNET_ERROR_FORMAT);
  EXPECT_EQ(broken([](Vocabulary& v) { v.add_bos = true; }), BITNET_ERROR_FORMAT);
  EXPECT_EQ(broken([](Vocabulary& v) { v.add_eos = true; }), BITNET_ERROR_FORMAT);

  VocabularyBuilder descending = small_sentencepiece();
  Vocabulary vocabulary = descending.view();
  std::vector<uint32_t> ends(vocabulary.pieces.ends.begin(), vocabulary.pieces.ends.end());
  std::swap(ends[3], ends[4]);
  vocabulary.pieces.ends = ends;
  EXPECT_EQ(status_of(vocabulary), BITNET_ERROR_FORMAT);

  VocabularyBuilder score = small_sentencepiece();
  score.add("c", TokenType::normal, std::numeric_limits<float>::quiet_NaN());
  EXPECT_EQ(status_of(score.view()), BITNET_ERROR_FORMAT);

  for (const Token bad : {-1, 260}) {
    VocabularyBuilder merge = small_bpe();
    merge.merge(bad, 'a');
    EXPECT_EQ(status_of(merge.view()), BITNET_ERROR_FORMAT);
  }

  VocabularyBuilder longest = small_bpe();
  longest.add(std::string(AddedTokens::kLongest, 'x'), TokenType::user_defined);
  EXPECT_EQ(status_of(longest.view()), BITNET_OK);
  longest.add(std::string(AddedTokens::kLongest + 1, 'x'), TokenType::user_defined);
  EXPECT_EQ(status_of(longest.view()), BITNET_ERROR_FORMAT);
}

}  // namespace
}  // namespace bitnet
