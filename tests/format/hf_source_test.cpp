// SPDX-License-Identifier: MIT
// Hugging Face checkpoints as a source: what each layout's weights mean, and each way in which a folder can be wrong.
#include "format/hf_source.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "format/hf_sample.h"
#include "format/metadata.h"
#include "format/scale_finder.h"

using namespace bitnet;
using namespace bitnet_test;

namespace {

constexpr const char* kQuery = "model.layers.0.self_attn.q_proj";

class Opened {
 public:
  explicit Opened(const HfSample& sample) {
    sample.write(folder_);
    open();
  }
  explicit Opened(const HfSample& sample, const std::function<void(const TemporaryFolder&)>& change) {
    sample.write(folder_);
    change(folder_);
    open();
  }
  const Source& source() const { return *source_; }
  const Source* operator->() const { return source_.get(); }
  const fb::ModelT& model() const { return model_; }
  const TensorSpec& spec(std::string_view name) const { return *std::ranges::find(specs_, name, &TensorSpec::name); }
  std::vector<int8_t> trits(const TensorSpec& spec) const {
    std::vector<int8_t> out(size_t{spec.rows} * spec.cols);
    source_->read_trits(spec, source_->ternary_scales(spec), 0, spec.rows, out.data());
    return out;
  }
  std::vector<float> values(const TensorSpec& spec) const {
    std::vector<float> out(size_t{spec.rows} * spec.cols);
    source_->read_values(spec, 0, spec.rows, out.data());
    return out;
  }

 private:
  // As a conversion does.
  void open() {
    source_ = open_hf_checkpoint(folder_ / "", {}).source;
    model_ = source_->describe();
    const HyperParameters hyper = read_hyperparameters(model_);
    specs_ = tensor_specs(hyper, [&](std::string_view name) { return source_->has(name); });
    source_->check(specs_);
  }

  TemporaryFolder folder_;
  std::unique_ptr<Source> source_;
  fb::ModelT model_;
  std::vector<TensorSpec> specs_;
};

enum class Where { anywhere, first };

template <typename Body>
testing::AssertionResult throws(const Body& body, bitnet_status status, std::string_view word,
                                Where where = Where::anywhere) {
  try {
    body();
  } catch (const Error& error) {
    const std::string message = error.what();
    const size_t at = message.find(word);
    const bool found = where == Where::first ? at == 0 : at != message.npos;
    if (error.status() == status && found) return testing::AssertionSuccess();
    return testing::AssertionFailure() << "status " << error.status() << ", \"" << message << "\"";
  }
  return testing::AssertionFailure() << "was taken; \"" << word << "\" was expected";
}

testing::AssertionResult refused(const HfSample& sample, bitnet_status status, std::string_view word) {
  return throws([&] { Opened opened(sample); }, status, word);
}

// What a test makes linears of.
HfTensor ternary_f16(HfSample& sample, uint64_t rows, uint64_t cols,
                     const std::function<float(uint64_t, uint64_t)>& scale, const std::string& name) {
  sample.trits[name] = sample.draw_trits(rows * cols);
  std::vector<float> values(rows * cols);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(sample.trits[name][i]) * scale(i / cols, i % cols);
  }
  return f16_tensor({rows, cols}, values);
}

// --- what is read --------------------------------------------------------------------------------------------------

TEST(HfSource, OfPackedWeightsTimesTheirScale) {
  const HfSample sample;
  const Opened opened(sample);
  const TensorSpec& query = opened.spec("blk.0.attn_q.weight");
  EXPECT_EQ(opened->ternary_scales(query).scales, std::vector<float>{0.25f});
  EXPECT_EQ(opened->activation_bits(), ActivationBits::int8);
  EXPECT_EQ(opened->own_name(query), "model.layers.0.self_attn.q_proj.weight");
  for (const auto& [ours, theirs] : std::map<std::string, std::string>{
           {"attn_q", "self_attn.q_proj"}, {"attn_output", "self_attn.o_proj"}, {"ffn_down", "mlp.down_proj"}}) {
    EXPECT_EQ(opened.trits(opened.spec("blk.0." + ours + ".weight")), sample.trits.at("model.layers.0." + theirs));
  }
  std::vector<int8_t> part(size_t{16} * query.cols);
  opened->read_trits(query, opened->ternary_scales(query), 48, 16, part.data());
  EXPECT_TRUE(std::ranges::equal(part, std::span(sample.trits.at(kQuery)).subspan(48 * query.cols, part.size())));
  const auto values = opened.values(query);
  for (size_t i = 0; i < values.size(); ++i) ASSERT_EQ(values[i], 0.25f * sample.trits.at(kQuery)[i]);
  opened->release(query, 0, query.rows);
  EXPECT_EQ(opened.trits(query), sample.trits.at(kQuery));
}

TEST(HfSource, OfPackedWeightsByTheirScale) {
  HfSample sample;
  sample.config["quantization_config"] = {{"quant_method", "bitnet"}};
  const Opened opened(sample);
  EXPECT_EQ(opened->ternary_scales(opened.spec("blk.0.attn_q.weight")).scales, std::vector<float>{4});
  EXPECT_EQ(opened->activation_bits(), ActivationBits::int8);
}

TEST(HfSource, OfUnpackedCodesWithAScale) {
  HfSample sample;
  sample.tensors[kQuery + std::string(".weight")] = ternary_f16(
      sample, 128, 128, [](auto, auto) { return 1.0f; }, kQuery);
  const Opened opened(sample);
  const TensorSpec& query = opened.spec("blk.0.attn_q.weight");
  EXPECT_EQ(opened->ternary_scales(query).scales, std::vector<float>{0.25f});
  EXPECT_EQ(opened.trits(query), sample.trits.at(kQuery));
}

// Of numbers that are not ternary, whatever is made of them is made of their products with the scale.
TEST(HfSource, OfNumbersWithAScale) {
  HfSample sample;
  const auto numbers = sample.numbers(128 * 128);
  sample.tensors[kQuery + std::string(".weight")] = f32_tensor({128, 128}, numbers);
  const Opened opened(sample);
  const TensorSpec& query = opened.spec("blk.0.attn_q.weight");
  const TernaryScales found = opened->ternary_scales(query);
  EXPECT_FALSE(found.is_ternary());
  double sum = 0;
  for (const float value : numbers) sum += std::fabs(0.25 * value);
  EXPECT_NEAR(found.mean, sum / static_cast<double>(numbers.size()), 1e-6);
  const TernaryScales rounded = round_by_absmean(found.mean);
  std::vector<int8_t> trits(numbers.size());
  opened->read_trits(query, rounded, 0, query.rows, trits.data());
  const auto values = opened.values(query);
  for (size_t i = 0; i < numbers.size(); ++i) {
    ASSERT_EQ(values[i], 0.25f * numbers[i]);
    ASSERT_EQ(trits[i], std::clamp(std::nearbyint(values[i] * rounded.inverse_mean), -1.0f, 1.0f));
  }
}

std::vector<float> normal_numbers(HfSample& sample, size_t count) {
  std::normal_distribution<float> normal(0, 0.02f);
  std::vector<float> values(count);
  for (float& value : values) value = normal(sample.random);
  return values;
}

// By the rule as it is written in transformers: in float32, half to even, whatever the type of the masters is.
TEST(HfSource, OfMasterWeightsThatAreRounded) {
  using Make = HfTensor (*)(const std::vector<uint64_t>&, const std::vector<float>&);
  const std::pair<const char*, Make> modes[] = {{"online", bf16_tensor}, {"online", f16_tensor}, {"class", f16_tensor},
                                                {"class", f32_tensor},   {"none", bf16_tensor},  {"none", f32_tensor}};
  for (const auto& [mode, make] : modes) {
    HfSample sample;
    sample.be_numbers([&sample, make = make](uint64_t rows, uint64_t cols, const std::string&) {
      return make({rows, cols}, normal_numbers(sample, rows * cols));
    });
    if (mode == std::string("online")) sample.quantization("autobitlinear", "online");
    if (mode == std::string("class")) sample.config["architectures"] = {"BitnetForCausalLM"};
    if (mode != std::string("online")) sample.config.erase("quantization_config");
    const Opened opened(sample);
    const TensorSpec& query = opened.spec("blk.0.attn_q.weight");
    EXPECT_EQ(opened->activation_bits(), ActivationBits::int8);
    const auto values = opened.values(query);
    double sum = 0;
    for (const float value : values) sum += std::fabs(value);
    const float scale = 1.0f / static_cast<float>(sum / static_cast<double>(values.size()));
    EXPECT_EQ(opened->ternary_scales(query).scales, std::vector<float>{1.0f / scale}) << mode;
    const auto trits = opened.trits(query);
    for (size_t i = 0; i < values.size(); ++i) {
      ASSERT_EQ(trits[i], std::clamp(std::nearbyint(values[i] * scale), -1.0f, 1.0f)) << mode;
    }
  }
}

TEST(HfSource, WithNormsBeforeLinearLayers) {
  HfSample sample;
  sample.be_llama([&](uint64_t rows, uint64_t cols, const std::string& name) {
    sample.tensors[name + ".weight_scale"] = bf16_tensor({1}, {4});
    return packed_tensor(rows, cols, sample.draw_trits(rows * cols));
  });
  for (const auto& [name, shape] : HfSample::linears()) {
    sample.tensors[name + ".weight_scale"] = bf16_tensor({1}, {4});
    sample.tensors[name + ".rms_norm.weight"] = f16_tensor({shape.second}, std::vector<float>(shape.second, 1));
  }
  sample.config["quantization_config"] = {{"quant_method", "bitnet"}, {"use_rms_norm", true}};
  {
    const Opened opened(sample);
    EXPECT_EQ(opened->own_name(opened.spec("blk.0.attn_q_norm_in.weight")),
              "model.layers.0.self_attn.q_proj.rms_norm.weight");
    EXPECT_EQ(opened->ternary_scales(opened.spec("blk.0.ffn_down.weight")).scales, std::vector<float>{0.25f});
  }
  HfSample silent = sample, empty = sample;
  silent.config["quantization_config"].erase("use_rms_norm");
  EXPECT_TRUE(refused(silent, BITNET_ERROR_FORMAT, "q_proj.rms_norm.weight is there, but config.json does not say"));
  for (const auto& [name, _] : HfSample::linears()) empty.tensors.erase(name + ".rms_norm.weight");
  EXPECT_TRUE(refused(empty, BITNET_ERROR_FORMAT, "q_proj.rms_norm.weight is missing"));
}

TEST(HfSource, OfMasterWeightsThatAreTernaryAlready) {
  HfSample sample;
  sample.be_numbers([&](uint64_t rows, uint64_t cols, const std::string& name) {
    return ternary_f16(
        sample, rows, cols, [](auto, auto) { return 0.375f; }, name);
  });
  sample.config.erase("quantization_config");
  const Opened opened(sample);  // nothing says that they are to be rounded again
  const TensorSpec& query = opened.spec("blk.0.attn_q.weight");
  EXPECT_EQ(opened->ternary_scales(query).scales, std::vector<float>{0.375f});
  EXPECT_EQ(opened.trits(query), sample.trits.at(kQuery));
  sample.quantization("autobitlinear", "online");
  const Opened online(sample);
  EXPECT_NEAR(online->ternary_scales(query).scales.front(), 0.25f, 0.01f);  // two thirds are not 0
}

TEST(HfSource, OfTernaryWeightsInGroups) {
  HfSample sample;
  const auto scale = [](uint64_t row, uint64_t col) { return 0.25f + 0.125f * ((row + col / 64) % 3); };
  sample.be_llama([&](uint64_t rows, uint64_t cols, const std::string& name) {
    return ternary_f16(sample, rows, cols, scale, name);
  });
  const Opened opened(sample);
  EXPECT_EQ(opened->activation_bits(), ActivationBits::int16);
  const TensorSpec& down = opened.spec("blk.0.ffn_down.weight");
  const TernaryScales found = opened->ternary_scales(down);
  EXPECT_EQ(found.group, 64U);
  ASSERT_EQ(found.scales.size(), 3 * size_t{down.rows});
  for (uint32_t i = 0; i < found.scales.size(); ++i) ASSERT_EQ(found.scales[i], scale(i / 3, i % 3 * 64));
  EXPECT_EQ(opened.trits(down), sample.trits.at("model.layers.0.mlp.down_proj"));
  EXPECT_FALSE(opened->ternary_scales(opened.spec("token_embd.weight")).is_ternary());
}

TEST(HfSource, OfDenseWeights) {
  HfSample sample;
  sample.be_llama([&](uint64_t rows, uint64_t cols, const std::string&) {
    return f16_tensor({rows, cols}, sample.numbers(rows * cols));
  });
  const Opened opened(sample);
  EXPECT_EQ(opened->activation_bits(), ActivationBits::int16);
  const TensorSpec& query = opened.spec("blk.0.attn_q.weight");
  EXPECT_NE(opened->ternary_scales(query).not_ternary, "");
  const auto stored = opened->stored(query, fb::Type::f16);
  if (stored) {  // where its place in the file suits
    EXPECT_EQ(stored->data.size(), sample.tensors[kQuery + std::string(".weight")].bytes.size());
  }
  EXPECT_EQ(opened->stored(query, fb::Type::f32), std::nullopt);
}

TEST(HfSource, OfScaledRotaryEmbedding) {
  HfSample sample;
  EXPECT_FALSE(Opened(sample)->has(kRopeFactorsName));
  sample.config["rope_scaling"] = {{"type", "linear"}, {"factor", 3}};
  const Opened opened(sample);
  ASSERT_TRUE(opened->has(kRopeFactorsName));
  EXPECT_EQ(opened.values(opened.spec(kRopeFactorsName)), std::vector<float>(32, 3.0f));
}

TEST(HfSource, OfBiases) {
  HfSample sample;
  sample.be_llama([&](uint64_t rows, uint64_t cols, const std::string&) {
    return f16_tensor({rows, cols}, sample.numbers(rows * cols));
  });
  EXPECT_FALSE(Opened(sample)->has("blk.0.attn_q.bias"));
  sample.config["attention_bias"] = true;
  EXPECT_TRUE(refused(sample, BITNET_ERROR_FORMAT, "says that attention has biases (attention_bias), but there are 0"));
  for (const char* const name : {"q", "k", "v", "o"}) {
    const std::string linear = std::string("model.layers.0.self_attn.") + name + "_proj";
    const uint64_t rows = HfSample::linears().at(linear).first;
    sample.tensors[linear + ".bias"] = f16_tensor({rows}, std::vector<float>(rows, 0.5f));
  }
  const Opened opened(sample);
  EXPECT_EQ(opened.values(opened.spec("blk.0.attn_output.bias")), std::vector<float>(128, 0.5f));
  sample.config["attention_bias"] = false;
  EXPECT_TRUE(
      refused(sample, BITNET_ERROR_FORMAT, "proj.bias is there, but config.json says that there are no biases"));
}

TEST(HfSource, OfTiedAndOwnHeads) {
  HfSample sample;
  EXPECT_TRUE(Opened(sample).model().tied);
  sample.config.erase("tie_word_embeddings");
  EXPECT_TRUE(Opened(sample).model().tied);  // since there is no head
  sample.config["tie_word_embeddings"] = false;
  EXPECT_TRUE(refused(sample, BITNET_ERROR_FORMAT, "tensor lm_head.weight is missing; config.json says"));
  sample.tensors["lm_head.weight"] = sample.tensors["model.embed_tokens.weight"];
  EXPECT_FALSE(Opened(sample).model().tied);
  sample.config.erase("tie_word_embeddings");
  EXPECT_FALSE(Opened(sample).model().tied);
  sample.config["tie_word_embeddings"] = true;
  EXPECT_TRUE(Opened(sample).model().tied);
  sample.tensors["lm_head.weight"].bytes[5] ^= 1;
  EXPECT_TRUE(refused(sample, BITNET_ERROR_FORMAT, "lm_head.weight differs from model.embed_tokens.weight"));
}

TEST(HfSource, LeavesOutBuffers) {
  HfSample sample;
  sample.tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = f32_tensor({32}, std::vector<float>(32));
  EXPECT_TRUE(Opened(sample).model().tied);
}

TEST(HfSource, Describes) {
  const Opened opened(HfSample(), [](const TemporaryFolder& folder) {
    write_file(folder / "README.md", "---\nlanguage:\n- en\nlicense: 'mit' \nlicense_name: x\n---\nlicense: none\n");
    write_file(folder / "generation_config.json",
               R"({"temperature": 0.5, "do_sample": true, "max_length": 7, "x": [1]})");
  });
  const fb::ModelT& model = opened.model();
  EXPECT_EQ(model.architecture, "bitnet-b1.58");
  EXPECT_EQ(model.license, "mit");
  EXPECT_TRUE(model.name.starts_with("bitnet_test_")) << model.name;
  EXPECT_TRUE(model.settled);
  EXPECT_EQ(model.tokenizer->ends.size(), HfSample::kVocabulary);
  std::map<std::string, const fb::KeyValueT*> notes;
  for (const auto& note : model.notes) notes[note->key] = note.get();
  EXPECT_EQ(notes.at("config.hidden_act")->text, "relu2");
  EXPECT_EQ(notes.at("config.hidden_size")->integer, 128);
  EXPECT_EQ(notes.at("generation_config.temperature")->real, 0.5);
  EXPECT_EQ(notes.at("generation_config.do_sample")->kind, fb::ValueKind::boolean);
  EXPECT_FALSE(notes.contains("generation_config.x"));
}

TEST(HfSource, LicensesOfOddReadmes) {
  const auto license = [](const char* readme) {
    return Opened(HfSample(), [&](const TemporaryFolder& folder) { write_file(folder / "README.md", readme); })
        .model()
        .license;
  };
  EXPECT_EQ(license("# Model\nlicense: mit\n"), "");
  EXPECT_EQ(license("---\nlicense: other\nlicense_name: falcon-llm-license\n---\n"), "falcon-llm-license");
  EXPECT_EQ(license("---\nlicense:\n- apache-2.0\ntags:\n- x\n---\n"), "apache-2.0");
  EXPECT_EQ(license("---\r\nlicense: mit\r\n---\r\n"), "mit");
  EXPECT_EQ(license("---\nlicense:\n---\n"), "");
  EXPECT_EQ(license("---"), "");
  EXPECT_EQ(license(""), "");
}

TEST(HfSource, AReadmeThatCannotBeReadIsNoMatter) {
  const auto folder = [](const TemporaryFolder& made) { std::filesystem::create_directory(made / "README.md"); };
  EXPECT_EQ(Opened(HfSample(), folder).model().license, "");
}

// --- what is wrong -------------------------------------------------------------------------------------------------

TEST(HfSource, TensorsThatContradictTheConfigAreNamed) {
  HfSample layers;
  layers.config["num_hidden_layers"] = 2;
  EXPECT_TRUE(
      refused(layers, BITNET_ERROR_FORMAT, "tensor model.layers.1.input_layernorm.weight is missing; config.json"));
  HfSample vocabulary;
  vocabulary.config["vocab_size"] = 280;
  EXPECT_TRUE(
      refused(vocabulary, BITNET_ERROR_FORMAT,
              "model.embed_tokens.weight is 272 x 128; config.json asks for 280 x 128 (vocab_size x hidden_size)"));
  HfSample heads;
  heads.config["num_key_value_heads"] = 2;
  EXPECT_TRUE(refused(heads, BITNET_ERROR_FORMAT, "k_proj.weight is 64 x 128; config.json asks for 128 x 128"));
  HfSample extra;
  extra.tensors["model.layers.1.input_layernorm.weight"] = f32_tensor({1}, {1});
  EXPECT_TRUE(refused(extra, BITNET_ERROR_UNSUPPORTED,
                      "model.layers.1.input_layernorm.weight is not part of the model that config.json describes"));
  HfSample both;
  both.tensors["model.layers.0.self_attn.inner_attn_ln.weight"] =
      both.tensors["model.layers.0.self_attn.attn_sub_norm.weight"];
  EXPECT_TRUE(refused(both, BITNET_ERROR_UNSUPPORTED, "inner_attn_ln.weight is not part of"));
  HfSample odd;
  odd.tensors["model.norm.weight"].dtype = "F8_E4M3";
  odd.tensors["model.norm.weight"].shape = {256};
  EXPECT_TRUE(refused(odd, BITNET_ERROR_UNSUPPORTED, "model.norm.weight is of type F8_E4M3"));
  HfSample bytes;
  bytes.tensors["model.norm.weight"] = {"U8", {128}, std::string(128, '\1')};
  EXPECT_TRUE(refused(bytes, BITNET_ERROR_UNSUPPORTED, "is of type U8, which is only for matrices of linear layers"));
}

TEST(HfSource, QuantizationsThatContradictTheTensorsAreNamed) {
  HfSample unsaid;
  unsaid.config.erase("quantization_config");
  EXPECT_TRUE(refused(unsaid, BITNET_ERROR_FORMAT, "is packed (U8), but config.json has no quantization_config"));
  HfSample online;
  online.quantization("autobitlinear", "online");
  EXPECT_TRUE(refused(online, BITNET_ERROR_FORMAT, "by config.json the weights are numbers"));
  HfSample numbers;
  numbers.be_numbers([&](uint64_t rows, uint64_t cols, const std::string&) {
    return f16_tensor({rows, cols}, numbers.numbers(rows * cols));
  });
  EXPECT_TRUE(refused(numbers, BITNET_ERROR_FORMAT, "weight_scale is missing"));
  numbers.quantization("bitlinear", "offline");
  EXPECT_TRUE(refused(numbers, BITNET_ERROR_FORMAT, "is of type F16, but by config.json's quantization_config"));
}

TEST(HfSource, ScalesThatMakeNoSenseAreRefused) {
  const std::string name = std::string(kQuery) + ".weight_scale";
  HfSample sample;
  for (const float scale : {0.0f, -1.0f, INFINITY, NAN}) {
    sample.tensors[name] = f32_tensor({1}, {scale});
    EXPECT_TRUE(refused(sample, BITNET_ERROR_FORMAT, "a scale must be finite and positive")) << scale;
  }
  sample.tensors[name] = f32_tensor({2}, {1, 1});
  EXPECT_TRUE(refused(sample, BITNET_ERROR_UNSUPPORTED, "is 1 x 2 of type F32; supported is a single number"));
  sample.tensors[name] = f32_tensor({}, {0.5f});
  EXPECT_EQ(Opened(sample)->ternary_scales(Opened(sample).spec("blk.0.attn_q.weight")).scales.front(), 0.5f);
  // One by it is not finite.
  sample.tensors[name] = f32_tensor({1}, {1e-45f});
  sample.config["quantization_config"] = {{"quant_method", "bitnet"}};
  EXPECT_TRUE(refused(sample, BITNET_ERROR_FORMAT, "a scale must be finite and positive"));
}

TEST(HfSource, WeightsThatAreNoneAreRefused) {
  HfSample sample;
  sample.tensors[kQuery + std::string(".weight")].bytes[7] = '\xff';
  const Opened packed(sample);
  EXPECT_TRUE(throws([&] { packed.trits(packed.spec("blk.0.attn_q.weight")); }, BITNET_ERROR_FORMAT,
                     "has a code that means no weight in row 0"));
  sample.be_llama([&](uint64_t rows, uint64_t cols, const std::string&) {
    std::vector<float> values = sample.numbers(rows * cols);
    values[cols + 3] = NAN;
    return f32_tensor({rows, cols}, values);
  });
  const Opened dense(sample);
  EXPECT_TRUE(throws([&] { dense->ternary_scales(dense.spec("blk.0.attn_q.weight")); }, BITNET_ERROR_FORMAT,
                     "row 1, column 3 is nan"));
}

// --- folders -------------------------------------------------------------------------------------------------------

testing::AssertionResult folder_refused(const std::vector<std::string>& files, bitnet_status status,
                                        std::string_view word) {
  const TemporaryFolder folder;
  for (const std::string& file : files) write_file(folder / file, "{}");
  return throws([&] { open_hf_checkpoint(folder / "", {}); }, status, word);
}

TEST(HfFolder, ThatIsNoCheckpointIsNamedAsWhatItIs) {
  EXPECT_TRUE(folder_refused({}, BITNET_ERROR_FORMAT, "has no config.json; is it a model's?"));
  EXPECT_TRUE(folder_refused({"adapter_config.json", "adapter_model.safetensors"}, BITNET_ERROR_UNSUPPORTED,
                             "holds an adapter"));
  EXPECT_TRUE(folder_refused({"config.json", "model-q4.gguf"}, BITNET_ERROR_UNSUPPORTED, "such as model-q4.gguf"));
  EXPECT_TRUE(folder_refused({"model.bitnet"}, BITNET_ERROR_UNSUPPORTED, "such as model.bitnet"));
  EXPECT_TRUE(folder_refused({"config.json", "pytorch_model-00001-of-00002.bin"}, BITNET_ERROR_UNSUPPORTED,
                             "as pytorch_model-00001-of-00002.bin"));
  EXPECT_TRUE(folder_refused({"config.json", "model-00001-of-00002.safetensors"}, BITNET_ERROR_FORMAT,
                             "no model.safetensors.index.json"));
  EXPECT_TRUE(folder_refused({"config.json"}, BITNET_ERROR_NOT_FOUND, "but no weights"));
  EXPECT_TRUE(folder_refused({"model.safetensors"}, BITNET_ERROR_FORMAT, "has no config.json, which says"));
  EXPECT_TRUE(folder_refused({"tokenizer.json"}, BITNET_ERROR_UNSUPPORTED, "holds only a vocabulary"));
  EXPECT_TRUE(folder_refused({"config.json", "model.safetensors"}, BITNET_ERROR_FORMAT, "model.safetensors: is too"));
}

TEST(HfFolder, WithLinksToNothingNamesThem) {
  for (const char* const name : {"config.json", "model.safetensors"}) {
    const auto cut = [&](const TemporaryFolder& folder) {
      std::filesystem::remove(folder / name);
      std::filesystem::create_symlink("../../blobs/04c3", folder / name);
    };
    EXPECT_TRUE(throws([&] { Opened opened(HfSample(), cut); }, BITNET_ERROR_NOT_FOUND,
                       name + std::string(" is a link to ../../blobs/04c3, which is not there"), Where::first));
  }
}

TEST(HfFolder, MayBeNamedByOneOfItsFiles) {
  const TemporaryFolder folder;
  HfSample().write(folder);
  write_file(folder / "model.gguf", "GGUF");
  for (const char* const name : {"", "config.json", "model.safetensors"}) {
    EXPECT_TRUE(is_hf_folder(folder / name)) << name;
    EXPECT_EQ(open_hf_checkpoint(folder / name, {}).source->describe().architecture, "bitnet-b1.58") << name;
  }
  for (const char* const name : {"model.gguf", "tokenizer.json", "missing", "missing/config.json"}) {
    EXPECT_FALSE(is_hf_folder(folder / name)) << name;
  }
}

TEST(HfFolder, OfTheCacheIsCalledWhatWasFetched) {
  const TemporaryFolder root;
  const std::string folder = root / "models--microsoft--bitnet-b1.58-2B-4T/snapshots/04c3b9ad";
  std::filesystem::create_directories(folder);
  const TemporaryFolder sample;
  HfSample().write(sample);
  std::filesystem::copy(sample / "", folder);
  EXPECT_EQ(open_hf_checkpoint(folder, {}).source->describe().name, "microsoft/bitnet-b1.58-2B-4T");
}

TEST(HfFolder, WithDamagedFilesIsRefused) {
  const HfSample sample;
  const auto with = [&](const char* name, const std::string& text) {
    return throws([&] { Opened opened(sample, [&](const auto& folder) { write_file(folder / name, text); }); },
                  BITNET_ERROR_FORMAT, std::string(name) + ": ", Where::first);
  };
  EXPECT_TRUE(with("config.json", "{"));
  EXPECT_TRUE(with("config.json", "[]"));
  EXPECT_TRUE(with("config.json", sample.config.dump() + "x"));
  EXPECT_TRUE(with("generation_config.json", "{"));
  EXPECT_TRUE(with("tokenizer.json", "{"));
  EXPECT_TRUE(with("model.safetensors", sample.file().substr(0, 1000)));
}

}  // namespace
