// SPDX-License-Identifier: MIT
// Tokenizers of Hugging Face folders: what their small files say, and what is refused. That whole published ones encode
// as the reference does is in tests/tokenizer/oracle_test.cpp.
#include "format/hf_tokenizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "format/files.h"
#include "format/sentencepiece_builder.h"
#include "text/byte_alphabet.h"
#include "text/tokenizer.h"
#include "text/utf8.h"
#include "tokenizer/imported.h"

namespace bitnet {
namespace {

using Json = nlohmann::json;
using bitnet_test::write_file;
using Tokens = std::vector<Token>;

std::string letter(int byte) {
  std::string out;
  append_utf8(byte_to_alphabet(static_cast<uint8_t>(byte)), out);
  return out;
}

Json added(int id, const char* content, bool special = true) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", special}};
}

// Tokens 0 to 255 are the bytes, 256 "ab", 257 <|end|>, 258 <|bos|>, 259 <think>.
Json byte_level() {
  Json vocabulary;
  for (int byte = 0; byte < 256; ++byte) vocabulary[letter(byte)] = byte;
  vocabulary["ab"] = 256;
  return {{"added_tokens", {added(257, "<|end|>"), added(258, "<|bos|>"), added(259, "<think>", false)}},
          {"normalizer", nullptr},
          {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}},
          {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", {"a b"}}}}};
}

using Steps = std::vector<Json>;

Json around(const Steps& front, const Steps& back, const Json& ids) {
  Json single = front;
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  for (const Json& token : back) single.push_back(token);
  return {{"type", "TemplateProcessing"}, {"single", single}, {"special_tokens", ids}};
}

Json special(const char* name) { return {{"SpecialToken", {{"id", name}, {"type_id", 0}}}}; }

// Tokens 0 <unk>, 1 <s>, 2 </s>, 3 to 258 the bytes, then "a" 259, "b" 260, U+2581 261, "ab" 262, U+2581 "a" 263.
Json sentencepiece() {
  Json vocabulary = {{"<unk>", 0}, {"<s>", 1}, {"</s>", 2}};
  for (int byte = 0; byte < 256; ++byte) {
    char name[7];
    std::snprintf(name, sizeof name, "<0x%02X>", byte);
    vocabulary[name] = 3 + byte;
  }
  vocabulary.update({{"a", 259}, {"b", 260}, {"\u2581", 261}, {"ab", 262}, {"\u2581a", 263}});
  return {{"added_tokens", {added(0, "<unk>"), added(1, "<s>"), added(2, "</s>")}},
          {"normalizer",
           {{"type", "Sequence"},
            {"normalizers",
             {{{"type", "Prepend"}, {"prepend", "\u2581"}},
              {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\u2581"}}}}}},
          {"pre_tokenizer", nullptr},
          {"post_processor", around({special("<s>")}, {}, {{"<s>", {{"ids", {1}}}}})},
          {"model",
           {{"type", "BPE"},
            {"unk_token", "<unk>"},
            {"byte_fallback", true},
            {"fuse_unk", true},
            {"vocab", vocabulary},
            {"merges", Json::array({Json{"\u2581", "a"}, Json{"a", "b"}})}}}};
}

class HfTokenizerTest : public testing::Test {
 protected:
  void put(const std::string& name, const Json& json) { write_file(folder / name, json.dump()); }
  void put_text(const std::string& name, std::string_view text) { write_file(folder / name, text); }

  HfTokenizer read(uint32_t vocabulary = 0) {
    log.clear();
    return read_hf_tokenizer(folder / "", vocabulary, [this](bitnet_log_level level, const std::string& message) {
      if (level == BITNET_LOG_WARNING) log += message + "\n";
    });
  }

  // What reading says of a folder that cannot be read; "" if it can. Everything but Error is a fault.
  std::string refusal(uint32_t vocabulary = 0) {
    try {
      const HfTokenizer imported = read(vocabulary);
      Tokenizer{view_of(*imported.tokenizer)};
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  }

  void expect_refusal(const std::string& part, const std::string& file = "tokenizer.json") {
    const std::string message = refusal();
    EXPECT_NE(message.find(part), message.npos) << message;
    EXPECT_TRUE(message.starts_with(file)) << message;  // the folder is the caller's to name
    EXPECT_EQ(message.find(folder / ""), message.npos) << message;
  }

  bitnet_test::TemporaryFolder folder;
  std::string log;
};

TEST_F(HfTokenizerTest, ReadsByteLevelBpe) {
  put("tokenizer.json", byte_level());
  const HfTokenizer imported = read();
  EXPECT_EQ(imported.tokenizer->kind, fb::TokenizerKind::byte_bpe);
  EXPECT_EQ(imported.tokenizer->pre_tokenizer, "gpt-2");
  EXPECT_EQ(imported.chat_template, "");
  const Tokenizer tokenizer(view_of(*imported.tokenizer));
  EXPECT_EQ(tokenizer.encode("abc<think>", {}), (Tokens{256, 'c', 259}));
  EXPECT_EQ(tokenizer.encode("<|end|>", {.special = true}), Tokens{257});
  EXPECT_TRUE(tokenizer.is_control(258));
  EXPECT_FALSE(tokenizer.is_control(259));
  EXPECT_FALSE(imported.tokenizer->add_bos);
  EXPECT_EQ(log, "");
}

TEST_F(HfTokenizerTest, ReadsSentencePieceBpe) {
  put("tokenizer.json", sentencepiece());
  put("tokenizer_config.json", {{"bos_token", {{"content", "<s>"}}}, {"eos_token", "</s>"}, {"unk_token", "<unk>"}});
  const HfTokenizer imported = read(300);
  EXPECT_EQ(imported.tokenizer->types[0], 2);
  EXPECT_EQ(imported.tokenizer->types[3], 6);
  EXPECT_EQ(imported.tokenizer->bos, 1);
  EXPECT_EQ(imported.tokenizer->eos, 2);
  EXPECT_EQ(imported.tokenizer->unknown, 0);
  const Tokenizer tokenizer(view_of(*imported.tokenizer));
  EXPECT_EQ(tokenizer.encode("ab c", {.bos_eos = true}), (Tokens{1, 263, 260, 261, 3 + 'c'}));
  EXPECT_EQ(tokenizer.size(), 300u);
  EXPECT_EQ(tokenizer.piece(299), "[PAD299]");
  EXPECT_EQ(tokenizer.encode("[PAD299]", {.special = true}).size(), 9u);
}

// The reference joins pairs in the order of the merges, and only those; a score for each piece could not say that.
TEST_F(HfTokenizerTest, JoinsOnlyWhatTheMergesJoin) {
  Json json = sentencepiece();
  json["model"]["vocab"]["aba"] = 264;
  json["model"]["merges"] = Json::array({Json{"a", "b"}, Json{"\u2581", "a"}, Json{"ab", "a"}});
  put("tokenizer.json", json);
  const HfTokenizer imported = read();
  const Tokenizer tokenizer(view_of(*imported.tokenizer));
  EXPECT_EQ(tokenizer.encode("aba", {}), (Tokens{261, 264}));
  json["model"]["merges"] = Json::array({Json{"a", "b"}, Json{"\u2581", "a"}});
  put("tokenizer.json", json);
  const HfTokenizer fewer = read();
  EXPECT_EQ(Tokenizer(view_of(*fewer.tokenizer)).encode("aba", {}), (Tokens{261, 262, 259}));
}

TEST_F(HfTokenizerTest, TakesTheTokensOfTheConfiguration) {
  put("tokenizer.json", byte_level());
  put("tokenizer_config.json", {{"eos_token", "<|end|>"}, {"bos_token", nullptr}, {"pad_token", "!"}});
  put("special_tokens_map.json", {{"bos_token", {{"content", "<|bos|>"}}}, {"eos_token", "<think>"}});
  put("generation_config.json", {{"eos_token_id", {257, 259}}, {"pad_token_id", 3}});
  put("config.json", {{"eos_token_id", 258}, {"bos_token_id", -1}});
  const HfTokenizer imported = read();
  EXPECT_EQ(imported.tokenizer->bos, 258);
  EXPECT_EQ(imported.tokenizer->eos, 257);
  EXPECT_EQ(imported.tokenizer->padding, '!');
  EXPECT_EQ(imported.tokenizer->end_tokens, (Tokens{259, 258}));
  EXPECT_EQ(Tokenizer(view_of(*imported.tokenizer)).encode("!", {}), Tokens{'!'}) << "padding stays a part of texts";
}

TEST_F(HfTokenizerTest, TakesNumbersWhereNoTextsAreGiven) {
  put("tokenizer.json", byte_level());
  put("config.json", {{"eos_token_id", {257, 258}}, {"bos_token_id", 258}, {"vocab_size", 1}});
  const HfTokenizer imported = read();
  EXPECT_EQ(imported.tokenizer->bos, 258);
  EXPECT_EQ(imported.tokenizer->eos, 257);
  EXPECT_EQ(imported.tokenizer->end_tokens, Tokens{258});
}

TEST_F(HfTokenizerTest, PutsAroundATextWhatTheTemplateDoes) {
  Json json = byte_level();
  json["post_processor"] = {
      {"type", "Sequence"},
      {"processors",
       {{{"type", "ByteLevel"}},
        around({special("B")}, {special("E")}, {{"B", {{"ids", {258}}}}, {"E", {{"ids", {259}}}}})}}};
  put("tokenizer.json", json);
  put("tokenizer_config.json", {{"eos_token", "<|end|>"}, {"add_bos_token", false}});
  const HfTokenizer imported = read();
  EXPECT_TRUE(imported.tokenizer->add_bos);
  EXPECT_EQ(imported.tokenizer->end_tokens, Tokens{257}) << "what the configuration calls the end";
  EXPECT_EQ(Tokenizer(view_of(*imported.tokenizer)).encode("ab", {.bos_eos = true}), (Tokens{258, 256, 259}));
}

TEST_F(HfTokenizerTest, GoesByOptionsWhereTheClassDoes) {
  put("tokenizer.json", sentencepiece());
  Json config = {{"tokenizer_class", "LlamaTokenizerFast"}, {"bos_token", "<s>"}, {"eos_token", "</s>"}};
  const auto encoded = [&] {
    put("tokenizer_config.json", config);
    const HfTokenizer imported = read();
    return Tokenizer(view_of(*imported.tokenizer)).encode("a", {.bos_eos = true});
  };
  EXPECT_EQ(encoded(), (Tokens{1, 263}));
  config["add_eos_token"] = true;
  EXPECT_EQ(encoded(), (Tokens{1, 263, 2}));
  config["add_bos_token"] = false;
  EXPECT_EQ(encoded(), (Tokens{263, 2}));
}

TEST_F(HfTokenizerTest, TakesTokensThatOnlyTheConfigurationDescribes) {
  put("tokenizer.json", byte_level());
  put("tokenizer_config.json",
      {{"added_tokens_decoder",
        {{"259", {{"content", "<think>"}, {"special", true}}}, {"260", {{"content", "<new>"}, {"special", false}}}}}});
  put("added_tokens.json", {{"<more>", 262}, {"<|end|>", 5}});
  const HfTokenizer imported = read();
  const Tokenizer tokenizer(view_of(*imported.tokenizer));
  EXPECT_TRUE(tokenizer.is_control(259));
  EXPECT_EQ(tokenizer.encode("<new><more>", {}), (Tokens{260, 262}));
  EXPECT_EQ(tokenizer.piece(261), "[PAD261]");
}

TEST_F(HfTokenizerTest, FindsTheChatTemplate) {
  put("tokenizer.json", byte_level());
  EXPECT_EQ(read().chat_template, "");
  put("tokenizer_config.json", {{"chat_template", "{{ 1 }}"}});
  EXPECT_EQ(read().chat_template, "{{ 1 }}");
  const Json tools = {{"name", "tool_use"}, {"template", "{{ 2 }}"}};
  put("tokenizer_config.json", {{"chat_template", {tools, {{"name", "default"}, {"template", "{{ 3 }}"}}}}});
  EXPECT_EQ(read().chat_template, "{{ 3 }}");
  put("tokenizer_config.json", {{"chat_template", {tools}}});
  EXPECT_EQ(read().chat_template, "{{ 2 }}");
  EXPECT_NE(log, "");
  put("tokenizer_config.json", {{"chat_template", 3}});
  EXPECT_EQ(read().chat_template, "");
  EXPECT_NE(log.find("chat_template is 3"), log.npos);
  put("chat_template.json", {{"chat_template", "{{ 4 }}"}});
  EXPECT_EQ(read().chat_template, "{{ 4 }}");
  put_text("chat_template.jinja", "{{ 5 }}");
  EXPECT_EQ(read().chat_template, "{{ 5 }}");
  put_text("chat_template.jinja", std::string((1 << 20) + 1, ' '));
  EXPECT_EQ(read().chat_template, "");
  EXPECT_NE(log.find("template"), log.npos);
}

// --- rules --------------------------------------------------------------------------------------------------------

TEST_F(HfTokenizerTest, TellsRulesByWhatTheyDo) {
  const Json bytes = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  const auto split = [](const char* expression, const char* behavior = "Isolated", bool invert = false) {
    return Json{{"type", "Split"}, {"pattern", {{"Regex", expression}}}, {"behavior", behavior}, {"invert", invert}};
  };
  const char* const qwen =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  const char* const llama =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  const auto rule = [&](const Json& normalizer, const Steps& steps, bool ignores_merges) {
    Json json = byte_level();
    json["normalizer"] = normalizer;
    json["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", steps}};
    json["model"]["ignore_merges"] = ignores_merges;
    put("tokenizer.json", json);
    const std::string message = refusal();
    return message.empty() ? read().tokenizer->pre_tokenizer : message;
  };
  const Json nfc = {{"type", "NFC"}}, none = {{"type", "Sequence"}, {"normalizers", Json::array()}};
  EXPECT_EQ(rule(nfc, {split(qwen), bytes}, false), "qwen2");
  EXPECT_EQ(rule(none, {split(qwen), bytes}, false), "deepseek-r1-qwen");
  EXPECT_EQ(rule(nfc, {split(qwen, "Removed", true), bytes}, false), "qwen2");
  EXPECT_EQ(rule(nullptr, {split(llama), bytes}, true), "llama-bpe");
  EXPECT_EQ(rule(nullptr, {split(llama), bytes}, false), "smaug-bpe");
  // Refused, each with what it is.
  EXPECT_NE(rule(nfc, {split(llama), bytes}, true).find("no tokenizer that libbitnet knows"), std::string::npos);
  EXPECT_NE(rule(nullptr, {split("\\p{Lu}+"), bytes}, false).find("\\p{Lu}+"), std::string::npos);
  EXPECT_NE(rule(nullptr, {split(qwen, "MergedWithNext"), bytes}, false).find("MergedWithNext"), std::string::npos);
  EXPECT_NE(rule(nullptr, {split("[\r\n]", "Removed", true), bytes}, false).find("Removed"), std::string::npos);
  EXPECT_NE(rule(nullptr, {bytes, bytes}, false).find("ByteLevel"), std::string::npos);
  EXPECT_NE(rule(nullptr, {{{"type", "Whitespace"}}, bytes}, false).find("Whitespace"), std::string::npos);
  EXPECT_NE(rule({{"type", "Lowercase"}}, Steps{bytes}, false).find("Lowercase"), std::string::npos);
  EXPECT_NE(rule(nullptr, Steps{bytes}, false).find("cuts texts by nothing"), std::string::npos);
  Json prefix = bytes;
  prefix["add_prefix_space"] = true;
  EXPECT_NE(rule(nullptr, {split(qwen), prefix}, false).find("add_prefix_space"), std::string::npos);
}

// --- hostile files ------------------------------------------------------------------------------------------------

TEST_F(HfTokenizerTest, NamesWhatIsMissing) {
  expect_refusal("neither tokenizer.json nor tokenizer.model", "");
  put("tokenizer.json", Json::object());
  expect_refusal("model is missing");
  put("tokenizer.json",
      {{"model", {{"type", "BPE"}}}, {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}}}});
  expect_refusal("model.vocab is missing");
}

TEST_F(HfTokenizerTest, RefusesWhatIsNoJson) {
  for (const char* const text : {"", "{", "[1, 2", "{\"model\": \"\xFF\"}", "{\"model\": \"\\ud800\"}", "nonsense"}) {
    put_text("tokenizer.json", text);
    expect_refusal("is not JSON");
  }
  put_text("tokenizer.json", "{\"model\": 1e999}");
  expect_refusal("JSON");
  put_text("tokenizer.json", "[]");
  expect_refusal("expected is an object");
  put_text("tokenizer.json", std::string(100000, '['));
  expect_refusal("nested deeper");
  put("tokenizer.json", byte_level());
  put_text("config.json", "{]");
  expect_refusal("is not JSON", "config.json");
}

TEST_F(HfTokenizerTest, RefusesWrongTypesNamingTheKey) {
  struct {
    const char* pointer;
    Json value;
    const char* part;
  } cases[] = {
      {"/model", 3, "model is 3; expected is an object"},
      {"/model/type", "Unigram", "model.type is \"Unigram\""},
      {"/model/vocab", Json::array({1}), "model.vocab is an array of 1 element; expected is an object"},
      {"/model/vocab", Json::object(), "model.vocab is empty"},
      {"/model/vocab/ab", "x", "\"ab\" is no whole number"},
      {"/model/vocab/ab", 255, "token 255 is there twice"},
      {"/model/vocab/ab", -1, "token -1"},
      {"/model/vocab/ab", 18446744073709551615u, "there can be tokens"},
      {"/model/vocab/ab", 1 << 22, "there can be tokens"},
      {"/model/merges", "a b", "model.merges is \"a b\"; expected is an array"},
      {"/model/merges/0", 7, "model.merges[0] is 7; expected is two tokens"},
      {"/model/merges/0", "ab", "model.merges[0]"},
      {"/model/merges/0", "a b c", "model.merges[0]"},
      {"/model/merges/0", "a zz", "model.merges[0]"},
      {"/model/merges/0", Json{"b", "a"}, "model.merges[0]"},
      {"/model/merges/0", Json{"b"}, "model.merges[0]"},
      {"/model/end_of_word_suffix", "</w>", "model.end_of_word_suffix"},
      {"/model/ignore_merges", "yes", "model.ignore_merges is \"yes\"; expected is true or false"},
      {"/added_tokens", 5, "added_tokens is 5; expected is an array"},
      {"/added_tokens/0/id", -2, "added_tokens[0].id is -2"},
      {"/added_tokens/0/id", 1.5, "added_tokens[0].id is 1.5"},
      {"/added_tokens/0/id", 4, "token 4 is there twice"},
      {"/added_tokens/0/content", nullptr, "added_tokens[0].content is missing"},
      {"/added_tokens/0/content", "ab", "token 257 has the text of token 256"},
      {"/pre_tokenizer", "ByteLevel", "pre_tokenizer is \"ByteLevel\"; expected is an object"},
      {"/pre_tokenizer/type", 1, "pre_tokenizer.type is 1; expected is a string"},
      {"/normalizer", Json::object(), "normalizer.type is missing"},
      {"/post_processor", {{"type", "BertProcessing"}}, "BertProcessing"},
  };
  for (const auto& [pointer, value, part] : cases) {
    Json json = byte_level();
    json[Json::json_pointer(pointer)] = value;
    put("tokenizer.json", json);
    expect_refusal(part);
  }
}

TEST_F(HfTokenizerTest, RefusesTemplatesThatItCannotFollow) {
  Json json = byte_level();
  json["post_processor"] = around({special("B"), special("B")}, {}, {{"B", {{"ids", {258}}}}});
  put("tokenizer.json", json);
  expect_refusal("several tokens before");
  json["post_processor"] = around({special("B")}, {}, {{"B", {{"ids", {300}}}}});
  put("tokenizer.json", json);
  expect_refusal("token 300");
  json["post_processor"] = around({special("B")}, {}, {{"B", {{"ids", {1, 2}}}}});
  put("tokenizer.json", json);
  expect_refusal("special_tokens.B.ids");
  json["post_processor"] = around({special("C")}, {}, {{"B", {{"ids", {258}}}}});
  put("tokenizer.json", json);
  expect_refusal("special_tokens.C is missing");
}

TEST_F(HfTokenizerTest, RefusesSentencePieceThatItDoesNotCompute) {
  struct {
    const char* pointer;
    Json value;
    const char* part;
  } cases[] = {
      {"/model/byte_fallback", false, "model.byte_fallback"},
      {"/model/ignore_merges", true, "model.ignore_merges"},
      {"/model/merges", Json::array(), "model.merges is empty"},
      {"/normalizer", nullptr, "neither ByteLevel nor"},
      {"/normalizer/normalizers/0/prepend", "_", "Prepend"},
      {"/normalizer/normalizers/1/content", "_", "Replace"},
      {"/normalizer/normalizers/0/type", "NFKC", "NFKC"},
      {"/pre_tokenizer", {{"type", "Metaspace"}}, "normalizer has marked already"},
      {"/pre_tokenizer", {{"type", "Whitespace"}}, "Whitespace"},
  };
  for (const auto& [pointer, value, part] : cases) {
    Json json = sentencepiece();
    json[Json::json_pointer(pointer)] = value;
    put("tokenizer.json", json);
    expect_refusal(part);
  }
  Json json = sentencepiece();
  json["normalizer"] = nullptr;
  json["pre_tokenizer"] = {{"type", "Metaspace"}, {"replacement", "\u2581"}, {"split", true}};
  put("tokenizer.json", json);
  expect_refusal("Metaspace");
}

TEST_F(HfTokenizerTest, RefusesTokensOutsideTheModel) {
  put("tokenizer.json", byte_level());
  EXPECT_NE(refusal(259).find("vocab_size"), std::string::npos);
  EXPECT_EQ(refusal(260), "");
  put("generation_config.json", {{"eos_token_id", 260}});
  expect_refusal("token 260", "generation_config.json");
  put("generation_config.json", {{"eos_token_id", "x"}});
  expect_refusal("eos_token_id is \"x\"", "generation_config.json");
  put("generation_config.json", Json::object());
  put("tokenizer_config.json", {{"added_tokens_decoder", {{"9x", {{"content", "<x>"}}}}}});
  expect_refusal("9x", "tokenizer_config.json");
  put("tokenizer_config.json", {{"bos_token", 5}});
  expect_refusal("bos_token is 5", "tokenizer_config.json");
}

TEST_F(HfTokenizerTest, SaysWhatConcernsFewTexts) {
  Json json = byte_level();
  json["added_tokens"][0]["rstrip"] = true;
  put("tokenizer.json", json);
  put("tokenizer_config.json", {{"pad_token", "<pad>"}});
  EXPECT_EQ(refusal(), "");
  EXPECT_NE(log.find("added_tokens[0].rstrip"), log.npos) << log;
  EXPECT_NE(log.find(folder / "tokenizer_config.json"), log.npos) << log;
  EXPECT_NE(log.find("pad_token"), log.npos) << log;
}

// --- tokenizer.model ----------------------------------------------------------------------------------------------

using namespace bitnet_test::protobuf;

TEST_F(HfTokenizerTest, ReadsSentencePiecesOwnFile) {
  put_text("tokenizer.model", pieces() + trainer(kBpe) + identity() + message(9, "later"));
  put("tokenizer_config.json", {{"bos_token", "<s>"}, {"eos_token", "</s>"}});
  put("added_tokens.json", {{"<pad>", 10}});
  const HfTokenizer imported = read(12);
  EXPECT_EQ(imported.tokenizer->unknown, 0);
  EXPECT_EQ(imported.tokenizer->scores.size(), 12u);
  const Tokenizer tokenizer(view_of(*imported.tokenizer));
  EXPECT_EQ(tokenizer.encode("ab<x>c", {.bos_eos = true}), (Tokens{1, 6, 8, 9, 6, 3}));
  EXPECT_EQ(tokenizer.encode("<pad>", {}), Tokens{10});
}

TEST_F(HfTokenizerTest, PrefersTokenizerJson) {
  put_text("tokenizer.model", "nonsense");
  put("tokenizer.json", sentencepiece());
  EXPECT_EQ(refusal(), "");
}

TEST_F(HfTokenizerTest, RefusesOtherKindsOfSentencePiece) {
  const auto expect = [&](const std::string& bytes, const std::string& part) {
    put_text("tokenizer.model", bytes);
    expect_refusal(part, "tokenizer.model");
  };
  expect(pieces() + trainer(1) + identity(), "unigram");
  expect(pieces() + identity(), "unigram");
  expect(pieces() + trainer(4) + identity(), "char");
  expect(pieces() + trainer(99) + identity(), "model_type 99");
  expect(pieces() + trainer(kBpe) + message(3, message(1, "nmt_nfkc") + message(2, "map") + number(4, 0)), "nmt_nfkc");
  expect(pieces() + trainer(kBpe) + message(3, number(4, 1)), "remove_extra_whitespaces");
  expect(pieces() + trainer(kBpe), "remove_extra_whitespaces");
  expect(pieces() + message(2, number(3, kBpe) + number(24, 1)) + identity(), "treat_whitespace_as_suffix");
}

TEST_F(HfTokenizerTest, RefusesDamagedSentencePiece) {
  const std::string whole = pieces() + trainer(kBpe) + identity();
  for (size_t size = 0; size < whole.size(); ++size) {
    put_text("tokenizer.model", whole.substr(0, size));
    const std::string text = refusal();
    EXPECT_NE(text, "") << size;
    EXPECT_NE(text.find("tokenizer.model"), text.npos) << text;
  }
  const auto expect = [&](const std::string& bytes, const std::string& part) {
    put_text("tokenizer.model", bytes);
    expect_refusal(part, "tokenizer.model");
  };
  expect(std::string(12, '\xFF'), "more than 64 bits");
  expect(message(1, std::string(3, 'x')) + "\x0B", "field");
  expect(piece("a", 0, 1) + piece("a", 0, 1), "same text");
  expect(piece("a", 0, 77), "unknown type 77");
  expect(piece("a", NAN, 1), "score");
  expect(varint(1 << 3 | 2) + varint(UINT64_MAX), "cut short");
}

}  // namespace
}  // namespace bitnet
