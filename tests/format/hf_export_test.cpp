// SPDX-License-Identifier: MIT
// Models leave as Hugging Face folders and come back as they were; what would be lost is refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"
#include "format/compare.h"
#include "format/convert.h"
#include "format/dummy.h"
#include "format/files.h"
#include "format/hf_sample.h"
#include "format/safetensors.h"
#include "format/sample_model.h"

using namespace bitnet;
using namespace bitnet_test;

namespace {

class HfExport : public testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& bytes) {
    write_file(files_ / name, bytes);
    return files_ / name;
  }
  std::string dummy(const char* shape) {
    std::string path = files_ / (std::string(shape) + ".bitnet");
    write_dummy(path, shape);
    return bitnet(path, "f16-head");
  }
  std::string bitnet(const std::string& in, const std::string& name, ConvertOptions options = {}) {
    std::string out = files_ / (name + ".bitnet");
    options.head = HeadType::f16;
    convert(in, out, options);
    return out;
  }
  std::string folder(const std::string& in, std::optional<HfForm> form = {}, ConvertOptions options = {}) {
    std::string out = files_ / ("folder" + std::to_string(folders_++));
    options.folder = true;
    options.hf_form = form;
    convert(in, out, options);
    return out;
  }
  std::string refusal(const std::string& in, std::optional<HfForm> form = {}, const ConvertOptions& options = {}) {
    const size_t files = files_.files();
    try {
      folder(in, form, options);
    } catch (const Error& error) {
      EXPECT_EQ(error.status(), BITNET_ERROR_UNSUPPORTED);
      EXPECT_EQ(files_.files(), files) << "something is left behind";
      return error.what();
    }
    return "nothing";
  }
  nlohmann::json json(const std::string& folder, const char* name) {
    return nlohmann::json::parse(read_file(folder + "/" + name));
  }

  TemporaryFolder files_;
  int folders_ = 0;
};

TEST_F(HfExport, DummiesOfEveryFamilyComeBack) {
  for (const char* const shape : {"tiny", "tiny-bitnet", "tiny-falcon3", "tiny-trilm", "tiny-bonsai", "tiny-bonsai-8b",
                                  "tiny-llama", "tiny-qwen2", "tiny-qwen3", "tiny-gemma3", "tiny-embedding",
                                  "tiny-embedding-gemma", "tiny-minicpm", "tiny-maple", "tiny-qwen3moe"}) {
    SCOPED_TRACE(shape);
    const std::string kept = dummy(shape), out = folder(kept);
    EXPECT_EQ(compare(kept, out).verdict(), "lossless");
    EXPECT_EQ(compare(bitnet(out, "back"), kept).verdict(), "lossless");
    constexpr size_t kNotes = 4096;  // for people, that do not come back
    const size_t size = read_file(files_ / "back.bitnet").size();
    EXPECT_LT(std::max(size, read_file(kept).size()) - std::min(size, read_file(kept).size()), kNotes);
  }
}

// transformers' layers with a bias have the reciprocal of a scale, and not every number is one in float.
TEST_F(HfExport, ScalesThatAreNoReciprocalsAreRoundedOnlyOnRequest) {
  const std::string kept = dummy("tiny-qwen2-normed");
  EXPECT_NE(refusal(kept).find("reciprocal"), std::string::npos) << refusal(kept);
  ConvertOptions options;
  options.lossy = true;
  const std::string once = bitnet(folder(kept, {}, options), "once");
  EXPECT_NE(compare(once, kept).verdict(), "lossless");
  EXPECT_EQ(compare(once, folder(once)).verdict(), "lossless") << "now they are reciprocals";
}

// Each form by itself, and what it is that transformers finds.
TEST_F(HfExport, AModelOfBitNetIsPackedOrNumbers) {
  const std::string kept = bitnet(write("in.gguf", SampleModel().draw().gguf().build()), "kept");
  const struct {
    std::optional<HfForm> form;
    Safetype linear, embedding;
  } cases[] = {{{}, Safetype::u8, Safetype::f16},  // as its scales: all numbers have one type
               {HfForm::packed, Safetype::u8, Safetype::f16},
               {HfForm::bf16, Safetype::bf16, Safetype::bf16},
               {HfForm::f16, Safetype::f16, Safetype::f16},
               {HfForm::f32, Safetype::f32, Safetype::f32}};
  for (const auto& one : cases) {
    const std::string out = folder(kept, one.form);
    EXPECT_EQ(compare(kept, out).verdict(), "lossless");
    const Safetensors tensors(out);
    EXPECT_EQ(tensors.find("model.layers.1.mlp.down_proj.weight")->type, one.linear);
    EXPECT_EQ(tensors.find("model.embed_tokens.weight")->type, one.embedding);
    EXPECT_EQ(json(out, "config.json").contains("quantization_config"), one.linear == Safetype::u8);
  }
}

TEST_F(HfExport, NumbersThatATypeDoesNotHoldAreRoundedOnlyOnRequest) {
  SampleModel sample;
  sample.weights = Encoding::f32;
  GgufBuilder builder = sample.draw().gguf();
  for (const auto& [name, matrix] : sample.ternary) {
    const std::string bytes = encode_ternary(Encoding::f32, matrix.trits, matrix.cols, 0.1f);
    builder.data.replace(builder.info(name).offset, bytes.size(), bytes);
  }
  const std::string in = write("in.gguf", builder.build()), kept = bitnet(in, "kept");
  for (const HfForm form : {HfForm::bf16, HfForm::f16}) {
    EXPECT_NE(refusal(in, form).find("--lossy"), std::string::npos) << refusal(in, form);
    ConvertOptions options;
    options.lossy = true;
    EXPECT_NE(compare(kept, folder(in, form, options)).verdict(), "lossless");
  }
  for (const HfForm form : {HfForm::packed, HfForm::f32})
    EXPECT_EQ(compare(kept, folder(in, form)).verdict(), "lossless");
}

TEST_F(HfExport, LargeModelsComeInShards) {
  const std::string kept = dummy("tiny-qwen3");
  ConvertOptions options;
  options.shard_bytes = 1 << 20;
  const std::string out = folder(kept, {}, options);
  const nlohmann::json index = json(out, "model.safetensors.index.json");
  EXPECT_GT(index["metadata"]["total_size"], 1 << 20);
  EXPECT_EQ(index["weight_map"]["model.embed_tokens.weight"].get<std::string>().substr(0, 15), "model-00001-of-");
  EXPECT_FALSE(std::filesystem::exists(out + "/model.safetensors"));
  EXPECT_EQ(compare(kept, out).verdict(), "lossless");
}

// The rule that cuts texts, the tokens around a text and their kinds, of every kind of tokenizer.json that is read.
TEST_F(HfExport, VocabulariesComeBack) {
  SampleModel sample;
  for (const char* const rule :
       {"llama-bpe", "llama3", "smaug-bpe", "gpt-2", "gpt-neox", "qwen2", "deepseek-r1-qwen", "qwen35", "gpt-4o",
        "tekken", "smollm", "falcon", "falcon3", "deepseek-llm", "deepseek-coder", "deepseek-v3", "default"}) {
    SCOPED_TRACE(rule);
    GgufBuilder builder = sample.draw().gguf();
    builder.remove("tokenizer.ggml.pre");
    builder.string("tokenizer.ggml.pre", rule);
    const std::string in = write("in.gguf", builder.build()), kept = bitnet(in, "kept"), out = folder(in);
    EXPECT_EQ(compare(kept, out).verdict(), "lossless");
  }
}

TEST_F(HfExport, WhatIsSaidOfAModelStays) {
  GgufBuilder builder = SampleModel().draw().gguf();
  builder.remove("general.license");
  builder.string("general.license", "mit");
  builder.string("generation_config.x", "of no meaning");
  const std::string in = write("in.gguf", builder.build());
  ConvertOptions options;
  options.chat_template = "{{ messages | length }}";
  const std::string out = folder(in, {}, options);
  EXPECT_EQ(read_file(out + "/chat_template.jinja"), options.chat_template);
  EXPECT_NE(read_file(out + "/README.md").find("license: \"mit\""), std::string::npos);
  EXPECT_EQ(json(out, "config.json")["architectures"][0], "BitNetForCausalLM");
  EXPECT_EQ(json(out, "generation_config.json")["bos_token_id"], 3);
}

TEST_F(HfExport, SamplingComesBackFromAFolder) {
  TemporaryFolder checkpoint;
  HfSample().write(checkpoint);
  write_file(checkpoint / "generation_config.json", R"({"temperature": 0.6, "top_p": 0.9, "other": 7})");
  const nlohmann::json generation = json(folder(bitnet(checkpoint / "config.json", "kept")), "generation_config.json");
  EXPECT_EQ(generation["temperature"], 0.6);
  EXPECT_EQ(generation["top_p"], 0.9);
  EXPECT_FALSE(generation.contains("other"));
}

// --- what would be lost ---------------------------------------------------------------------------------------------

TEST_F(HfExport, ScalesOfGroupsAreNotPacked) {
  const std::string kept = dummy("tiny-bonsai");
  EXPECT_NE(refusal(kept, HfForm::packed).find("activations of 16 bits"), std::string::npos);
}

TEST_F(HfExport, RowsThatDoNotShareBytesAreNotPacked) {
  SampleModel sample;
  sample.ffn = 510;
  sample.weights = Encoding::f32;
  const std::string in = write("in.gguf", sample.draw().gguf().build());
  EXPECT_NE(refusal(in, HfForm::packed).find("no multiple of 4"), std::string::npos) << refusal(in, HfForm::packed);
}

// Of the classes that are not BitNet's, numbers mean activations in float.
TEST_F(HfExport, ActivationsOfEightBitsNeedPackedWeights) {
  const std::string kept = dummy("tiny-falcon3");
  EXPECT_NE(refusal(kept, HfForm::f32).find("activations have 8 bits"), std::string::npos)
      << refusal(kept, HfForm::f32);
  ConvertOptions options;
  options.lossy = true;
  EXPECT_EQ(compare(kept, folder(kept, HfForm::f32, options)).verdict(), "lossless") << "the weights are the same";
  EXPECT_NE(refusal(dummy("tiny-embedding"), HfForm::f32).find("rounded anew"), std::string::npos);
}

TEST_F(HfExport, ATokenThatIsNoTextIsRefused) {
  SampleModel sample;
  sample.draw();
  sample.tokens.assign(sample.vocabulary, "");
  sample.types.assign(sample.vocabulary, 1);
  for (uint32_t i = 0; i < sample.vocabulary; ++i) sample.tokens[i] = "t" + std::to_string(i);
  sample.tokens[9] = "\xff";
  const std::string in = write("in.gguf", sample.gguf().build());
  EXPECT_NE(refusal(in).find("token 9 is not text"), std::string::npos) << refusal(in);
  sample.tokens[9] = "t8";  // a second one, which no reader could tell from the first
  const std::string twice = write("in.gguf", sample.gguf().build());
  EXPECT_NE(refusal(twice).find("tokens 8 and 9"), std::string::npos) << refusal(twice);
}

// --- the folder -----------------------------------------------------------------------------------------------------

TEST_F(HfExport, AFolderThatIsNotEmptyIsNeverReplaced) {
  const std::string kept = dummy("tiny"), out = files_ / "there";
  std::filesystem::create_directory(out);
  write_file(out + "/mine.txt", "mine");
  ConvertOptions options;
  options.folder = true;
  EXPECT_THROW(convert(kept, out, options), Error);
  EXPECT_EQ(read_file(out + "/mine.txt"), "mine");
  std::filesystem::remove(out + "/mine.txt");
  std::filesystem::permissions(out, std::filesystem::perms::owner_all);
  convert(kept, out + "/", options);
  EXPECT_EQ(compare(kept, out).verdict(), "lossless");
  EXPECT_EQ(std::filesystem::status(out).permissions(), std::filesystem::perms::owner_all);
  EXPECT_THROW(convert(kept, kept, options), Error);  // a file
}

TEST_F(HfExport, NothingIsLeftOfAnExportThatIsStopped) {
  const std::string kept = dummy("tiny");
  const size_t files = files_.files();
  ConvertOptions options;
  options.progress = [](uint64_t done, uint64_t) { return done == 0; };
  EXPECT_THROW(folder(kept, {}, options), Error);
  EXPECT_EQ(files_.files(), files);
}

}  // namespace
