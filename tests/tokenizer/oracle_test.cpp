// SPDX-License-Identifier: MIT
// libbitnet's tokenizers on published vocabularies, and as imported from Hugging Face folders, against the reference
// implementation (oracle.mjs wrote its answers down).
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "format/convert.h"
#include "format/files.h"
#include "format/hf_tokenizer.h"
#include "format/load.h"
#include "format/open.h"
#include "format/sample_model.h"
#include "text/composition.h"
#include "text/decoder.h"
#include "text/splitting_rules.h"
#include "text/tokenizer.h"
#include "tokenizer/imported.h"
#include "tokenizer/vocabulary_builder.h"

namespace bitnet {
namespace {

struct Oracle {
  VocabularyBuilder builder;
  nlohmann::json cases;
};

std::string oracle_path(const std::string& name) { return std::string(BITNET_ORACLE_DIR) + "/" + name; }

nlohmann::json read_answers(const std::string& model) {
  const std::string path = oracle_path(model + ".json");
  std::ifstream file(path);
  if (!file) throw std::runtime_error(path + " is missing; the tests that fetch and run the oracle make it");
  return nlohmann::json::parse(file);
}

Oracle read_oracle(const std::string& model) {
  const nlohmann::json json = read_answers(model);
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

// Without special tokens every byte comes back: as SentencePiece reads it, U+2581 is a space; and in NFC where the
// model asks for that.
TEST_P(PublishedVocabulary, GivesThePlainTextBack) {
  for (const auto& sample : oracle.cases) {
    std::string text = sample.at("normal");
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
  const Vocabulary& vocabulary = tokenizer.vocabulary();
  const bool composes = vocabulary.kind == TokenizerKind::byte_bpe && rule_named(vocabulary.pre_tokenizer).composes;
  uint32_t state = 12345;
  for (const auto& sample : oracle.cases) {
    std::string text = sample.at("text");
    for (char& c : text) {
      state = state * 1664525 + 1013904223;
      if (state >> 31) c = static_cast<char>(state >> 16);
    }
    if (text.find("\u2581") != text.npos) continue;
    if (composes) text = compose(text);
    std::string decoded;
    tokenizer.decode(tokenizer.encode(text, {}), {}, decoded);
    EXPECT_EQ(decoded, text) << testing::PrintToString(text);
  }
}

INSTANTIATE_TEST_SUITE_P(Llama, PublishedVocabulary, testing::Values("llama2", "llama2_meta", "llama3", "qwen3"),
                         [](const auto& info) { return std::string(info.param); });

// --- imported from tokenizer.json ---------------------------------------------------------------------------------

class ImportedTokenizer : public testing::TestWithParam<const char*> {
 protected:
  const nlohmann::json answers = read_answers(GetParam());
  const HfTokenizer imported = read_hf_tokenizer(oracle_path(GetParam()), 0, {});
  const Tokenizer tokenizer{view_of(*imported.tokenizer)};
};

// Gemma has tokens of several U+2581, which the reference finds where a text has them. To libbitnet U+2581 is a space.
TEST_P(ImportedTokenizer, EncodesAsTheReferenceDoes) {
  const bool gemma = GetParam() == std::string("gemma3");
  ASSERT_GE(answers.at("cases").size(), 2000u);
  for (const auto& sample : answers.at("cases")) {
    const std::string text = sample.at("text");
    if (gemma && text.find("\u2581") != text.npos) continue;
    EXPECT_EQ(tokenizer.encode(text, {.special = true}), sample.at("ids").get<std::vector<Token>>())
        << testing::PrintToString(text);
  }
}

TEST_P(ImportedTokenizer, PutsAroundATextWhatTheReferenceDoes) {
  EXPECT_EQ(tokenizer.encode("hello", {.bos_eos = true}), answers.at("whole").get<std::vector<Token>>());
}

INSTANTIATE_TEST_SUITE_P(Models, ImportedTokenizer,
                         testing::Values("llama2", "llama2_meta", "llama3", "qwen3", "gemma3", "gpt_neox", "smollm",
                                         "qwen35", "falcon", "falcon3", "deepseek_llm", "deepseek_coder",
                                         "metaspace_first", "metaspace_always", "no_prefix"),
                         [](const auto& info) { return std::string(info.param); });

// The package's tokenizer.json has nothing around a text; but its class puts BOS there, which only transformers does.
TEST(ImportedTokenizerOfDeepseek, EncodesAsTheReferenceDoesBehindBos) {
  const nlohmann::json answers = read_answers("deepseek_v3");
  const HfTokenizer imported = read_hf_tokenizer(oracle_path("deepseek_v3"), 129280, {});
  const Tokenizer tokenizer(view_of(*imported.tokenizer));
  EXPECT_EQ(tokenizer.size(), 129280u);
  EXPECT_EQ(tokenizer.piece(129279), "[PAD129279]");
  for (const auto& sample : answers.at("cases")) {
    std::vector<Token> expected = {0};
    for (const auto& id : sample.at("ids")) expected.push_back(id.get<Token>());
    EXPECT_EQ(tokenizer.encode(sample.at("text").get<std::string>(), {.special = true, .bos_eos = true}), expected);
  }
}

// --- through GGUF files that say less than they should ------------------------------------------------------------

using bitnet_test::GgufBuilder;

// The smallest model with that vocabulary; of the rule, BOS and what is added, the file says nothing.
GgufBuilder silent_gguf(const Vocabulary& vocabulary) {
  bitnet_test::SampleModel sample = bitnet_test::small_model();
  sample.hidden = 16;
  sample.ffn = 16;
  sample.heads = sample.kv_heads = 1;
  sample.weights = bitnet_test::Encoding::f16;
  GgufBuilder gguf = sample.draw().gguf();  // its tokens and embedding are replaced
  for (const char* const key : {"pre", "tokens", "token_type", "merges", "bos_token_id"}) {
    gguf.remove("tokenizer.ggml." + std::string(key));
  }
  std::vector<std::string> pieces, merges;
  for (size_t i = 0; i < vocabulary.pieces.size(); ++i) pieces.emplace_back(vocabulary.pieces[i]);
  for (const Merge& merge : vocabulary.merges) merges.push_back(pieces[merge.left] + " " + pieces[merge.right]);
  gguf.strings("tokenizer.ggml.tokens", pieces);
  gguf.strings("tokenizer.ggml.merges", merges);
  gguf.numbers("tokenizer.ggml.token_type", 5, std::vector<int32_t>(vocabulary.types.begin(), vocabulary.types.end()));
  std::erase_if(gguf.infos, [](const GgufBuilder::Info& info) { return info.name == "token_embd.weight"; });
  gguf.tensor("token_embd.weight", {sample.hidden, pieces.size()}, 1,
              std::string(pieces.size() * sample.hidden * 2, 0));
  return gguf;
}

// That the file gives the reference's tokens for every text, with what its published tokenizer puts in front.
void expect_reference(const std::string& file, const Oracle& oracle, std::vector<Token> front) {
  const Model model = load_model(open_container(std::as_bytes(std::span(file))));
  const Tokenizer tokenizer(model.vocabulary);
  size_t wrong = 0;
  for (const auto& sample : oracle.cases) {
    std::vector<Token> expected = front;
    for (const auto& id : sample.at("ids")) expected.push_back(id.get<Token>());
    wrong += tokenizer.encode(sample.at("text").get<std::string>(), {.special = true, .bos_eos = true}) != expected;
  }
  EXPECT_EQ(wrong, 0u) << "of " << oracle.cases.size();
  if (front.empty()) return;
  front.insert(front.end(), {15357, 956});
  EXPECT_EQ(tokenizer.encode("don't", {.bos_eos = true}), front);
}

// What an earlier version made of the silent file.
std::string earlier_bitnet(const std::string& gguf) {
  const bitnet_test::TemporaryFolder folder;
  bitnet_test::write_file(folder / "in.gguf", gguf);
  convert(folder / "in.gguf", folder / "out.bitnet");
  return bitnet_test::reseal(bitnet_test::read_file(folder / "out.bitnet"), [](fb::ModelT& model) {
    model.settled = false;
    model.tokenizer->pre_tokenizer = "default";
    model.tokenizer->bos = -1;
    model.tokenizer->add_bos = false;
  });
}

class SilentFile : public testing::TestWithParam<const char*> {};

TEST_P(SilentFile, EncodesAsTheReferenceDoes) {
  const Oracle oracle = read_oracle(GetParam());
  const std::vector<Token> front =
      GetParam() == std::string("llama3") ? std::vector<Token>{128000} : std::vector<Token>{};
  const GgufBuilder silent = silent_gguf(oracle.builder.view());
  GgufBuilder unsure = silent, named = silent;
  unsure.string("tokenizer.ggml.pre", "default");
  named.string("tokenizer.ggml.pre", oracle.builder.pre_tokenizer);
  expect_reference(named.build(), oracle, front);
  expect_reference(silent.build(), oracle, front);
  expect_reference(unsure.build(), oracle, front);
  expect_reference(earlier_bitnet(silent.build()), oracle, front);
}

INSTANTIATE_TEST_SUITE_P(Known, SilentFile, testing::Values("llama3", "qwen3"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace bitnet
