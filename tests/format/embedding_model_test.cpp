// SPDX-License-Identifier: MIT
// GGUF files of families with parts of their own: embedding models, Qwen2 with norms before its matrices, MiniCPM,
// Gemma 3: what they say, what is refused, and that no damage does more than refuse a file.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "base/error.h"
#include "format/load.h"
#include "format/open.h"
#include "format/sample_model.h"

using namespace bitnet;
using namespace bitnet_test;

namespace {

const char* const kInputNorms[] = {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"};

SampleModel sample(const std::string& architecture, bool input_norms = true) {
  SampleModel model = small_model();
  model.architecture = architecture;
  std::erase_if(model.norms, [](const auto& norm) { return norm.first.ends_with("_sub_norm.weight"); });
  const auto add = [&](const std::string& name, size_t size) {
    std::vector<float> values(size);
    for (size_t i = 0; i < size; ++i) values[i] = 1 + static_cast<float>(i % 7) / 16;
    model.norms["blk.0." + name + ".weight"] = values;
  };
  if (architecture == "qwen2") {
    const uint32_t kv = model.hidden / model.heads * model.kv_heads;
    model.norms["blk.0.attn_q.bias"].assign(model.hidden, 0.5f);
    model.norms["blk.0.attn_k.bias"].assign(kv, 0.5f);
    model.norms["blk.0.attn_v.bias"].assign(kv, 0.5f);
  } else {
    add("attn_q_norm", model.hidden / model.heads);
    add("attn_k_norm", model.hidden / model.heads);
  }
  for (const std::string name : kInputNorms) {
    const bool qwen2 = architecture == "qwen2";
    if (input_norms) add(name + (qwen2 ? ".rms_norm" : "_norm_in"), model.ternary.at("blk.0." + name + ".weight").cols);
  }
  if (architecture == "gemma3") {
    add("post_attention_norm", model.hidden);
    add("post_ffw_norm", model.hidden);
  }
  return model;
}

GgufBuilder embedding_file(const std::string& architecture) {
  GgufBuilder gguf = sample(architecture).gguf();
  gguf.u32(architecture + ".pooling_type", 3);
  gguf.boolean("tokenizer.ggml.add_eos_token", true);
  return gguf;
}

Model open(const std::string& file, const Log& log = {}) {
  OpenOptions options;
  options.layout = I2sLayout::x86;  // of random weights, which do not show it
  options.log = log;
  return load_model(open_container(std::as_bytes(std::span(file)), options));
}

testing::AssertionResult refuses(const GgufBuilder& gguf, bitnet_status status, std::string_view word) {
  try {
    open(gguf.build());
  } catch (const Error& error) {
    const std::string message = error.what();
    if (error.status() == status && message.find(word) != message.npos) return testing::AssertionSuccess();
    return testing::AssertionFailure() << "status " << error.status() << ", \"" << message << "\"";
  }
  return testing::AssertionFailure() << "was opened; \"" << word << "\" was expected";
}

TEST(EmbeddingModel, OpensWithoutAHead) {
  for (const std::string architecture : {"qwen3", "gemma3"}) {
    const Model model = open(embedding_file(architecture).build());
    EXPECT_EQ(model.hyper.architecture->name, architecture);
    EXPECT_EQ(model.pooling, Pooling::last);
    EXPECT_EQ(model.head.data, nullptr);
    EXPECT_FALSE(model.tied);
    EXPECT_TRUE(model.vocabulary.add_eos);
    EXPECT_EQ(model.hyper.window, 0U);
    EXPECT_EQ(model.hyper.activation, architecture == "qwen3" ? Activation::silu : Activation::gelu);
    const Layer& layer = model.layers.front();
    for (const auto linear : kLinears) EXPECT_NE((layer.*linear).norm, nullptr);
    EXPECT_EQ(layer.down.norm[8], 1 + 1.0f / 16);
    EXPECT_EQ(layer.ffn_post_norm != nullptr, architecture == "gemma3");
    EXPECT_EQ(layer.q.weights.numbers, Numbers::i2);  // activations of 8 bits
  }
}

// Qwen2.5-32B-BitNet, by the names of pull request 522 of bitnet.cpp.
TEST(InputNorms, OfQwen2AreCalledRmsNorm) {
  const Model model = open(sample("qwen2").gguf().build());
  const Layer& layer = model.layers.front();
  for (const auto linear : kLinears) EXPECT_NE((layer.*linear).norm, nullptr);
  EXPECT_EQ(layer.down.norm[8], 1 + 1.0f / 16);
  EXPECT_EQ(layer.q.weights.numbers, Numbers::i2);  // activations of 8 bits
  EXPECT_NE(model.head.data, nullptr);
  EXPECT_EQ(open(sample("qwen2", false).gguf().build()).layers.front().q.norm, nullptr);
  SampleModel missing = sample("qwen2");
  missing.norms.erase("blk.0.ffn_up.rms_norm.weight");
  EXPECT_TRUE(refuses(missing.gguf(), BITNET_ERROR_FORMAT, "ffn_up_norm_in.weight is missing"));
}

TEST(EmbeddingModel, HasAHeadIfTheFileSaysNothingOfPooling) {
  GgufBuilder gguf = embedding_file("qwen3");
  gguf.remove("qwen3.pooling_type");
  const Model model = open(gguf.build());
  EXPECT_EQ(model.pooling, Pooling::none);
  EXPECT_TRUE(model.tied);
  EXPECT_EQ(model.head.data, model.embedding.data);
}

TEST(EmbeddingModel, PoolsAsTheFileSays) {
  const std::pair<uint32_t, Pooling> known[] = {{0, Pooling::none}, {1, Pooling::mean}, {2, Pooling::cls}};
  for (const auto& [number, pooling] : known) {
    GgufBuilder gguf = embedding_file("qwen3");
    gguf.remove("qwen3.pooling_type");
    gguf.u32("qwen3.pooling_type", number);
    EXPECT_EQ(open(gguf.build()).pooling, pooling);
    EXPECT_EQ(open(gguf.build()).tied, number == 0);
  }
  GgufBuilder gguf = embedding_file("qwen3");
  gguf.remove("qwen3.pooling_type");
  GgufBuilder ranks = gguf, unknown = gguf;
  ranks.u32("qwen3.pooling_type", 4);
  EXPECT_TRUE(refuses(ranks, BITNET_ERROR_UNSUPPORTED, "ranks pairs of texts"));
  unknown.u32("qwen3.pooling_type", 5);
  EXPECT_TRUE(refuses(unknown, BITNET_ERROR_FORMAT, "qwen3.pooling_type"));
}

TEST(EmbeddingModel, WithOneNormMissingIsRefused) {
  for (const std::string name : kInputNorms) {
    SampleModel model = sample("qwen3");
    model.norms.erase("blk.0." + name + "_norm_in.weight");
    // Without the first of them the others are not part of the model.
    EXPECT_TRUE(refuses(model.gguf(), name == "attn_q" ? BITNET_ERROR_UNSUPPORTED : BITNET_ERROR_FORMAT, "_norm_in"))
        << name;
  }
  SampleModel gemma = sample("gemma3");
  gemma.norms.erase("blk.0.post_ffw_norm.weight");
  EXPECT_TRUE(refuses(gemma.gguf(), BITNET_ERROR_FORMAT, "post_ffw_norm.weight is missing"));
  SampleModel wrong = sample("qwen3");
  wrong.norms["blk.0.ffn_down_norm_in.weight"].pop_back();
  EXPECT_TRUE(refuses(wrong.gguf(), BITNET_ERROR_FORMAT, "ffn_down_norm_in.weight is 1 x 95; the hyperparameters ask"));
  EXPECT_EQ(open(sample("qwen3", false).gguf().build()).layers.front().q.norm, nullptr);
}

// BitLinear rounds its weights wherever they are used, so that masters are no other model.
TEST(EmbeddingModel, OfMastersIsRounded) {
  SampleModel model = sample("qwen3");
  model.weights = Encoding::f16;
  GgufBuilder gguf = model.gguf();
  auto& info = gguf.info("blk.0.ffn_up.weight");
  const uint16_t half = 0x1234;  // a small number
  std::memcpy(gguf.data.data() + info.offset, &half, sizeof half);
  std::memcpy(gguf.data.data() + gguf.info("blk.0.attn_q.weight").offset, &half, sizeof half);
  EXPECT_EQ(open(gguf.build()).layers.front().up.weights.numbers, Numbers::i2);
}

SampleModel minicpm() {
  SampleModel model = small_model();
  model.architecture = "minicpm";
  std::erase_if(model.norms, [](const auto& norm) { return norm.first.ends_with("_sub_norm.weight"); });
  return model;
}

TEST(MiniCpm, HasScales) {
  GgufBuilder gguf = minicpm().gguf();
  const HyperParameters silent = open(gguf.build()).hyper;  // as llama.cpp has it
  EXPECT_EQ(silent.embedding_scale, 12);
  EXPECT_FLOAT_EQ(silent.residual_scale, 1.4f / std::sqrt(static_cast<float>(silent.layers)));
  EXPECT_FLOAT_EQ(silent.logit_scale, static_cast<float>(silent.hidden) / 256);
  gguf.f32("minicpm.embedding_scale", 10);
  gguf.f32("minicpm.residual_scale", 0.25f);
  gguf.f32("minicpm.logit_scale", 9);
  const HyperParameters said = open(gguf.build()).hyper;
  EXPECT_EQ(said.embedding_scale, 10);
  EXPECT_EQ(said.residual_scale, 0.25f);
  EXPECT_EQ(said.logit_scale, 9);
  for (const std::string key : {"embedding_scale", "residual_scale", "logit_scale"}) {
    for (const float value : {0.0f, -1.0f, 1e9f}) {
      GgufBuilder wrong = minicpm().gguf();
      wrong.f32("minicpm." + key, value);
      EXPECT_TRUE(refuses(wrong, BITNET_ERROR_FORMAT, key)) << value;
    }
  }
}

TEST(MiniCpm, KeepsToOneSetOfRotaryFactors) {
  SampleModel model = minicpm();
  const size_t pairs = model.hidden / model.heads / 2;
  model.norms["rope_factors_short.weight"].assign(pairs, 2);
  model.norms["rope_factors_long.weight"].assign(pairs, 3);
  GgufBuilder gguf = model.gguf();
  gguf.string("minicpm.rope.scaling.type", "longrope");
  const Model whole = open(gguf.build());
  ASSERT_NE(whole.rope_factors, nullptr);
  EXPECT_EQ(whole.rope_factors[pairs - 1], 2);
  EXPECT_EQ(whole.hyper.rope_magnitude, 1);
  gguf.u32("minicpm.rope.scaling.original_context_length", 16);
  std::string log;
  const Model cut = open(gguf.build(), [&](bitnet_log_level, const std::string& line) { log += line; });
  EXPECT_EQ(cut.hyper.context, 16U);
  EXPECT_NE(log.find("rope_factors_long.weight"), log.npos) << log;
  model.norms["rope_factors_long.weight"].assign(pairs, 2);
  GgufBuilder same = model.gguf();
  same.u32("minicpm.rope.scaling.original_context_length", 16);
  EXPECT_EQ(open(same.build()).hyper.context, whole.hyper.context);
  model.norms["rope_factors_short.weight"][0] = -1;
  EXPECT_TRUE(refuses(model.gguf(), BITNET_ERROR_FORMAT, "is -1; it must be positive"));
  model.norms["rope_factors_short.weight"].pop_back();
  EXPECT_TRUE(refuses(model.gguf(), BITNET_ERROR_FORMAT, "factors; a head has"));
  model.norms.erase("rope_factors_long.weight");
  EXPECT_TRUE(refuses(model.gguf(), BITNET_ERROR_FORMAT, "rope_factors_long.weight is missing"));
}

TEST(Gemma3, HasWindowsWhereTheFileSaysSo) {
  GgufBuilder gguf = sample("gemma3", false).gguf();
  gguf.u32("gemma3.attention.sliding_window", 32);
  const HyperParameters hyper = open(gguf.build()).hyper;
  EXPECT_EQ(hyper.window, 32U);
  EXPECT_EQ(hyper.window_period, 6U);
  EXPECT_EQ(hyper.window_theta, 10000);
  EXPECT_TRUE(hyper.has_window(0));
  EXPECT_FALSE(hyper.has_window(5));
  gguf.u32("gemma3.attention.sliding_window_pattern", 3);
  gguf.f32("gemma3.rope.freq_base_swa", 20000);
  EXPECT_EQ(open(gguf.build()).hyper.window_period, 3U);
  EXPECT_EQ(open(gguf.build()).hyper.window_theta, 20000);
  GgufBuilder one = gguf, large = gguf, theta = gguf;
  one.set("gemma3.attention.sliding_window_pattern", 4, std::string("\1\0\0\0", 4));
  EXPECT_TRUE(refuses(one, BITNET_ERROR_FORMAT, "sliding_window_pattern"));
  large.set("gemma3.attention.sliding_window", 4, std::string("\377\377\377\377", 4));
  EXPECT_TRUE(refuses(large, BITNET_ERROR_FORMAT, "sliding_window"));
  theta.remove("gemma3.rope.freq_base_swa");
  theta.f32("gemma3.rope.freq_base_swa", 0.5f);
  EXPECT_TRUE(refuses(theta, BITNET_ERROR_FORMAT, "freq_base_swa"));
}

TEST(Gemma3, WithWhatIsNotSupportedIsRefused) {
  GgufBuilder capped = sample("gemma3").gguf();
  capped.f32("gemma3.final_logit_softcapping", 30);
  EXPECT_TRUE(refuses(capped, BITNET_ERROR_UNSUPPORTED, "final_logit_softcapping"));
  GgufBuilder scale = sample("gemma3").gguf();
  scale.f32("gemma3.attention.scale", -1);
  EXPECT_TRUE(refuses(scale, BITNET_ERROR_FORMAT, "attention.scale"));
}

// As bitnet.cpp's converter first wrote it.
TEST(Gemma3, WithItsVocabularyCalledGpt2IsRefused) {
  SampleModel model = sample("gemma3");
  for (uint32_t i = 0; i < model.vocabulary; ++i) model.tokens.push_back("t" + std::to_string(i));
  model.tokens[7] = "<0x0A>";
  model.tokens[8] = "\u2581";
  model.types.assign(model.vocabulary, 1);
  EXPECT_TRUE(refuses(model.gguf(), BITNET_ERROR_UNSUPPORTED, "token 7 is <0x0A>"));
}

TEST(EmbeddingModel, ThatIsDamagedIsRefusedOrOpens) {
  for (const std::string architecture : {"qwen3", "gemma3"}) {
    const std::string file = embedding_file(architecture).build();
    std::minstd_rand random(3);
    int refused = 0;
    for (int round = 0; round < 150; ++round) {
      std::string damaged = file;
      if (round % 4 == 0) damaged.resize(random() % file.size());
      for (int i = 0; i < 3 && !damaged.empty(); ++i) damaged[random() % damaged.size()] = static_cast<char>(random());
      try {
        open(damaged);
      } catch (const Error&) {
        ++refused;
      }
    }
    EXPECT_GT(refused, 40);
  }
}

}  // namespace
