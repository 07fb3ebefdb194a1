// SPDX-License-Identifier: MIT
// What config.json says: published ones, in the layouts of transformers 4 and 5, and what no supported model has.
#include "format/hf_config.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "format/json.h"

using namespace bitnet;

namespace {

HfConfig read(const std::string& text) { return read_hf_config(parse_json(text)); }

// A config.json whose members can be set, taken out (an empty value) and added, as JSON.
class Config {
 public:
  explicit Config(const std::string& text) : json_(parse_json(text)) {}
  Config with(const std::string& key, const std::string& value) const {
    Config other = *this;
    if (value.empty()) {
      other.json_.erase(key);
    } else {
      other.json_[key] = parse_json(value);
    }
    return other;
  }
  HfConfig read() const { return read_hf_config(json_); }

 private:
  Json json_;
};

testing::AssertionResult refused(const Config& config, bitnet_status status, std::string_view word) {
  try {
    config.read();
  } catch (const Error& error) {
    const std::string message = error.what();
    if (error.status() == status && message.find(word) != message.npos) return testing::AssertionSuccess();
    return testing::AssertionFailure() << "status " << error.status() << ", \"" << message << "\"";
  }
  return testing::AssertionFailure() << "was taken; \"" << word << "\" was expected";
}

// microsoft/bitnet-b1.58-2B-4T.
const Config kBitNet(
    R"({"architectures": ["BitNetForCausalLM"], "auto_map": {"AutoConfig": "configuration_bitnet.BitNetConfig",
  "AutoModelForCausalLM": "modeling_bitnet.BitNetForCausalLM"}, "bos_token_id": 128000, "eos_token_id": 128001,
  "hidden_act": "relu2", "hidden_size": 2560, "initializer_range": 0.02, "intermediate_size": 6912,
  "max_position_embeddings": 4096, "model_type": "bitnet", "rms_norm_eps": 1e-05, "num_attention_heads": 20,
  "num_hidden_layers": 30, "num_key_value_heads": 5, "rope_theta": 500000.0, "tie_word_embeddings": true,
  "torch_dtype": "bfloat16", "use_cache": true, "vocab_size": 128256, "quantization_config":
  {"quant_method": "bitnet", "linear_class": "autobitlinear", "quantization_mode": "offline"}})");

// 1bitLLM/bitnet_b1_58-large.
const Config kLarge(R"({"architectures": ["BitnetForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
  "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 1536, "initializer_range": 0.02,
  "input_bits": 8, "intermediate_size": 4096, "max_position_embeddings": 2048, "model_type": "llama",
  "num_attention_heads": 16, "num_hidden_layers": 24, "num_key_value_heads": 16, "pad_token_id": 32000,
  "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": null, "rope_theta": 10000.0,
  "tie_word_embeddings": true, "torch_dtype": "float32", "use_cache": true, "vocab_size": 32002, "weight_bits": 1})");

// As tiiuae/Falcon3-1B-Instruct-1.58bit: packed, heads that are not a share of the hidden size.
const Config kFalcon3(R"({"architectures": ["LlamaForCausalLM"], "attention_bias": false, "head_dim": 256,
  "hidden_act": "silu", "hidden_size": 2048, "intermediate_size": 8192, "max_position_embeddings": 8192,
  "mlp_bias": false, "model_type": "llama", "num_attention_heads": 8, "num_hidden_layers": 18,
  "num_key_value_heads": 4, "pretraining_tp": 1, "rms_norm_eps": 1e-06, "rope_scaling": null, "rope_theta": 1000042,
  "tie_word_embeddings": false, "vocab_size": 131072,
  "quantization_config": {"modules_to_not_convert": ["lm_head"], "quant_method": "bitnet"}})");

// As Qwen/Qwen2.5-1.5B-Instruct.
const Config kQwen2(R"({"architectures": ["Qwen2ForCausalLM"], "hidden_act": "silu", "hidden_size": 1536,
  "intermediate_size": 8960, "max_position_embeddings": 32768, "max_window_layers": 21, "model_type": "qwen2",
  "num_attention_heads": 12, "num_hidden_layers": 28, "num_key_value_heads": 2, "rms_norm_eps": 1e-06,
  "rope_theta": 1000000.0, "sliding_window": 32768, "tie_word_embeddings": true, "use_sliding_window": false,
  "vocab_size": 151936})");

// As Bonsai: Qwen3, YaRN.
const Config kQwen3(R"({"architectures": ["Qwen3ForCausalLM"], "attention_bias": false, "head_dim": 128,
  "hidden_act": "silu", "hidden_size": 2048, "intermediate_size": 6144, "max_position_embeddings": 65536,
  "max_window_layers": 28, "model_type": "qwen3", "num_attention_heads": 16, "num_hidden_layers": 28,
  "num_key_value_heads": 8, "rms_norm_eps": 1e-06, "rope_scaling": {"factor": 4.0,
  "original_max_position_embeddings": 16384, "rope_type": "yarn"}, "rope_theta": 1000000, "sliding_window": null,
  "tie_word_embeddings": true, "use_sliding_window": false, "vocab_size": 151936})");

// As meta-llama/Llama-3.2-1B.
const Config kLlama3(R"({"architectures": ["LlamaForCausalLM"], "attention_bias": false, "head_dim": 64,
  "hidden_act": "silu", "hidden_size": 2048, "intermediate_size": 8192, "max_position_embeddings": 131072,
  "mlp_bias": false, "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 16,
  "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_scaling": {"factor": 32.0, "high_freq_factor": 4.0,
  "low_freq_factor": 1.0, "original_max_position_embeddings": 8192, "rope_type": "llama3"}, "rope_theta": 500000.0,
  "tie_word_embeddings": true, "vocab_size": 128256})");

TEST(HfConfig, OfPublishedModels) {
  const HfConfig bitnet = kBitNet.read();
  EXPECT_EQ(bitnet.architecture, "bitnet-b1.58");
  EXPECT_EQ(bitnet.hyper.layers, 30U);
  EXPECT_EQ(bitnet.hyper.hidden, 2560U);
  EXPECT_EQ(bitnet.hyper.ffn, 6912U);
  EXPECT_EQ(bitnet.hyper.heads, 20U);
  EXPECT_EQ(bitnet.hyper.kv_heads, 5U);
  EXPECT_EQ(bitnet.hyper.head_dim, 128U);
  EXPECT_EQ(bitnet.hyper.vocabulary, 128256U);
  EXPECT_EQ(bitnet.hyper.context, 4096U);
  EXPECT_EQ(bitnet.hyper.rms_epsilon, 1e-5f);
  EXPECT_EQ(bitnet.hyper.rope_theta, 500000.0f);
  EXPECT_EQ(bitnet.hyper.activation, fb::Activation::relu2);
  EXPECT_EQ(bitnet.weights, HfWeights::multiplied);
  EXPECT_EQ(bitnet.tied, true);
  EXPECT_EQ(bitnet.attention_bias, std::nullopt);
  EXPECT_TRUE(bitnet.rope_factors.empty());

  const HfConfig large = kLarge.read();
  EXPECT_EQ(large.architecture, "bitnet");
  EXPECT_EQ(large.hyper.activation, fb::Activation::silu);
  EXPECT_EQ(large.hyper.head_dim, 96U);
  EXPECT_EQ(large.weights, HfWeights::rounded);

  const HfConfig falcon = kFalcon3.read();
  EXPECT_EQ(falcon.architecture, "llama");
  EXPECT_EQ(falcon.hyper.head_dim, 256U);
  EXPECT_EQ(falcon.hyper.rope_theta, 1000042.0f);
  EXPECT_EQ(falcon.weights, HfWeights::divided);
  EXPECT_EQ(falcon.tied, false);

  const HfConfig qwen2 = kQwen2.read();
  EXPECT_EQ(qwen2.architecture, "qwen2");
  EXPECT_EQ(qwen2.weights, HfWeights::plain);

  EXPECT_EQ(kQwen3.read().architecture, "qwen3");
  EXPECT_EQ(kLlama3.read().architecture, "llama");
}

// As google/gemma-3-270m.
const Config kGemma3(R"({"architectures": ["Gemma3ForCausalLM"], "attention_bias": false,
  "attn_logit_softcapping": null, "final_logit_softcapping": null, "head_dim": 256,
  "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 640, "intermediate_size": 2048,
  "layer_types": ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"],
  "max_position_embeddings": 32768, "model_type": "gemma3_text", "num_attention_heads": 4, "num_hidden_layers": 4,
  "num_key_value_heads": 1, "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-06, "rope_local_base_freq": 10000.0,
  "rope_scaling": null, "rope_theta": 1000000.0, "sliding_window": 512, "use_bidirectional_attention": false,
  "vocab_size": 262144})");

TEST(HfConfig, OfGemma) {
  const HfConfig gemma = kGemma3.read();
  EXPECT_EQ(gemma.architecture, "gemma3");
  EXPECT_EQ(gemma.hyper.activation, fb::Activation::gelu);
  EXPECT_EQ(gemma.hyper.attention_scale, 0);  // that of heads of 256
  EXPECT_EQ(gemma.hyper.window, 512U);
  EXPECT_EQ(gemma.hyper.window_period, 3U);
  EXPECT_EQ(gemma.hyper.window_theta, 10000);
  EXPECT_EQ(gemma.hyper.rope_theta, 1000000);
  EXPECT_EQ(gemma.tied, true);
  EXPECT_FALSE(gemma.headless);
  EXPECT_EQ(kGemma3.with("query_pre_attn_scalar", "100").read().hyper.attention_scale, 0.1f);
  EXPECT_EQ(kGemma3.with("layer_types", "").read().hyper.window_period, 6U);
  EXPECT_EQ(kGemma3.with("layer_types", "").with("sliding_window", "").read().hyper.window, 4096U);  // the class's
  EXPECT_EQ(kGemma3.with("sliding_window", "null").read().hyper.window, 0U);
  const std::string full = R"("full_attention")", window = R"("sliding_attention")";
  const auto layers = [&](const std::vector<std::string>& types) {
    std::string list;
    for (const std::string& type : types) list += (list.empty() ? "[" : ", ") + type;
    return kGemma3.with("layer_types", list + "]");
  };
  EXPECT_EQ(layers({full, full, full, full}).read().hyper.window, 0U);
  const HfConfig all = layers({window, window, window, window}).read();
  for (uint32_t layer = 0; layer < 4; ++layer) EXPECT_NE((layer + 1) % all.hyper.window_period, 0U);
  EXPECT_TRUE(refused(layers({window, full, full, full}), BITNET_ERROR_UNSUPPORTED, "layer_types[2] is"));
  EXPECT_TRUE(refused(layers({window, full}), BITNET_ERROR_FORMAT, "layer_types"));
  EXPECT_TRUE(refused(kGemma3.with("final_logit_softcapping", "30.0"), BITNET_ERROR_UNSUPPORTED, "capped"));
  EXPECT_TRUE(refused(kGemma3.with("use_bidirectional_attention", "true"), BITNET_ERROR_UNSUPPORTED, "see those"));
  EXPECT_TRUE(refused(kGemma3.with("hidden_activation", "\"gelu\""), BITNET_ERROR_UNSUPPORTED, "hidden_activation"));
  EXPECT_TRUE(refused(kGemma3.with("query_pre_attn_scalar", "0"), BITNET_ERROR_FORMAT, "query_pre_attn_scalar is 0"));
  EXPECT_TRUE(refused(kGemma3.with("query_pre_attn_scalar", "-1"), BITNET_ERROR_FORMAT, "query_pre_attn_scalar"));

  // In the layout of transformers 5.
  const HfConfig fifth = kGemma3.with("rope_theta", "")
                             .with("rope_local_base_freq", "")
                             .with("rope_parameters", R"({"full_attention": {"rope_type": "default", "rope_theta": 5e5},
                               "sliding_attention": {"rope_type": "default", "rope_theta": 20000.0}})")
                             .read();
  EXPECT_EQ(fifth.hyper.rope_theta, 5e5f);
  EXPECT_EQ(fifth.hyper.window_theta, 20000);
}

TEST(HfConfig, OfEmbeddingModelsHasNoHead) {
  const HfConfig qwen = kQwen3.with("architectures", R"(["Qwen3Model"])").read();
  EXPECT_EQ(qwen.architecture, "qwen3");
  EXPECT_TRUE(qwen.headless);
  const HfConfig gemma = kGemma3.with("architectures", R"(["Gemma3TextModel"])").read();
  EXPECT_EQ(gemma.architecture, "gemma3");
  EXPECT_TRUE(gemma.headless);
}

TEST(HfConfig, WhatIsLeftOutIsTheClasss) {
  const Config bitnet = kBitNet.with("rope_theta", "").with("rms_norm_eps", "").with("hidden_act", "");
  EXPECT_EQ(bitnet.read().hyper.rope_theta, 500000.0f);
  EXPECT_EQ(bitnet.read().hyper.rms_epsilon, 1e-5f);
  EXPECT_EQ(bitnet.read().hyper.activation, fb::Activation::relu2);
  const Config llama = kLlama3.with("rope_theta", "").with("rms_norm_eps", "").with("num_key_value_heads", "null");
  EXPECT_EQ(llama.read().hyper.rope_theta, 10000.0f);
  EXPECT_EQ(llama.read().hyper.rms_epsilon, 1e-6f);
  EXPECT_EQ(llama.read().hyper.kv_heads, 32U);
  EXPECT_EQ(llama.with("head_dim", "null").read().hyper.head_dim, 64U);
  EXPECT_EQ(kQwen3.with("head_dim", "").with("hidden_size", "2560").read().hyper.head_dim, 128U);
  EXPECT_EQ(kQwen2.with("architectures", "").read().architecture, "qwen2");
  EXPECT_EQ(kQwen2.with("tie_word_embeddings", "").read().tied, std::nullopt);
  EXPECT_TRUE(refused(kQwen2.with("hidden_size", ""), BITNET_ERROR_FORMAT, "hidden_size is missing"));
  EXPECT_TRUE(refused(kQwen2.with("hidden_size", "1535"), BITNET_ERROR_FORMAT, "(1535) is not a multiple"));
}

TEST(HfConfig, OfMistralHasAWindow) {
  const Config mistral = kLlama3.with("architectures", R"(["MistralForCausalLM"])").with("rope_scaling", "");
  EXPECT_EQ(mistral.with("sliding_window", "null").read().architecture, "llama");
  EXPECT_EQ(mistral.with("sliding_window", "131072").read().architecture, "llama");
  EXPECT_TRUE(refused(mistral.with("sliding_window", "4096"), BITNET_ERROR_UNSUPPORTED, "sliding_window is 4096"));
  EXPECT_TRUE(refused(mistral, BITNET_ERROR_UNSUPPORTED, "sliding_window is 4096"));  // the class's
}

TEST(HfConfig, OfQwenHasAWindowWhereItIsSwitchedOn) {
  EXPECT_EQ(kQwen2.with("sliding_window", "4096").read().architecture, "qwen2");
  const Config on = kQwen2.with("use_sliding_window", "true").with("sliding_window", "4096");
  EXPECT_TRUE(refused(on, BITNET_ERROR_UNSUPPORTED, "sliding_window is 4096"));
  EXPECT_EQ(on.with("max_window_layers", "28").read().architecture, "qwen2");  // from a layer on that there is not
  EXPECT_EQ(on.with("sliding_window", "null").read().architecture, "qwen2");
}

TEST(HfConfig, ArchitecturesThatAreUnknownAreNamedWithTheNearest) {
  const Config gpt2 = kLlama3.with("architectures", R"(["GPT2LMHeadModel"])").with("model_type", "\"gpt2\"");
  EXPECT_TRUE(refused(gpt2, BITNET_ERROR_UNSUPPORTED, "the architecture is \"GPT2LMHeadModel\"; supported are Llama"));
  const Config moe = kQwen3.with("architectures", R"(["Qwen3MoForCausalLM"])");
  EXPECT_TRUE(refused(moe, BITNET_ERROR_UNSUPPORTED, "; the nearest is Qwen3MoeForCausalLM"));
  const Config typed = gpt2.with("architectures", "");
  EXPECT_TRUE(refused(typed, BITNET_ERROR_UNSUPPORTED, "the architecture is \"gpt2\"; supported are llama, mis"));
  EXPECT_TRUE(refused(typed.with("model_type", ""), BITNET_ERROR_FORMAT, "neither architectures nor"));
  const Config hybrid = kQwen3.with("architectures", R"(["Qwen3_5ForConditionalGeneration"])");
  EXPECT_TRUE(refused(hybrid, BITNET_ERROR_UNSUPPORTED, "most of its layers are gated delta nets"));
  EXPECT_TRUE(refused(gpt2.with("architectures", "[\"\\u001b[31m\"]"), BITNET_ERROR_UNSUPPORTED, "\"\\u001b[31m\""));
}

TEST(HfConfig, Quantizations) {
  const auto weights = [](const char* quantization) {
    return kBitNet.with("quantization_config", quantization).read().weights;
  };
  EXPECT_EQ(weights(R"({"quant_method": "bitnet"})"), HfWeights::divided);
  EXPECT_EQ(weights(R"({"quant_method": "bitnet", "modules_to_not_convert": null})"), HfWeights::divided);
  EXPECT_EQ(weights(R"({"quant_method": "bitnet", "linear_class": "bitlinear"})"), HfWeights::divided);
  EXPECT_EQ(weights(R"({"quant_method": "bitnet", "linear_class": "autobitlinear"})"), HfWeights::multiplied);
  EXPECT_EQ(weights(R"({"quant_method": "bitnet", "linear_class": "autobitlinear", "quantization_mode": "online"})"),
            HfWeights::rounded);
  EXPECT_EQ(weights("null"), HfWeights::master);
  EXPECT_EQ(weights("{}"), HfWeights::master);

  const auto refuses = [](const char* quantization, std::string_view word) {
    return refused(kBitNet.with("quantization_config", quantization), BITNET_ERROR_UNSUPPORTED, word);
  };
  EXPECT_TRUE(refuses(R"({"quant_method": "gptq", "bits": 4})", "quantized by gptq"));
  EXPECT_TRUE(refuses(R"({"quant_method": "awq"})", "quantized by awq"));
  EXPECT_TRUE(refuses(R"({"quant_method": "fp8"})", "quantized by fp8"));
  EXPECT_TRUE(refuses(R"({"load_in_4bit": true})", "quantized by bitsandbytes"));
  EXPECT_TRUE(refuses(R"({"bits": 3})", "quantized by an unnamed method"));
  EXPECT_TRUE(refuses(R"({"quant_method": "bitnet", "use_rms_norm": true})", "use_rms_norm is true: a norm before"));
  EXPECT_EQ(kBitNet.read().input_norms, false);
  EXPECT_EQ(kBitNet.with("quantization_config", "").read().input_norms, std::nullopt);
  EXPECT_TRUE(refuses(R"({"quant_method": "bitnet", "linear_class": "x"})", "linear_class is \"x\""));
  EXPECT_TRUE(refuses(R"({"quant_method": "bitnet", "linear_class": "autobitlinear", "quantization_mode": "x"})",
                      "quantization_mode is \"x\""));
  EXPECT_TRUE(refuses(R"({"quant_method": "bitnet", "modules_to_not_convert": ["lm_head", "model.layers.0"]})",
                      "modules_to_not_convert[1] is \"model.layers.0\""));
  EXPECT_TRUE(refuses(R"({"quant_method": "bitnet", "modules_to_not_convert": ["down_proj"]})",
                      "modules_to_not_convert[0] is \"down_proj\""));
}

TEST(HfConfig, NormsBeforeLinearLayers) {
  const auto normed = [](const char* epsilon) {
    return kQwen2.with("rms_norm_eps", "1e-05")
        .with("quantization_config", std::string(R"({"quant_method": "bitnet", "use_rms_norm": true)") + epsilon + "}");
  };
  EXPECT_EQ(normed("").read().input_norms, true);
  EXPECT_EQ(normed("").read().hyper.input_epsilon, 1e-6f);  // transformers' own
  EXPECT_EQ(normed(R"(, "rms_norm_eps": 1e-05)").read().hyper.input_epsilon, 0);
  EXPECT_TRUE(refused(normed(R"(, "rms_norm_eps": 0)"), BITNET_ERROR_UNSUPPORTED, "rms_norm_eps is 0"));
  EXPECT_TRUE(refused(normed(R"(, "rms_norm_eps": 2)"), BITNET_ERROR_FORMAT, "rms_norm_eps is 2"));
}

// As openbmb/MiniCPM4-0.5B.
const Config kMiniCpm(R"({"architectures": ["MiniCPMForCausalLM"], "hidden_act": "silu", "hidden_size": 256,
  "intermediate_size": 512, "max_position_embeddings": 32768, "model_type": "minicpm", "num_attention_heads": 64,
  "num_hidden_layers": 16, "num_key_value_heads": 2, "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "scale_emb": 12,
  "scale_depth": 1.4, "dim_model_base": 64, "vocab_size": 320, "rope_scaling": {"rope_type": "longrope",
  "long_factor": [1.0, 4.0], "short_factor": [1.0, 2.0], "original_max_position_embeddings": 32768}})");

TEST(HfConfig, ScalesOfMiniCpm) {
  const HfConfig config = kMiniCpm.read();
  EXPECT_EQ(config.architecture, "minicpm");
  EXPECT_EQ(config.tied, true);
  EXPECT_EQ(config.hyper.embedding_scale, 12);
  EXPECT_FLOAT_EQ(config.hyper.residual_scale, 1.4f / 4);
  EXPECT_EQ(config.hyper.logit_scale, 4);
  EXPECT_TRUE(refused(kMiniCpm.with("scale_emb", "0"), BITNET_ERROR_FORMAT, "scale_emb is 0"));
  EXPECT_TRUE(refused(kMiniCpm.with("dim_model_base", "0"), BITNET_ERROR_FORMAT, "dim_model_base is 0"));
  EXPECT_EQ(kQwen2.with("scale_emb", "12").read().hyper.embedding_scale, 1);  // Qwen's class does not look at it
}

TEST(HfConfig, WhatWouldChangeTheGraphIsRefused) {
  EXPECT_TRUE(refused(kLlama3.with("hidden_act", "\"gelu\""), BITNET_ERROR_UNSUPPORTED, "hidden_act is \"gelu\""));
  EXPECT_TRUE(refused(kLlama3.with("mlp_bias", "true"), BITNET_ERROR_UNSUPPORTED, "mlp_bias is true"));
  EXPECT_TRUE(refused(kLlama3.with("partial_rotary_factor", "0.5"), BITNET_ERROR_UNSUPPORTED, "a part of each head"));
  EXPECT_TRUE(refused(kLarge.with("weight_bits", "2"), BITNET_ERROR_UNSUPPORTED, "weight_bits is 2"));
  EXPECT_TRUE(refused(kLarge.with("input_bits", "4"), BITNET_ERROR_UNSUPPORTED, "input_bits is 4"));
  EXPECT_EQ(kLlama3.with("attention_bias", "true").read().attention_bias, true);
}

TEST(HfConfig, ValuesOfWrongTypesAreRefused) {
  for (const char* const value : {"\"30\"", "0", "-1", "1.5", "30.0", "1e99", "true", "[30]", "{}"}) {
    EXPECT_TRUE(refused(kBitNet.with("num_hidden_layers", value), BITNET_ERROR_FORMAT, "num_hidden_layers is"))
        << value;
  }
  EXPECT_TRUE(refused(kBitNet.with("rms_norm_eps", "-1"), BITNET_ERROR_FORMAT, "rms_norm_eps is -1"));
  EXPECT_TRUE(refused(kBitNet.with("rope_theta", "0"), BITNET_ERROR_FORMAT, "rope_theta is 0"));
  EXPECT_TRUE(
      refused(kBitNet.with("rope_theta", "\"x\""), BITNET_ERROR_FORMAT, "rope_theta is \"x\"; expected is a f"));
  EXPECT_TRUE(refused(kBitNet.with("tie_word_embeddings", "1"), BITNET_ERROR_FORMAT, "expected is true or false"));
  EXPECT_TRUE(refused(kBitNet.with("hidden_act", "3"), BITNET_ERROR_FORMAT, "hidden_act is 3; expected is a string"));
  EXPECT_TRUE(refused(kBitNet.with("quantization_config", "3"), BITNET_ERROR_FORMAT, "expected is an object"));
  EXPECT_THROW(read("[]"), Error);
  EXPECT_THROW(read("{}"), Error);
}

// --- rotary embedding ----------------------------------------------------------------------------------------------

Config roped(const char* scaling) { return kLlama3.with("rope_scaling", scaling); }

// A frequency as the engine will have it, from its number and factor.
double scaled_frequency(const HfConfig& config, uint32_t pair) {
  const double exponent = 2.0 * pair / config.hyper.head_dim;
  return std::pow(double{config.hyper.rope_theta}, -exponent) / config.rope_factors[pair];
}

void expect_frequencies(const HfConfig& config, const std::vector<std::pair<uint32_t, double>>& expected) {
  ASSERT_EQ(config.rope_factors.size(), config.hyper.head_dim / 2);
  for (const auto& [pair, frequency] : expected) {
    EXPECT_NEAR(scaled_frequency(config, pair) / frequency, 1, 1e-6) << pair;
  }
}

TEST(HfRope, WithoutScaling) {
  for (const char* const scaling : {"null", "{}", R"({"rope_type": "default"})", R"({"type": "default"})"}) {
    EXPECT_TRUE(roped(scaling).read().rope_factors.empty()) << scaling;
    EXPECT_EQ(roped(scaling).read().hyper.rope_magnitude, 1) << scaling;
  }
}

TEST(HfRope, LinearlyScaled) {
  for (const char* const scaling : {R"({"rope_type": "linear", "factor": 4})", R"({"type": "linear", "factor": 4})"}) {
    const HfConfig config = roped(scaling).read();
    EXPECT_EQ(config.rope_factors, std::vector<float>(32, 4.0f));
    EXPECT_EQ(config.hyper.rope_magnitude, 1);
  }
  EXPECT_TRUE(refused(roped(R"({"type": "linear"})"), BITNET_ERROR_FORMAT, "factor is missing"));
  EXPECT_TRUE(refused(roped(R"({"type": "linear", "factor": 0})"), BITNET_ERROR_FORMAT, "a positive number"));
  EXPECT_TRUE(refused(roped(R"({"type": "linear", "factor": 1e-44})"), BITNET_ERROR_FORMAT, "make no sense"));
}

// The frequencies were computed with transformers' own functions.
TEST(HfRope, OfLlama3) {
  const HfConfig config = kLlama3.read();
  expect_frequencies(config, {{0, 1.0},
                              {10, 0.016560440883040428},
                              {13, 0.00483942124992609},
                              {14, 0.0032114461064338684},
                              {15, 0.0012905480107292533},
                              {16, 0.000429556705057621},
                              {17, 9.708286233944818e-05},
                              {31, 9.41830720080361e-08}});
  EXPECT_EQ(config.rope_factors.front(), 1.0f);
  EXPECT_EQ(config.rope_factors.back(), 32.0f);
  EXPECT_EQ(config.hyper.rope_magnitude, 1);
  const char* const incomplete = R"({"rope_type": "llama3", "factor": 8, "low_freq_factor": 1})";
  EXPECT_TRUE(refused(roped(incomplete), BITNET_ERROR_FORMAT, "rope_scaling.high_freq_factor is missing"));
}

TEST(HfRope, OfYarn) {
  const HfConfig config = kQwen3.read();
  expect_frequencies(config, {{0, 1.0},
                              {10, 0.11547820270061493},
                              {20, 0.01333521492779255},
                              {24, 0.0046310462057590485},
                              {30, 0.0008605472394265234},
                              {36, 0.0001240283891092986},
                              {40, 4.4456985051510856e-05},
                              {63, 3.102344408034696e-07}});
  EXPECT_FLOAT_EQ(config.hyper.rope_magnitude, 1.138629436111989f);

  // The range of pairs where it begins and ends, with nothing rounded.
  const HfConfig exact = roped(R"({"rope_type": "yarn", "factor": 8, "original_max_position_embeddings": 4096,
                                   "beta_fast": 16, "beta_slow": 2, "truncate": false})")
                             .read();
  expect_frequencies(exact, {{0, 1.0},
                             {8, 0.03760603070259094},
                             {9, 0.02495540864765644},
                             {10, 0.013818805105984211},
                             {12, 0.0035685922484844923},
                             {14, 0.0004631972115021199},
                             {16, 0.00017677668074611574},
                             {31, 3.767322880321444e-07}});
}

TEST(HfRope, MagnitudeOfYarn) {
  const auto magnitude = [](const std::string& more) {
    const std::string scaling =
        R"({"rope_type": "yarn", "factor": 40, "original_max_position_embeddings": 4096)" + more + "}";
    return roped(scaling.c_str()).read().hyper.rope_magnitude;
  };
  const double usual = 0.1 * std::log(40.0) + 1;
  EXPECT_FLOAT_EQ(magnitude(""), static_cast<float>(usual));
  EXPECT_FLOAT_EQ(magnitude(R"(, "attention_factor": 1.5)"), 1.5f);
  EXPECT_FLOAT_EQ(magnitude(R"(, "mscale": 1.0, "mscale_all_dim": 0.5)"),
                  static_cast<float>(usual / (0.05 * std::log(40.0) + 1)));
  EXPECT_FLOAT_EQ(magnitude(R"(, "mscale": 1.0, "mscale_all_dim": 1.0)"), 1.0f);
  EXPECT_FLOAT_EQ(magnitude(R"(, "mscale": 2.0)"), static_cast<float>(usual));  // one alone counts for nothing
}

TEST(HfRope, ContextBeforeItWasStretched) {
  const char* const yarn = R"({"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16384})";
  const Config inside = kQwen3.with("rope_scaling", yarn);
  EXPECT_EQ(inside.read().rope_factors, kQwen3.read().rope_factors);
  const Config none = kQwen3.with("rope_scaling", R"({"type": "yarn", "factor": 4.0})");
  EXPECT_NE(none.read().rope_factors, kQwen3.read().rope_factors);  // max_position_embeddings then
  const Config outside = none.with("original_max_position_embeddings", "16384");
  EXPECT_EQ(outside.read().rope_factors, kQwen3.read().rope_factors);
  const Config quotient =
      kQwen3.with("rope_scaling", R"({"type": "yarn", "original_max_position_embeddings": 16384, "factor": null})");
  EXPECT_EQ(quotient.read().rope_factors, kQwen3.read().rope_factors);
}

TEST(HfRope, OfTransformers5) {
  const std::string parameters =
      R"({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16384, "rope_theta": 1000000})";
  const HfConfig config =
      kQwen3.with("rope_scaling", "").with("rope_theta", "").with("rope_parameters", parameters).read();
  EXPECT_EQ(config.rope_factors, kQwen3.read().rope_factors);
  EXPECT_EQ(config.hyper.rope_theta, 1e6f);
  EXPECT_EQ(config.hyper.rope_magnitude, kQwen3.read().hyper.rope_magnitude);
  const Config plain = kQwen2.with("rope_theta", "").with("rope_parameters", R"({"rope_theta": 77.0})");
  EXPECT_EQ(plain.read().hyper.rope_theta, 77.0f);
}

// One set of factors holds for all texts that are let in.
TEST(HfRope, OfLongTexts) {
  const auto roped = [](const char* factors, const char* context) {
    return kMiniCpm.with("max_position_embeddings", context)
        .with("rope_scaling",
              std::string(R"({"type": "longrope", "original_max_position_embeddings": 32768, )") + factors + "}");
  };
  const char* const differ = R"("long_factor": [1.0, 4.0], "short_factor": [1.0, 2.0])";
  const char* const same = R"("long_factor": [1.0, 2.0], "short_factor": [1.0, 2.0])";
  const HfConfig exact = roped(differ, "32768").read();
  EXPECT_EQ(exact.rope_factors, (std::vector<float>{1, 2}));
  EXPECT_EQ(exact.hyper.rope_magnitude, 1);
  EXPECT_EQ(exact.stretched, std::nullopt);
  const HfConfig cut = roped(differ, "131072").read();
  EXPECT_EQ(cut.rope_factors, (std::vector<float>{1, 2}));
  EXPECT_EQ(cut.hyper.context, 32768U);
  EXPECT_EQ(cut.stretched, 131072U);
  EXPECT_FLOAT_EQ(cut.hyper.rope_magnitude, std::sqrt(1 + std::log(4.0f) / std::log(32768.0f)));
  EXPECT_EQ(roped(same, "131072").read().hyper.context, 131072U);
  EXPECT_EQ(roped(same, "131072").read().stretched, std::nullopt);
  const auto refuses = [&](const char* factors, std::string_view word) {
    return refused(roped(factors, "32768"), BITNET_ERROR_FORMAT, word);
  };
  EXPECT_TRUE(refuses(R"("long_factor": [1.0, 4.0], "short_factor": [1.0])", "has 1 factors; a head has 2 pairs"));
  EXPECT_TRUE(refuses(R"("long_factor": [1.0, 4.0], "short_factor": [1.0, 0])", "is 0; it must be positive"));
  EXPECT_TRUE(refuses(R"("long_factor": [1.0, "x"], "short_factor": [1.0, 1])", "long_factor[1] is \"x\""));
  EXPECT_TRUE(refuses(R"("short_factor": [1.0, 1])", "long_factor"));
}

TEST(HfRope, ThatIsUnknownIsRefused) {
  const auto refuses = [](const char* scaling, std::string_view word) {
    return refused(roped(scaling), BITNET_ERROR_UNSUPPORTED, word);
  };
  EXPECT_TRUE(
      refuses(R"({"type": "dynamic", "factor": 2})", "rope_scaling.type is \"dynamic\"; supported are default"));
  EXPECT_TRUE(refused(roped(R"({"rope_type": "longrope"})"), BITNET_ERROR_FORMAT, "short_factor is missing"));
  EXPECT_TRUE(refuses(R"({"full_attention": {"rope_type": "default"}})", "other things for full_attention"));
  EXPECT_TRUE(refuses(R"({"type": "linear", "factor": 2, "partial_rotary_factor": 0.5})", "a part of each head"));
  EXPECT_TRUE(refused(roped(R"({"type": "yarn", "factor": "x"})"), BITNET_ERROR_FORMAT, "factor is \"x\""));
  EXPECT_TRUE(
      refused(roped(R"({"type": "yarn", "factor": 2})").with("rope_theta", "1"), BITNET_ERROR_FORMAT, "make no sense"));
}

}  // namespace
