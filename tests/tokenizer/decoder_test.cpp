// SPDX-License-Identifier: MIT
#include "text/decoder.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tokenizer/vocabulary_builder.h"

namespace bitnet {
namespace {

class StreamDecoderTest : public testing::Test {
 protected:
  StreamDecoderTest() { builder.add_bytes(); }

  // Every byte is a token here.
  std::vector<std::string> streamed(std::string_view bytes) const {
    const Tokenizer tokenizer(builder.view());
    StreamDecoder decoder(tokenizer);
    std::vector<std::string> parts;
    for (const char byte : bytes) parts.push_back(decoder.push(static_cast<uint8_t>(byte)));
    parts.push_back(decoder.finish());
    return parts;
  }

  VocabularyBuilder builder{TokenizerKind::byte_bpe};
};

using Parts = std::vector<std::string>;

TEST_F(StreamDecoderTest, HoldsACharacterBackUntilItIsWhole) {
  EXPECT_EQ(streamed("aé🙂b"), (Parts{"a", "", "é", "", "", "", "🙂", "b", ""}));
}

TEST_F(StreamDecoderTest, EndsAnUnfinishedCharacterWithAReplacement) {
  EXPECT_EQ(streamed("a\xF0\x9F\x99"), (Parts{"a", "", "", "", "\uFFFD"}));
}

// The example of the Unicode Standard, table 3-8, and WHATWG's: one replacement for each maximal subpart.
TEST_F(StreamDecoderTest, ReplacesEachMaximalSubpart) {
  const auto all = [&](std::string_view bytes) {
    std::string text;
    for (const std::string& part : streamed(bytes)) text += part;
    std::string at_once;
    append_well_formed(bytes, at_once);
    EXPECT_EQ(text, at_once);
    return text;
  };
  const std::string r = "\uFFFD";
  EXPECT_EQ(all("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"), r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(all("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41"), r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(all("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42"), r + r + r + r + r + "A" + r + r + "B");
  EXPECT_EQ(all("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), r + r + r + r + "A");
}

TEST_F(StreamDecoderTest, IsAsNewAfterTheEnd) {
  const Tokenizer tokenizer(builder.view());
  StreamDecoder decoder(tokenizer);
  EXPECT_EQ(decoder.push(0xF0), "");
  EXPECT_EQ(decoder.finish(), "\uFFFD");
  EXPECT_EQ(decoder.push('a'), "a");
  EXPECT_EQ(decoder.finish(), "");
}

TEST_F(StreamDecoderTest, LeavesControlTokensOutUnlessAskedForThem) {
  const Token control = builder.add("<|end|>", TokenType::control);
  const Tokenizer tokenizer(builder.view());
  EXPECT_EQ(StreamDecoder(tokenizer).push(control), "");
  EXPECT_EQ(StreamDecoder(tokenizer, {.special = true}).push(control), "<|end|>");
}

TEST(StreamDecoder, TakesSentencePiecesLeadingSpaceAwayOnce) {
  VocabularyBuilder builder(TokenizerKind::sentencepiece);
  const Token bos = builder.add("<s>", TokenType::control), a = builder.add("\u2581a"), space = builder.add("\u2581");
  const Tokenizer tokenizer(builder.view());
  StreamDecoder decoder(tokenizer);
  EXPECT_EQ(decoder.push(bos), "");
  EXPECT_EQ(decoder.push(a), "a");
  EXPECT_EQ(decoder.push(a), " a");
  EXPECT_EQ(decoder.finish(), "");
  EXPECT_EQ(decoder.push(space), "");
  EXPECT_EQ(decoder.push(a), " a");

  StreamDecoder continued(tokenizer, {.continuation = true});
  EXPECT_EQ(continued.push(a), " a");
}

}  // namespace
}  // namespace bitnet
