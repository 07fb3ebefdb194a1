// SPDX-License-Identifier: MIT
// What GGUF files say in other words than usual: every key that is read, missing, in every type that writers give it,
// and with the values that mean "none". What has one meaning is taken; the rest is refused by the key's name; keys that
// nobody computes with never refuse a file.
#include <gtest/gtest.h>
#include <pthread.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "format/convert.h"
#include "format/files.h"
#include "format/gguf.h"
#include "format/load.h"
#include "format/open_questions.h"
#include "format/sample_model.h"
#include "text/tokenizer.h"

using namespace bitnet;
using namespace bitnet_test;

namespace {

constexpr uint32_t kBoolean = 7, kString = 8, kArray = 9;
const std::string kArchitecture = "bitnet-b1.58.";

struct Opened {
  Model model;
  std::string log;
};

Opened open(const std::string& file, std::optional<fb::Activation> activation = {}) {
  Opened opened;
  OpenOptions options;
  options.activation = activation;
  options.layout = I2sLayout::x86;  // of random weights, which do not show it
  options.log = [&](bitnet_log_level level, const std::string& line) {
    opened.log += (level == BITNET_LOG_WARNING ? "warning: " : "info: ") + line + "\n";
  };
  opened.model = load_model(open_container(std::as_bytes(std::span(file)), options));
  return opened;
}

testing::AssertionResult contains(std::string_view text, std::string_view word) {
  if (text.find(word) != text.npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "\"" << text << "\" does not contain \"" << word << "\"";
}

testing::AssertionResult opens(const GgufBuilder& gguf) {
  try {
    open(gguf.build());
  } catch (const Error& error) {
    return testing::AssertionFailure() << error.what();
  }
  return testing::AssertionSuccess();
}

// Refused, with all of these words.
testing::AssertionResult refuses(const std::string& file, const std::vector<std::string>& words) {
  try {
    open(file);
  } catch (const Error& error) {
    if (error.status() != BITNET_ERROR_FORMAT && error.status() != BITNET_ERROR_UNSUPPORTED) {
      return testing::AssertionFailure() << "status " << error.status();
    }
    for (const std::string& word : words) {
      if (const auto result = contains(error.what(), word); !result) return result;
    }
    return testing::AssertionSuccess();
  }
  return testing::AssertionFailure() << "was taken";
}

// --- values in every type ------------------------------------------------------------------------------------------

struct Value {
  std::string name;
  uint32_t type;
  std::string bytes;
};

template <typename Number>
std::string bytes_of(Number number) {
  std::string bytes;
  append(bytes, number);
  return bytes;
}

template <typename Number>
Value single(const char* name, uint32_t type, Number number) {
  return {name, type, bytes_of(number)};
}

Value array(const std::string& name, uint32_t element, const std::vector<std::string>& elements) {
  std::string bytes = bytes_of(element) + bytes_of(uint64_t{elements.size()});
  for (const std::string& value : elements) bytes += value;
  return {name, kArray, bytes};
}

std::string string_bytes(std::string_view text) {
  std::string bytes;
  append_string(bytes, text);
  return bytes;
}

// The number in all of GGUF's types for numbers, alone and as one value for each of two layers.
std::vector<Value> in_all_types(double number) {
  std::vector<Value> values = {
      single("u8", 0, static_cast<uint8_t>(number)),   single("i8", 1, static_cast<int8_t>(number)),
      single("u16", 2, static_cast<uint16_t>(number)), single("i16", 3, static_cast<int16_t>(number)),
      single("u32", 4, static_cast<uint32_t>(number)), single("i32", 5, static_cast<int32_t>(number)),
      single("f32", 6, static_cast<float>(number)),    single("u64", 10, static_cast<uint64_t>(number)),
      single("i64", 11, static_cast<int64_t>(number)), single("f64", 12, number)};
  for (size_t i = 0, singles = values.size(); i < singles; ++i) {
    const Value value = values[i];
    values.push_back(array("array of " + value.name, value.type, {value.bytes, value.bytes}));
  }
  return values;
}

// What is no number, whatever it is read as, and how the message calls it.
std::vector<Value> no_numbers() {
  return {{"the string \"7\"", kString, string_bytes("7")},
          array("an empty array of u32", 4, {}),
          array("an array of 2 u32 that differ", 4, {bytes_of(uint32_t{2}), bytes_of(uint32_t{3})}),
          array("an array of 1 strings", 8, {string_bytes("7")}),
          array("an array of 1 arrays", 9, {bytes_of(uint32_t{4}) + bytes_of(uint64_t{1}) + bytes_of(uint32_t{7})}),
          single("nan", 6, std::numeric_limits<float>::quiet_NaN()),
          single("inf", 12, std::numeric_limits<double>::infinity())};
}

// What is no whole number that is not negative.
std::vector<Value> no_counts() {
  std::vector<Value> values = no_numbers();
  values.push_back(single("the boolean true", kBoolean, uint8_t{1}));
  values.push_back(single("the i32 -2", 5, int32_t{-2}));
  values.push_back(single("the i8 -2", 1, int8_t{-2}));
  values.push_back(single("the i64 -2", 11, int64_t{-2}));
  values.push_back(single("the f32 7.5", 6, 7.5f));
  values.push_back(single("the f64 -7", 12, -7.0));
  values.push_back(single("the u64 1099511627776", 10, uint64_t{1} << 40));
  return values;
}

struct Key {
  std::string name;
  double value;
  double (*read)(const Model&);  // what became of it
  bool whole = true;
};

// Numbers that the small model has, and that any of the types holds.
const Key kNumbers[] = {
    {kArchitecture + "block_count", 1, [](const Model& m) -> double { return m.hyper.layers; }},
    {kArchitecture + "embedding_length", 64, [](const Model& m) -> double { return m.hyper.hidden; }},
    {kArchitecture + "feed_forward_length", 96, [](const Model& m) -> double { return m.hyper.ffn; }},
    {kArchitecture + "context_length", 100, [](const Model& m) -> double { return m.hyper.context; }},
    {kArchitecture + "attention.head_count", 4, [](const Model& m) -> double { return m.hyper.heads; }},
    {kArchitecture + "attention.head_count_kv", 2, [](const Model& m) -> double { return m.hyper.kv_heads; }},
    {kArchitecture + "attention.key_length", 16, [](const Model& m) -> double { return m.hyper.head_dim; }},
    {kArchitecture + "attention.value_length", 16, [](const Model& m) -> double { return m.hyper.head_dim; }},
    {kArchitecture + "rope.dimension_count", 16, [](const Model& m) -> double { return m.hyper.head_dim; }},
    {kArchitecture + "attention.layer_norm_rms_epsilon", 1,
     [](const Model& m) -> double { return m.hyper.rms_epsilon; }, false},
    {kArchitecture + "rope.freq_base", 100, [](const Model& m) -> double { return m.hyper.rope_theta; }, false},
    {kArchitecture + "rope.scaling.factor", 1, [](const Model&) -> double { return 1; }, false},
    {kArchitecture + "rope.scale_linear", 1, [](const Model&) -> double { return 1; }, false},
    {"tokenizer.ggml.bos_token_id", 5, [](const Model& m) -> double { return m.vocabulary.bos; }},
    {"tokenizer.ggml.eos_token_id", 6, [](const Model& m) -> double { return m.vocabulary.eos; }},
    {"tokenizer.ggml.unknown_token_id", 7, [](const Model& m) -> double { return m.vocabulary.unknown; }},
    {"tokenizer.ggml.padding_token_id", 8, [](const Model& m) -> double { return m.vocabulary.padding; }},
    {"tokenizer.ggml.eot_token_id", 9, [](const Model& m) -> double { return m.vocabulary.end_tokens[0]; }},
    {"tokenizer.ggml.eom_token_id", 10, [](const Model& m) -> double { return m.vocabulary.end_tokens[0]; }},
    {"general.alignment", 32, [](const Model&) -> double { return 32; }},
    {"split.count", 1, [](const Model&) -> double { return 1; }},
};

TEST(Numbers, MeanTheSameInEveryType) {
  for (const Key& key : kNumbers) {
    for (const Value& value : in_all_types(key.value)) {
      GgufBuilder gguf = small_model().gguf();
      gguf.set(key.name, value.type, value.bytes);
      ASSERT_TRUE(opens(gguf)) << key.name << " as " << value.name;
      EXPECT_EQ(key.read(open(gguf.build()).model), key.value) << key.name << " as " << value.name;
    }
  }
}

TEST(Numbers, ThatAreNoneAreRefusedByTheirKey) {
  for (const Key& key : kNumbers) {
    const bool optional =
        key.name.find("padding") != key.name.npos || key.name.find(".eo") == 14 || key.name.starts_with("split");
    if (optional && key.name != "tokenizer.ggml.eos_token_id") continue;
    for (const Value& value : key.whole ? no_counts() : no_numbers()) {
      if (key.name == "tokenizer.ggml.eos_token_id" && value.name.find("that differ") != value.name.npos) continue;
      if (key.name == "tokenizer.ggml.eos_token_id" && value.name.find("empty") != value.name.npos) continue;
      GgufBuilder gguf = small_model().gguf();
      gguf.set(key.name, value.type, value.bytes);
      EXPECT_TRUE(refuses(gguf.build(), {key.name, value.name})) << key.name << " as " << value.name;
    }
  }
}

TEST(Numbers, BeyondTheirBoundsAreRefusedByTheirKey) {
  const std::pair<const char*, uint32_t> kWrong[] = {{"block_count", 0},
                                                     {"block_count", 1025},
                                                     {"embedding_length", 8},
                                                     {"embedding_length", 1 << 18},
                                                     {"feed_forward_length", 0},
                                                     {"feed_forward_length", 1 << 20},
                                                     {"context_length", 0},
                                                     {"context_length", 1 << 25},
                                                     {"attention.head_count", 0},
                                                     {"attention.head_count", 5000},
                                                     {"attention.head_count_kv", 0},
                                                     {"attention.head_count_kv", 5},
                                                     {"attention.key_length", 0},
                                                     {"attention.key_length", 5000},
                                                     {"attention.value_length", 8},
                                                     {"rope.dimension_count", 0}};
  for (const auto& [name, number] : kWrong) {
    GgufBuilder gguf = small_model().gguf();
    gguf.set(kArchitecture + name, 4, bytes_of(number));
    EXPECT_TRUE(refuses(gguf.build(), {"metadata key " + kArchitecture + name, std::to_string(number)})) << name;
  }
  const std::pair<const char*, float> kWrongReals[] = {{"attention.layer_norm_rms_epsilon", -1e-5f},
                                                       {"attention.layer_norm_rms_epsilon", 2},
                                                       {"rope.freq_base", 0},
                                                       {"rope.freq_base", -10000}};
  for (const auto& [name, number] : kWrongReals) {
    GgufBuilder gguf = small_model().gguf();
    gguf.set(kArchitecture + name, 6, bytes_of(number));
    EXPECT_TRUE(refuses(gguf.build(), {"metadata key " + kArchitecture + name})) << name << " " << number;
  }
  GgufBuilder uneven = small_model().gguf();
  uneven.set(kArchitecture + "attention.head_count_kv", 4, bytes_of(uint32_t{3}));
  EXPECT_TRUE(refuses(uneven.build(), {"kv_heads (3)"}));
}

TEST(Numbers, ThatAreMissingHaveTheirDefaultsOrAreNamed) {
  for (const char* const name : {"block_count", "context_length", "embedding_length", "feed_forward_length",
                                 "attention.head_count", "attention.layer_norm_rms_epsilon"}) {
    GgufBuilder gguf = small_model().gguf();
    gguf.remove(kArchitecture + name);
    EXPECT_TRUE(refuses(gguf.build(), {kArchitecture + name + " is missing"}));
  }
  GgufBuilder gguf = small_model().gguf();
  gguf.remove(kArchitecture + "rope.freq_base");
  EXPECT_EQ(open(gguf.build()).model.hyper.rope_theta, 10000);
  SampleModel even = small_model();
  even.kv_heads = even.heads;
  gguf = even.draw().gguf();
  gguf.remove(kArchitecture + "attention.head_count_kv");
  EXPECT_EQ(open(gguf.build()).model.hyper.kv_heads, even.heads);
}

// What a model of eight pairs, theta 500000 and 128 tokens comes to, by the definitions.
struct Scaled {
  std::vector<float> factors;
  float magnitude;
};
Scaled scaled_rope(std::optional<std::string> type, const std::vector<std::pair<const char*, float>>& numbers) {
  GgufBuilder gguf = small_model().gguf();
  if (type) gguf.string(kArchitecture + "rope.scaling.type", *type);
  for (const auto& [key, value] : numbers) gguf.f32(kArchitecture + key, value);
  const Opened opened = open(gguf.build());
  const float* const factors = opened.model.rope_factors;
  return {factors == nullptr ? std::vector<float>() : std::vector<float>(factors, factors + 8),
          opened.model.hyper.rope_magnitude};
}

TEST(RopeScaling, ByOneOrByNothingIsNone) {
  for (const auto& type : {std::optional<std::string>(), std::optional<std::string>("linear"),
                           std::optional<std::string>("yarn"), std::optional<std::string>("")}) {
    for (const char* const key : {"rope.scaling.factor", "rope.scale_linear", "rope.scaling.attn_factor"}) {
      for (const float number : {0.0f, 1.0f}) {
        const Scaled scaled = scaled_rope(type, {{key, number}});
        EXPECT_TRUE(scaled.factors.empty());
        EXPECT_EQ(scaled.magnitude, 1);
      }
    }
  }
  EXPECT_TRUE(scaled_rope("none", {{"rope.scaling.factor", 4}}).factors.empty());
}

TEST(RopeScaling, DividesFrequenciesByAFactor) {
  for (const char* const key : {"rope.scaling.factor", "rope.scale_linear"}) {
    EXPECT_EQ(scaled_rope(std::nullopt, {{key, 4}}).factors, std::vector<float>(8, 4.0f)) << key;
  }
  EXPECT_EQ(scaled_rope("linear", {{"rope.scaling.factor", 4}, {"rope.scaling.attn_factor", 0.5f}}).magnitude, 0.5f);
}

// YaRN (arXiv 2309.00071): pairs that turn more than 32 times over the original context stay, those that turn less than
// once are divided, and between the two is a ramp.
TEST(RopeScaling, ByYarnLeavesShortWaves) {
  const Scaled scaled = scaled_rope("yarn", {{"rope.scaling.factor", 4}, {"rope.scaling.original_context_length", 64}});
  ASSERT_EQ(scaled.factors.size(), 8u);
  EXPECT_EQ(scaled.factors.front(), 1);
  EXPECT_EQ(scaled.factors.back(), 4);
  EXPECT_TRUE(std::ranges::is_sorted(scaled.factors));
  EXPECT_NEAR(scaled.magnitude, 1 + 0.1 * std::log(4.0), 1e-6);
}

TEST(RopeScaling, OfAnotherKindIsRefused) {
  GgufBuilder gguf = small_model().gguf();
  gguf.string(kArchitecture + "rope.scaling.type", "longrope");
  EXPECT_TRUE(refuses(gguf.build(), {kArchitecture + "rope.scaling.type", "longrope"}));
  gguf = small_model().gguf();
  gguf.f32(kArchitecture + "rope.scaling.factor", -2);
  EXPECT_TRUE(refuses(gguf.build(), {kArchitecture + "rope.scaling.factor"}));
}

// --- booleans and tokens -------------------------------------------------------------------------------------------

TEST(Booleans, MayBeNumbers) {
  const std::pair<const char*, bool (*)(const Model&)> kKeys[] = {
      {"tokenizer.ggml.add_bos_token", [](const Model& m) { return m.vocabulary.add_bos; }},
      {"tokenizer.ggml.add_eos_token", [](const Model& m) { return m.vocabulary.add_eos; }}};
  for (const auto& [key, read] : kKeys) {
    for (const bool wanted : {false, true}) {
      auto values = in_all_types(wanted);
      values.push_back(single("boolean", kBoolean, uint8_t{wanted}));
      values.push_back(array("array of booleans", kBoolean, {bytes_of(uint8_t{wanted})}));
      for (const Value& value : values) {
        GgufBuilder gguf = small_model().gguf();
        gguf.set(key, value.type, value.bytes);
        ASSERT_TRUE(opens(gguf)) << key << " as " << value.name;
        EXPECT_EQ(read(open(gguf.build()).model), wanted) << key << " as " << value.name;
      }
    }
    auto wrong = no_numbers();
    wrong.push_back(single("the u32 2", 4, uint32_t{2}));
    wrong.push_back(single("the i32 -1", 5, int32_t{-1}));
    for (const Value& value : wrong) {
      GgufBuilder gguf = small_model().gguf();
      gguf.set(key, value.type, value.bytes);
      EXPECT_TRUE(refuses(gguf.build(), {key, value.name, "boolean"})) << value.name;
    }
  }
}

TEST(SpecialTokens, MayBeNone) {
  const std::vector<Value> kNone = {single("i8", 1, int8_t{-1}),      single("i32", 5, int32_t{-1}),
                                    single("i64", 11, int64_t{-1}),   single("u32", 4, ~uint32_t{0}),
                                    single("u64", 10, ~uint64_t{0}),  single("f32", 6, -1.0f),
                                    array("array", 5, {bytes_of(-1)})};
  for (const Value& none : kNone) {
    GgufBuilder gguf = small_model().gguf();
    for (const char* const key : {"bos", "eos", "unknown", "padding", "eot", "eom"}) {
      gguf.set("tokenizer.ggml." + std::string(key) + "_token_id", none.type, none.bytes);
    }
    const Opened opened = open(gguf.build());
    EXPECT_EQ(opened.model.vocabulary.bos, kNoToken) << none.name;
    EXPECT_EQ(opened.model.vocabulary.eos, kNoToken);
    EXPECT_EQ(opened.model.vocabulary.unknown, kNoToken);
    EXPECT_EQ(opened.model.vocabulary.padding, kNoToken);
    EXPECT_FALSE(opened.model.vocabulary.add_bos);  // though llama-bpe's texts begin with it
    EXPECT_TRUE(opened.model.vocabulary.end_tokens.empty());
  }
}

TEST(SpecialTokens, BeyondTheVocabularyAreRefusedOrLeftOut) {
  for (const char* const key : {"bos", "eos", "unknown"}) {
    GgufBuilder gguf = small_model().gguf();
    const std::string name = "tokenizer.ggml." + std::string(key) + "_token_id";
    gguf.set(name, 4, bytes_of(uint32_t{20}));
    EXPECT_TRUE(refuses(gguf.build(), {name, "20", "from 0 to 19"}));
  }
  for (const char* const key : {"padding", "eot", "eom"}) {
    const std::string name = "tokenizer.ggml." + std::string(key) + "_token_id";
    auto values = no_counts();
    values.push_back(single("the u32 20", 4, uint32_t{20}));
    for (const Value& value : values) {
      GgufBuilder gguf = small_model().gguf();
      gguf.set(name, value.type, value.bytes);
      ASSERT_TRUE(opens(gguf)) << name << " as " << value.name;
      const Opened opened = open(gguf.build());
      EXPECT_TRUE(contains(opened.log, "warning: metadata key " + name));
      EXPECT_EQ(opened.model.vocabulary.padding, kNoToken);
      EXPECT_TRUE(opened.model.vocabulary.end_tokens.empty());
    }
  }
}

TEST(SpecialTokens, ThatEndATextMayBeSeveral) {
  GgufBuilder gguf = small_model().gguf();
  gguf.set("tokenizer.ggml.eos_token_id", kArray, array("", 5, {bytes_of(4), bytes_of(6), bytes_of(7)}).bytes);
  gguf.u32("tokenizer.ggml.eot_token_id", 8);
  const TemporaryFolder folder;
  write_file(folder / "in.gguf", gguf.build());
  convert(folder / "in.gguf", folder / "out.bitnet");
  for (const std::string& file : {gguf.build(), read_file(folder / "out.bitnet")}) {
    const Opened opened = open(file);
    EXPECT_EQ(opened.model.vocabulary.eos, 4);
    const Tokenizer tokenizer(opened.model.vocabulary);
    for (Token token = 0; token < 20; ++token) {
      EXPECT_EQ(tokenizer.is_end_of_generation(token), token == 4 || (token >= 6 && token <= 8)) << token;
    }
  }
  gguf.set("tokenizer.ggml.eos_token_id", kArray, array("", 5, {bytes_of(-1), bytes_of(4)}).bytes);
  EXPECT_EQ(open(gguf.build()).model.vocabulary.eos, 4);
  gguf.set("tokenizer.ggml.eos_token_id", kArray, array("", 5, {bytes_of(4), bytes_of(20)}).bytes);
  EXPECT_TRUE(refuses(gguf.build(), {"tokenizer.ggml.eos_token_id", "differ"}));
  std::vector<std::string> too_many(1000, bytes_of(uint8_t{1}));
  too_many[0] = bytes_of(uint8_t{2});
  gguf.set("tokenizer.ggml.eos_token_id", kArray, array("", 0, too_many).bytes);
  EXPECT_TRUE(refuses(gguf.build(), {"tokenizer.ggml.eos_token_id", "1000 elements", "only 20 tokens"}));
  gguf.set("tokenizer.ggml.eos_token_id", kArray, array("", 5, {}).bytes);
  EXPECT_EQ(open(gguf.build()).model.vocabulary.eos, kNoToken);
  EXPECT_TRUE(refuses(reseal(read_file(folder / "out.bitnet"), [](fb::ModelT& m) { m.tokenizer->end_tokens[0] = 20; }),
                      {"end", "20"}));
}

TEST(SpecialTokens, ThatAreToBeAddedButDoNotExistAreNotAdded) {
  GgufBuilder gguf = small_model().gguf();
  gguf.remove("tokenizer.ggml.bos_token_id");
  gguf.boolean("tokenizer.ggml.add_bos_token", true);
  const Opened opened = open(gguf.build());
  EXPECT_FALSE(opened.model.vocabulary.add_bos);
  EXPECT_TRUE(contains(opened.log, "warning: metadata key tokenizer.ggml.add_bos_token"));
}

// --- vocabularies --------------------------------------------------------------------------------------------------

// A vocabulary of bytes and some more pieces, in place of the sample's own.
struct TestVocabulary {
  bool sentencepiece = false;
  std::vector<std::string> more = {};
  size_t size = 0;  // filled up
};

std::vector<std::string> pieces_of(const TestVocabulary& vocabulary) {
  std::vector<std::string> pieces;
  if (vocabulary.sentencepiece) {
    pieces = {"<unk>", "<s>", "</s>"};
    for (int byte = 0; byte < 256; ++byte) {
      char name[8];
      std::snprintf(name, sizeof name, "<0x%02X>", byte);
      pieces.emplace_back(name);
    }
  }
  pieces.insert(pieces.end(), vocabulary.more.begin(), vocabulary.more.end());
  while (pieces.size() < std::max<size_t>(vocabulary.size, 4)) pieces.push_back("t" + std::to_string(pieces.size()));
  return pieces;
}

// A model of that vocabulary, without the keys that this file is about: rule, additions, activation.
GgufBuilder model_of(const TestVocabulary& vocabulary, uint32_t heads = 4, uint32_t kv_heads = 2,
                     float theta = 500000) {
  const std::vector<std::string> pieces = pieces_of(vocabulary);
  SampleModel sample = small_model();
  sample.heads = heads;
  sample.kv_heads = kv_heads;
  sample.vocabulary = static_cast<uint32_t>(pieces.size());
  sample.hidden = 64;
  GgufBuilder gguf = sample.draw().gguf();
  for (const char* const key : {"pre", "bos_token_id", "eos_token_id", "token_type", "merges", "tokens", "model"}) {
    gguf.remove("tokenizer.ggml." + std::string(key));
  }
  gguf.set(kArchitecture + "rope.freq_base", 6, bytes_of(theta));
  gguf.string("tokenizer.ggml.model", vocabulary.sentencepiece ? "llama" : "gpt2");
  gguf.strings("tokenizer.ggml.tokens", pieces);
  std::vector<int32_t> types(pieces.size(), 1);
  if (vocabulary.sentencepiece) {
    gguf.numbers("tokenizer.ggml.scores", 6, std::vector<float>(pieces.size(), 0));
    types[0] = 2, types[1] = types[2] = 3;
    std::fill(types.begin() + 3, types.begin() + 259, 6);
  } else {
    gguf.strings("tokenizer.ggml.merges", {});
  }
  gguf.numbers("tokenizer.ggml.token_type", 5, types);
  return gguf;
}

const std::vector<std::string> kLlama3 = {"a", "b", "<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"};

TEST(TokenTypes, MayBeOfAnyWholeType) {
  const auto with_types = [](uint32_t element, auto zero) {
    using Number = decltype(zero);
    GgufBuilder gguf = model_of({.more = kLlama3});
    gguf.remove("tokenizer.ggml.token_type");
    gguf.numbers("tokenizer.ggml.token_type", element, std::vector<Number>{1, 4, 3, 3, 3});
    return open(gguf.build()).model;
  };
  const auto expect_types = [](const Model& model) {
    EXPECT_EQ((std::vector<uint8_t>(model.vocabulary.types.begin(), model.vocabulary.types.end())),
              (std::vector<uint8_t>{1, 4, 3, 3, 3}));
  };
  expect_types(with_types(0, uint8_t{}));
  expect_types(with_types(1, int8_t{}));
  expect_types(with_types(2, uint16_t{}));
  expect_types(with_types(3, int16_t{}));
  expect_types(with_types(4, uint32_t{}));
  expect_types(with_types(5, int32_t{}));
  expect_types(with_types(6, float{}));
  expect_types(with_types(10, uint64_t{}));
  expect_types(with_types(11, int64_t{}));
  expect_types(with_types(12, double{}));
}

TEST(TokenTypes, ThatAreNoneAreRefused) {
  const auto with_types = [](uint32_t type, const std::string& bytes) {
    GgufBuilder gguf = model_of({.more = kLlama3});
    gguf.set("tokenizer.ggml.token_type", type, bytes);
    return gguf.build();
  };
  const auto of = [&](std::vector<int32_t> types) {
    std::vector<std::string> elements;
    for (const int32_t type : types) elements.push_back(bytes_of(type));
    return with_types(kArray, array("", 5, elements).bytes);
  };
  EXPECT_TRUE(refuses(of({1, 1, 7, 1, 1}), {"tokenizer.ggml.token_type", "token 2", "7"}));
  EXPECT_TRUE(refuses(of({1, -1, 1, 1, 1}), {"tokenizer.ggml.token_type", "token 1", "-1"}));
  EXPECT_TRUE(refuses(of({1, 1, 1, 1}), {"tokenizer.ggml.token_type", "4 elements for 5 tokens"}));
  EXPECT_TRUE(refuses(with_types(kString, string_bytes("1")), {"tokenizer.ggml.token_type", "the string \"1\""}));
  EXPECT_TRUE(refuses(with_types(4, bytes_of(1)), {"tokenizer.ggml.token_type", "the u32 1", "an array"}));
  EXPECT_TRUE(refuses(with_types(kArray, array("", kBoolean, {5, bytes_of(uint8_t{1})}).bytes),
                      {"tokenizer.ggml.token_type", "booleans"}));
  EXPECT_NO_THROW(open(of({0, 1, 3, 3, 3, 1, 1})));  // 0: the writer did not know; longer: llama.cpp's tools allow it
}

TEST(TokenTypes, AreFoundByNameWhereTheyAreMissing) {
  GgufBuilder bytes = model_of({.more = kLlama3});
  bytes.remove("tokenizer.ggml.token_type");
  const Opened bpe = open(bytes.build());
  EXPECT_EQ(bpe.model.vocabulary.types[2], 3);
  EXPECT_EQ(bpe.model.vocabulary.types[0], 1);
  EXPECT_TRUE(contains(bpe.log, "tokenizer.ggml.token_type"));
  GgufBuilder pieces = model_of({.sentencepiece = true, .size = 300}, 4, 4, 10000);
  pieces.remove("tokenizer.ggml.token_type");
  const Opened sentencepiece = open(pieces.build());
  const auto types = sentencepiece.model.vocabulary.types;
  EXPECT_EQ((std::vector<uint8_t>(types.begin(), types.begin() + 4)), (std::vector<uint8_t>{2, 3, 3, 6}));
  EXPECT_EQ(types[258], 6);
  EXPECT_EQ(types[259], 1);
}

TEST(Scores, MayBeOfAnyType) {
  const auto with_scores = [](uint32_t element, auto zero) {
    using Number = decltype(zero);
    GgufBuilder gguf = model_of({.sentencepiece = true, .size = 300}, 4, 4, 10000);
    gguf.remove("tokenizer.ggml.scores");
    std::vector<Number> scores(300);
    for (size_t i = 0; i < scores.size(); ++i) scores[i] = static_cast<Number>(i % 100);
    gguf.numbers("tokenizer.ggml.scores", element, scores);
    return gguf.build();
  };
  for (const std::string& file : {with_scores(6, float{}), with_scores(12, double{}), with_scores(5, int32_t{}),
                                  with_scores(11, int64_t{}), with_scores(0, uint8_t{})}) {
    EXPECT_EQ(open(file).model.vocabulary.scores[299], 99);
  }
  GgufBuilder gguf = model_of({.sentencepiece = true, .size = 300}, 4, 4, 10000);
  gguf.remove("tokenizer.ggml.scores");
  EXPECT_TRUE(refuses(gguf.build(), {"tokenizer.ggml.scores is missing"}));
  std::vector<double> bad(300, 1e300);
  gguf.numbers("tokenizer.ggml.scores", 12, bad);
  EXPECT_TRUE(refuses(gguf.build(), {"tokenizer.ggml.scores", "token 0", "inf"}));
}

TEST(SentencePiece, HasLlamaCppsDefaults) {
  GgufBuilder gguf = model_of({.sentencepiece = true, .size = 300}, 4, 4, 10000);
  const Model model = open(gguf.build()).model;
  EXPECT_EQ(model.vocabulary.bos, 1);
  EXPECT_EQ(model.vocabulary.eos, 2);
  EXPECT_EQ(model.vocabulary.unknown, 0);
  EXPECT_TRUE(model.vocabulary.add_bos);
  EXPECT_FALSE(model.vocabulary.add_eos);
  EXPECT_TRUE(model.vocabulary.add_space_prefix);
  gguf.u32("tokenizer.ggml.add_space_prefix", 0);
  gguf.u32("tokenizer.ggml.pre", 7);  // which only byte-level BPE has
  EXPECT_FALSE(open(gguf.build()).model.vocabulary.add_space_prefix);
}

// --- the splitting rule --------------------------------------------------------------------------------------------

// Vocabularies that are recognised, as far as it takes.
TestVocabulary known_vocabulary(std::string_view rule) {
  if (rule == "llama-bpe") return {.more = kLlama3};
  const auto placed = [](std::vector<std::pair<size_t, std::string>> tokens, size_t size) {
    TestVocabulary vocabulary;
    for (size_t i = 0; i < size; ++i) vocabulary.more.push_back("t" + std::to_string(i));
    for (const auto& [at, token] : tokens) vocabulary.more[at] = token;
    return vocabulary;
  };
  if (rule == "gpt-2") return placed({{0, "!"}, {43453, "\u0120SolidGoldMagikarp"}, {50256, "<|endoftext|>"}}, 50257);
  if (rule == "qwen2") {
    return placed({{151643, "<|endoftext|>"}, {151644, "<|im_start|>"}, {151645, "<|im_end|>"}}, 151936);
  }
  return placed({{0, ">>TITLE<<"}, {6, ">>QUESTION<<"}, {11, "<|endoftext|>"}}, 131072);
}

TEST(SplittingRule, IsThatOfTheVocabularyWhereTheFileNamesNone) {
  for (const char* const rule : {"llama-bpe", "gpt-2", "qwen2", "falcon3"}) {
    const GgufBuilder silent = model_of(known_vocabulary(rule));
    GgufBuilder empty = silent, unsure = silent;
    empty.string("tokenizer.ggml.pre", "");
    unsure.string("tokenizer.ggml.pre", "default");  // what writers put that do not know
    for (const GgufBuilder* const gguf : std::initializer_list<const GgufBuilder*>{&silent, &empty, &unsure}) {
      const Opened opened = open(gguf->build());
      EXPECT_EQ(opened.model.vocabulary.pre_tokenizer, rule);
      EXPECT_TRUE(contains(opened.log, "info: the file does not name the rule"));
      EXPECT_EQ(opened.model.vocabulary.add_bos, rule == std::string_view("llama-bpe"));
    }
    GgufBuilder named = silent;
    named.string("tokenizer.ggml.pre", "tekken");
    const Opened opened = open(named.build());
    EXPECT_EQ(opened.model.vocabulary.pre_tokenizer, "tekken");
    EXPECT_EQ(opened.log.find("rule"), std::string::npos) << opened.log;
  }
}

TEST(SplittingRule, OfAnUnknownVocabularyIsLlamaCppsAndALineInTheLog) {
  GgufBuilder gguf =
      model_of({.more = {"<|begin_of_text|>", "<|im_start|>", "<|im_end|>", "<|endoftext|>"}, .size = 20});
  const Opened silent = open(gguf.build());
  EXPECT_EQ(silent.model.vocabulary.pre_tokenizer, "default");
  EXPECT_FALSE(silent.model.vocabulary.add_bos);
  EXPECT_TRUE(contains(silent.log, "warning: the file does not name the rule"));
  gguf.string("tokenizer.ggml.pre", "default");
  const Opened named = open(gguf.build());
  EXPECT_EQ(named.model.vocabulary.pre_tokenizer, "default");
  EXPECT_EQ(named.log.find("warning"), std::string::npos) << named.log;
  gguf.set("tokenizer.ggml.pre", 4, bytes_of(uint32_t{1}));
  EXPECT_TRUE(refuses(gguf.build(), {"tokenizer.ggml.pre", "the u32 1", "a string"}));
  gguf.set("tokenizer.ggml.pre", kString, string_bytes("klingon"));
  EXPECT_THROW(Tokenizer(open(gguf.build()).model.vocabulary), Error);
}

TEST(Bos, IsAddedAsThePublishedTokenizerDoes) {
  GgufBuilder gguf = model_of(known_vocabulary("llama-bpe"));
  const Model silent = open(gguf.build()).model;
  EXPECT_EQ(silent.vocabulary.bos, 2);  // named nowhere but in the vocabulary
  EXPECT_EQ(silent.vocabulary.eos, 3);
  EXPECT_TRUE(silent.vocabulary.add_bos);
  GgufBuilder refused = gguf, named = gguf, none = gguf;
  refused.boolean("tokenizer.ggml.add_bos_token", false);
  EXPECT_FALSE(open(refused.build()).model.vocabulary.add_bos);
  named.u32("tokenizer.ggml.bos_token_id", 1);
  EXPECT_EQ(open(named.build()).model.vocabulary.bos, 1);
  EXPECT_TRUE(open(named.build()).model.vocabulary.add_bos);
  none.number("tokenizer.ggml.bos_token_id", 5, int32_t{-1});
  EXPECT_FALSE(open(none.build()).model.vocabulary.add_bos);
}

// --- the activation ------------------------------------------------------------------------------------------------

TestVocabulary sentencepiece(size_t size) { return {.sentencepiece = true, .size = size}; }

TEST(Activation, IsWhatTheFileOrTheKnownModelsSay) {
  struct Case {
    TestVocabulary vocabulary;
    uint32_t heads, kv_heads;
    float theta;
    Activation expected;
  };
  const Case kCases[] = {
      {{.more = kLlama3}, 4, 1, 500000, Activation::relu2},      // BitNet b1.58 2B-4T
      {{.more = kLlama3}, 4, 4, 10000, Activation::relu2},       // small models of tests and training
      {{.size = 300}, 4, 4, 10000, Activation::relu2},           // byte-level BPE: none of 1bitLLM's
      {sentencepiece(300), 4, 4, 10000, Activation::silu},       // 1bitLLM's
      {sentencepiece(128256), 4, 2, 500000, Activation::relu2},  // Llama 3's size
      {sentencepiece(128256), 4, 4, 10000, Activation::relu2},   // and 1bitLLM's shape
  };
  for (const Case& c : kCases) {
    const Opened opened = open(model_of(c.vocabulary, c.heads, c.kv_heads, c.theta).build());
    EXPECT_EQ(opened.model.hyper.activation, c.expected);
    const bool doubtful = c.expected == Activation::relu2 && c.vocabulary.more.empty() && c.theta == 10000;
    EXPECT_TRUE(contains(opened.log, doubtful ? "warning: the file does not name its activation"
                                              : "info: the file does not name its activation"));
    EXPECT_TRUE(contains(opened.log, c.expected == Activation::silu ? "silu" : "relu2"));
  }
}

TEST(Activation, ThatCouldBeEitherIsAskedFor) {
  const std::pair<std::pair<uint32_t, uint32_t>, float> kShapes[] = {
      {{4, 2}, 10000}, {{4, 4}, 500000}, {{4, 1}, 500000}};
  for (const auto& [heads, theta] : kShapes) {
    GgufBuilder gguf = model_of(sentencepiece(300), heads.first, heads.second, theta);
    EXPECT_TRUE(refuses(gguf.build(), {"activation", "--activation relu2", "bitnet_open_options", "SentencePiece"}));
    EXPECT_EQ(open(gguf.build(), fb::Activation::relu2).model.hyper.activation, Activation::relu2);
    EXPECT_EQ(open(gguf.build(), fb::Activation::silu).model.hyper.activation, Activation::silu);
    for (const char* const key : {"hidden_act", "hidden_activation"}) {
      for (const auto& [name, meaning] :
           {std::pair("relu2", Activation::relu2), {"silu", Activation::silu}, {"swish", Activation::silu}}) {
        GgufBuilder named = gguf;
        named.string(kArchitecture + key, name);
        EXPECT_EQ(open(named.build()).model.hyper.activation, meaning) << key << " " << name;
      }
    }
    GgufBuilder wrong = gguf;
    wrong.u32(kArchitecture + "hidden_act", 1);
    EXPECT_TRUE(refuses(wrong.build(), {kArchitecture + "hidden_act", "the u32 1", "a string"}));
  }
}

TEST(Activation, OfTheCallerAlwaysCounts) {
  GgufBuilder gguf = model_of({.more = kLlama3});
  EXPECT_EQ(open(gguf.build(), fb::Activation::silu).model.hyper.activation, Activation::silu);
  gguf.string(kArchitecture + "hidden_act", "relu2");
  const Opened opened = open(gguf.build(), fb::Activation::silu);
  EXPECT_EQ(opened.model.hyper.activation, Activation::silu);
  EXPECT_TRUE(contains(opened.log, "warning: activation silu as asked for; the file names relu2"));
  std::string gelu;
  append_string(gelu, "gelu");
  gguf.set(kArchitecture + "hidden_act", 8, gelu);
  EXPECT_TRUE(refuses(gguf.build(), {"hidden_act", "gelu"}));
  EXPECT_TRUE(contains(open(gguf.build(), fb::Activation::silu).log, "the file names gelu"));
}

TEST(Activation, OfTheOtherArchitecturesIsTheirs) {
  for (const auto& [architecture, expected] :
       {std::pair("bitnet", Activation::silu), {"bitnet-25", Activation::relu2}}) {
    SampleModel sample = small_model();
    sample.architecture = architecture;
    const Opened opened = open(sample.gguf().build());
    EXPECT_EQ(opened.model.hyper.activation, expected);
    EXPECT_EQ(opened.log, "");
  }
}

// --- .bitnet files of earlier versions -----------------------------------------------------------------------------

// The file that an earlier version made of it: it stored what a missing key meant to it.
std::string earlier(const GgufBuilder& gguf, const std::function<void(fb::ModelT&)>& change,
                    std::optional<fb::Activation> activation = fb::Activation::relu2) {
  const TemporaryFolder folder;
  write_file(folder / "in.gguf", gguf.build());
  ConvertOptions options;
  options.activation = activation;
  convert(folder / "in.gguf", folder / "out.bitnet", options);
  return reseal(read_file(folder / "out.bitnet"), [&](fb::ModelT& model) {
    EXPECT_TRUE(model.settled);
    model.settled = false;
    change(model);
  });
}

void forget_rule(fb::ModelT& model) {
  model.tokenizer->pre_tokenizer = "default";
  model.tokenizer->add_bos = false;
}

TEST(EarlierFile, WithoutARuleIsPutRight) {
  GgufBuilder gguf = model_of(known_vocabulary("llama-bpe"));
  gguf.u32("tokenizer.ggml.bos_token_id", 2);
  const Opened opened = open(earlier(gguf, forget_rule));
  EXPECT_EQ(opened.model.vocabulary.pre_tokenizer, "llama-bpe");
  EXPECT_TRUE(opened.model.vocabulary.add_bos);
  EXPECT_TRUE(contains(opened.log, "warning: the file does not know how its texts are cut"));
  EXPECT_TRUE(contains(opened.log, "llama-bpe"));

  const Opened lost = open(earlier(model_of(known_vocabulary("llama-bpe")), [](fb::ModelT& model) {
    forget_rule(model);
    model.tokenizer->bos = -1;
  }));
  EXPECT_EQ(lost.model.vocabulary.bos, 2);
  EXPECT_TRUE(lost.model.vocabulary.add_bos);

  gguf.boolean("tokenizer.ggml.add_bos_token", false);
  const Opened without = open(earlier(gguf, forget_rule));
  EXPECT_EQ(without.model.vocabulary.pre_tokenizer, "llama-bpe");
  EXPECT_FALSE(without.model.vocabulary.add_bos);

  const Opened gpt2 = open(earlier(model_of(known_vocabulary("gpt-2")), forget_rule));
  EXPECT_EQ(gpt2.model.vocabulary.pre_tokenizer, "gpt-2");
  EXPECT_FALSE(gpt2.model.vocabulary.add_bos);

  // Not made from GGUF: the writer knew.
  const Opened own = open(earlier(model_of(known_vocabulary("llama-bpe")), [](fb::ModelT& model) {
    forget_rule(model);
    model.notes.clear();
  }));
  EXPECT_EQ(own.model.vocabulary.pre_tokenizer, "default");
  EXPECT_FALSE(own.model.vocabulary.add_bos);
  EXPECT_EQ(own.log, "");

  const Opened unknown = open(earlier(model_of({.size = 20}), forget_rule));
  EXPECT_EQ(unknown.model.vocabulary.pre_tokenizer, "default");
  EXPECT_EQ(unknown.log, "");
}

TEST(EarlierFile, OfOneBitLlmIsPutRightOrAskedFor) {
  const auto nothing = [](fb::ModelT&) {};
  const std::string silu = earlier(model_of(sentencepiece(300), 4, 4, 10000), nothing);
  const Opened opened = open(silu);
  EXPECT_EQ(opened.model.hyper.activation, Activation::silu);
  EXPECT_TRUE(contains(opened.log, "warning: the file was converted as if its model had the activation relu2"));
  EXPECT_EQ(open(silu, fb::Activation::relu2).model.hyper.activation, Activation::relu2);

  GgufBuilder either = model_of(sentencepiece(300), 4, 2, 10000);
  EXPECT_TRUE(refuses(earlier(either, nothing), {"--activation relu2"}));
  EXPECT_EQ(open(earlier(either, nothing), fb::Activation::relu2).model.hyper.activation, Activation::relu2);
  EXPECT_EQ(open(earlier(either, nothing), fb::Activation::silu).model.hyper.activation, Activation::silu);
  either.string(kArchitecture + "hidden_act", "relu2");
  EXPECT_EQ(open(earlier(either, nothing)).model.hyper.activation, Activation::relu2);

  // Not made from GGUF: the writer knew.
  const std::string own = earlier(model_of(sentencepiece(300), 4, 2, 10000), [](fb::ModelT& m) { m.notes.clear(); });
  EXPECT_EQ(open(own).model.hyper.activation, Activation::relu2);
  const Opened llama3 = open(earlier(model_of({.more = kLlama3}, 4, 4, 10000), nothing));
  EXPECT_EQ(llama3.model.hyper.activation, Activation::relu2);
  EXPECT_EQ(llama3.log, "");
}

TEST(EarlierFile, ConvertedAgainIsSettled) {
  const TemporaryFolder folder;
  GgufBuilder gguf = model_of(known_vocabulary("llama-bpe"));
  gguf.u32("tokenizer.ggml.bos_token_id", 2);
  write_file(folder / "rule.bitnet", earlier(gguf, forget_rule));
  convert(folder / "rule.bitnet", folder / "again.bitnet");
  const Opened rule = open(read_file(folder / "again.bitnet"));
  EXPECT_EQ(rule.model.vocabulary.pre_tokenizer, "llama-bpe");
  EXPECT_TRUE(rule.model.vocabulary.add_bos);
  EXPECT_EQ(rule.log, "");

  write_file(folder / "either.bitnet", earlier(model_of(sentencepiece(300), 4, 2, 10000), [](fb::ModelT&) {}));
  EXPECT_THROW(convert(folder / "either.bitnet", folder / "again.bitnet"), Error);
  for (const auto activation : {fb::Activation::relu2, fb::Activation::silu}) {
    ConvertOptions options;
    options.activation = activation;
    convert(folder / "either.bitnet", folder / "again.bitnet", options);
    const Opened settled = open(read_file(folder / "again.bitnet"));
    EXPECT_EQ(settled.model.hyper.activation == Activation::silu, activation == fb::Activation::silu);
    EXPECT_EQ(settled.log, "");
  }
}

TEST(EarlierFile, HasAnotherFingerprintWithAnotherActivation) {
  const std::string file = earlier(model_of({.more = kLlama3}), [](fb::ModelT&) {});
  EXPECT_NE(open(file).model.fingerprint, open(file, fb::Activation::silu).model.fingerprint);
}

// --- what nobody computes with -------------------------------------------------------------------------------------

std::string nested_array(size_t depth) {
  std::string bytes;
  for (size_t i = 0; i < depth; ++i) {  // of each two, so that every level has one to come
    append(bytes, uint32_t{9});
    append(bytes, uint64_t{2});
  }
  append(bytes, uint32_t{0});
  append(bytes, uint64_t{1});
  bytes += "x";
  for (size_t i = 0; i < depth; ++i) {
    append(bytes, uint32_t{8});
    append(bytes, uint64_t{1});
    append_string(bytes, "y");
  }
  return bytes;
}

TEST(OtherKeys, NeverRefuseAFile) {
  std::vector<Value> values = in_all_types(7);
  for (const Value& value : no_counts()) values.push_back(value);
  values.push_back({"string", kString, string_bytes("text")});
  values.push_back({"empty string", kString, string_bytes("")});
  values.push_back({"bytes that are no UTF-8", kString, string_bytes("\xff\xfe")});
  values.push_back({"long string", kString, string_bytes(std::string(100000, 'x'))});
  values.push_back({"nested array", kArray, nested_array(3)});
  values.push_back(array("array of strings", 8, {string_bytes("mit"), string_bytes("apache-2.0")}));
  for (const std::string& key :
       {std::string("general.name"), std::string("general.license"), std::string("general.tags"),
        std::string("general.file_type"), std::string("general.quantization_version"), std::string("general.author"),
        std::string("general.base_model.count"), std::string("tokenizer.chat_template"),
        std::string("tokenizer.chat_template.tool_use"), std::string("tokenizer.chat_templates"),
        std::string("tokenizer.ggml.seperator_token_id"), std::string("tokenizer.ggml.added_tokens"),
        std::string("tokenizer.ggml.token_type_count"), std::string("tokenizer.huggingface.json"),
        kArchitecture + "vocab_size", kArchitecture + "rope.scaling.original_context_length",
        kArchitecture + "attention.sliding_window", std::string("any.thing")}) {
    for (const Value& value : values) {
      GgufBuilder gguf = small_model().gguf();
      gguf.set(key, value.type, value.bytes);
      EXPECT_TRUE(opens(gguf)) << key << " as " << value.name;
    }
  }
}

TEST(OtherKeys, MayTakeMoreRoomThanThereIs) {
  GgufBuilder gguf = small_model().gguf();
  for (int i = 0; i < 1100; ++i) gguf.string("note." + std::to_string(i), std::string(60000, 'x'));  // 66 MB
  EXPECT_TRUE(opens(gguf));
}

TEST(OtherKeys, ForPeopleAreJoined) {
  GgufBuilder gguf = small_model().gguf();
  const Value licenses = array("", 8, {string_bytes("mit"), string_bytes("apache-2.0")});
  gguf.set("general.license", licenses.type, licenses.bytes);
  const Value one = array("", 8, {string_bytes("{{ bos_token }}")});
  gguf.set("tokenizer.chat_template", one.type, one.bytes);
  const Model model = open(gguf.build()).model;
  EXPECT_EQ(model.license, "mit, apache-2.0");
  EXPECT_EQ(model.vocabulary.chat_template, "{{ bos_token }}");
  gguf.set("tokenizer.chat_template", licenses.type, licenses.bytes);
  const Opened several = open(gguf.build());
  EXPECT_EQ(several.model.vocabulary.chat_template, "");
  EXPECT_TRUE(contains(several.log, "warning: metadata key tokenizer.chat_template is an array of 2 strings"));
}

TEST(OtherKeys, AreKeptNoLongerThanPeopleReadThem) {
  GgufBuilder gguf = small_model().gguf();
  std::string text = "n";
  for (int i = 0; i < 100000; ++i) text += "\u00fc";
  gguf.set("general.name", kString, string_bytes(text));
  const Value licenses = array("", 8, {string_bytes("mit"), string_bytes(text), string_bytes(text)});
  gguf.set("general.license", licenses.type, licenses.bytes);
  const Model model = open(gguf.build()).model;
  EXPECT_EQ(model.name, text.substr(0, 65535));  // no character is cut
  EXPECT_EQ(model.license, ("mit, " + text).substr(0, 65536));
}

TEST(ChatTemplate, ThatIsTooLongIsLeftOut) {
  GgufBuilder gguf = small_model().gguf();
  const std::string most(1 << 20, 'x');
  gguf.set("tokenizer.chat_template", kString, string_bytes(most));
  EXPECT_EQ(open(gguf.build()).model.vocabulary.chat_template, most);
  const Value long_array = array("", 8, {string_bytes(most + "x")});
  for (const Value& value : {Value{"", kString, string_bytes(most + "x")}, long_array}) {
    gguf.set("tokenizer.chat_template", value.type, value.bytes);
    const Opened opened = open(gguf.build());
    EXPECT_EQ(opened.model.vocabulary.chat_template, "");
    EXPECT_TRUE(contains(opened.log, "warning: metadata key tokenizer.chat_template has 1048577 bytes"));
  }
}

// On a thread with musl's default stack.
TEST(OtherKeys, MayNestAsDeepAsTheyLike) {
  static std::string file, message;
  GgufBuilder gguf = small_model().gguf();
  gguf.raw("deep", kArray, nested_array(300000));
  file = gguf.build();
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 128 << 10);
  pthread_t thread;
  const auto read = [](void*) -> void* {
    try {
      const auto bytes = std::as_bytes(std::span(file));
      const Gguf gguf({&bytes, 1});
      message = gguf.find("deep")->count == 2 ? "" : "misread";
    } catch (const std::exception& error) {
      message = error.what();
    }
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, &attributes, read, nullptr), 0);
  pthread_join(thread, nullptr);
  EXPECT_EQ(message, "");
  EXPECT_TRUE(refuses(file.substr(0, file.find("deep") + 1000000), {"truncated"}));
}

TEST(Texts, OfAnotherTypeAreRefused) {
  for (const char* const key : {"general.architecture", "tokenizer.ggml.model"}) {
    for (const Value& value : no_counts()) {
      if (value.type == kString) continue;
      GgufBuilder gguf = small_model().gguf();
      gguf.set(key, value.type, value.bytes);
      EXPECT_TRUE(refuses(gguf.build(), {key, value.name, "a string"})) << value.name;
    }
  }
  for (const char* const key : {"tokenizer.ggml.tokens", "tokenizer.ggml.merges"}) {
    GgufBuilder gguf = small_model().gguf();
    gguf.set(key, 4, bytes_of(1));
    EXPECT_TRUE(refuses(gguf.build(), {key, "the u32 1", "an array of strings"}));
    const Value nested = array("", 9, {bytes_of(uint32_t{8}) + bytes_of(uint64_t{0})});
    gguf.set(key, nested.type, nested.bytes);
    EXPECT_TRUE(refuses(gguf.build(), {key, "an array of 1 arrays", "an array of strings"}));
  }
}

TEST(Parts, OfAModelAreRefusedWithoutTheOthers) {
  GgufBuilder gguf = small_model().gguf();
  gguf.number("split.count", 2, uint16_t{3});
  gguf.number("split.no", 2, uint16_t{1});
  EXPECT_TRUE(refuses(gguf.build(), {"part 2 of 3", "split.count", "the path of its first part"}));
}

// --- files that are no models --------------------------------------------------------------------------------------

TEST(OtherFiles, AreNamedAsWhatTheyAre) {
  const auto refuses_value = [](std::string_view key, std::string_view value, std::string_view what) {
    GgufBuilder gguf = small_model().gguf();
    gguf.remove(key);
    gguf.string(key, value);
    gguf.infos[0].shape = {2, 2, 2};  // what a model does not have is looked at later
    return refuses(gguf.build(), {std::string(what), std::string(key)});
  };
  EXPECT_TRUE(refuses_value("general.type", "adapter", "an adapter"));
  EXPECT_TRUE(refuses_value("general.type", "mmproj", "a projector"));
  EXPECT_TRUE(refuses_value("general.architecture", "clip", "a projector"));
  EXPECT_TRUE(refuses_value("general.type", "imatrix", "an importance matrix"));
  EXPECT_TRUE(refuses_value("general.architecture", "controlvector", "a control vector"));
  EXPECT_TRUE(refuses_value("prism.hadamard.version", "1", "weights are rotated"));
  GgufBuilder vocabulary = small_model().gguf();
  vocabulary.infos.clear();
  vocabulary.data.clear();
  EXPECT_TRUE(refuses(vocabulary.build(), {"a vocabulary without a model"}));
  vocabulary.remove("tokenizer.ggml.tokens");
  EXPECT_TRUE(refuses(vocabulary.build(), {"holds no tensors"}));
}

// --- scalars -------------------------------------------------------------------------------------------------------

TEST(Scalars, AreSingleNumbers) {
  SampleModel sample = small_model();
  const auto scale_of = [](const GgufBuilder& gguf) { return open(gguf.build()).model.layers[0].q.weights.scales[0]; };
  const float plain = scale_of(sample.gguf());
  for (const std::vector<uint64_t>& shape :
       {std::vector<uint64_t>{}, std::vector<uint64_t>{1}, std::vector<uint64_t>{1, 1, 1, 1}}) {
    GgufBuilder gguf = sample.gguf();
    gguf.tensor("blk.0.attn_q.scale", shape, 0, encode_values(Encoding::f32, {0.5f}));
    EXPECT_EQ(scale_of(gguf), plain * 0.5f);
  }
  GgufBuilder five = sample.gguf();
  five.tensor("blk.0.attn_q.scale", {1, 1, 1, 1, 1}, 0, encode_values(Encoding::f32, {0.5f}));
  EXPECT_TRUE(refuses(five.build(), {"blk.0.attn_q.scale", "5 dimensions"}));
  GgufBuilder trailing = sample.gguf();
  trailing.info("blk.0.attn_q.weight").shape = {64, 64, 1, 1};
  EXPECT_EQ(scale_of(trailing), plain);
}

}  // namespace
