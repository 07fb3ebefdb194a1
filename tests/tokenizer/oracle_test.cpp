// SPDX-License-Identifier: MIT
// libbitnet's tokenizers on the published vocabularies of Llama 2, Mistral and Llama 3, against the reference
// implementation (oracle.mjs wrote its answers down).
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "text/decoder.h"
#include "text/tokenizer.h"
#include "tokenizer/vocabulary_builder.h"

namespace bitnet {
namespace {

struct Oracle {
  VocabularyBuilder builder;
  nlohmann::json cases;
};

Oracle read_oracle(const std::string& model) {
  const std::string path = std::string(BITNET_ORACLE_DIR) + "/" + model + ".json";
  std::ifstream file(path);
  if (!file) throw std::runtime_error(path + " is missing; the tests that fetch and run the oracle make it");
  const nlohmann::json json = nlohmann::json::parse(file);
  const nlohmann::json& source = json.at("vocabulary");
  Oracle oracle{
      VocabularyBuilder(source.at("kind") == "byte_bpe" ? TokenizerKind::byte_bpe : TokenizerKind::sentencepiece),
      json.at("cases")};
  VocabularyBuilder& builder = oracle.builder;
  const auto& pieces = source.at("pieces");
  for (size_t i = 0; i < pieces.size(); ++i) {
    const float score = source.contains("scores") ? source["scores"][i].get<float>() : 0;
    builder.add(pieces[i].get<std::string>(), static_cast<TokenType>(source.at("types")[i].get<int>()), score);
  }
  if (source.contains("merges")) {
    for (const auto& merge : source["merges"]) builder.merge(merge[0].get<Token>(), merge[1].get<Token>());
  }
  builder.pre_tokenizer = source.value("pre_tokenizer", "");
  builder.bos = source.at("bos");
  builder.eos = source.at("eos");
  builder.unknown = source.at("unknown");
  return oracle;
}

class PublishedVocabulary : public testing::TestWithParam<const char*> {
 protected:
  const Oracle oracle = read_oracle(GetParam());
  const Tokenizer tokenizer{oracle.builder.view()};
};

TEST_P(PublishedVocabulary, HasEnoughTextsToMeanSomething) { EXPECT_GE(oracle.cases.size(), 2000u); }

TEST_P(PublishedVocabulary, EncodesAsTheReferenceDoes) {
  for (const auto& sample : oracle.cases) {
    const std::string text = sample.at("text");
    EXPECT_EQ(tokenizer.encode(text, {.special = true}), sample.at("ids").get<std::vector<Token>>())
        << testing::PrintToString(text);
  }
}

TEST_P(PublishedVocabulary, DecodesAsTheReferenceDoes) {
  for (const auto& sample : oracle.cases) {
    std::string text;
    tokenizer.decode(sample.at("ids").get<std::vector<Token>>(), {.special = true}, text);
    EXPECT_EQ(text, sample.at("decoded").get<std::string>());
  }
}

TEST_P(PublishedVocabulary, StreamsWhatItDecodes) {
  for (const auto& sample : oracle.cases) {
    StreamDecoder decoder(tokenizer, {.special = true});
    std::string text;
    for (const auto& id : sample.at("ids")) decoder.push(id.get<Token>(), text);
    decoder.finish(text);
    EXPECT_EQ(text, sample.at("decoded").get<std::string>());
  }
}

// Without special tokens every byte comes back: as SentencePiece reads it, U+2581 is a space.
TEST_P(PublishedVocabulary, GivesThePlainTextBack) {
  for (const auto& sample : oracle.cases) {
    std::string text = sample.at("text");
    std::string decoded;
    tokenizer.decode(tokenizer.encode(text, {}), {.special = true}, decoded);
    if (tokenizer.vocabulary().kind == TokenizerKind::sentencepiece) {
      for (size_t at; (at = text.find("\u2581")) != text.npos;) text.replace(at, 3, " ");
    }
    EXPECT_EQ(decoded, text);
  }
}

// Whatever the bytes are; half of each text is noise.
TEST_P(PublishedVocabulary, GivesEveryByteBack) {
  uint32_t state = 12345;
  for (const auto& sample : oracle.cases) {
    std::string text = sample.at("text");
    for (char& c : text) {
      state = state * 1664525 + 1013904223;
      if (state >> 31) c = static_cast<char>(state >> 16);
    }
    if (text.find("\u2581") != text.npos) continue;
    std::string decoded;
    tokenizer.decode(tokenizer.encode(text, {}), {}, decoded);
    EXPECT_EQ(decoded, text) << testing::PrintToString(text);
  }
}

INSTANTIATE_TEST_SUITE_P(Llama, PublishedVocabulary, testing::Values("llama2", "llama2_meta", "llama3"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace bitnet
