// SPDX-License-Identifier: MIT
// Models of experts, from GGUF files and Hugging Face's folders: what is read, and that what does not fit is refused by
// name.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "format/dummy.h"
#include "format/files.h"
#include "format/hf_sample.h"
#include "format/hf_source.h"
#include "format/load.h"
#include "format/metadata.h"
#include "format/open.h"

using namespace bitnet;
using namespace bitnet_test;

namespace {

template <typename Body>
testing::AssertionResult refused(const Body& body, bitnet_status status, std::string_view word) {
  try {
    body();
  } catch (const Error& error) {
    const std::string message = error.what();
    if (error.status() == status && message.find(word) != message.npos) return testing::AssertionSuccess();
    return testing::AssertionFailure() << "status " << error.status() << ", \"" << message << "\"";
  }
  return testing::AssertionFailure() << "was taken; \"" << word << "\" was expected";
}

// --- GGUF ----------------------------------------------------------------------------------------------------------

std::string gguf_file(const char* shape) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.gguf";
  write_dummy(path, shape, {.gguf = true});
  return read_file(path);
}

Model open(const std::string& file) { return load_model(open_container(std::as_bytes(std::span(file)), {})); }

testing::AssertionResult refuses(const std::string& file, bitnet_status status, std::string_view word) {
  return refused([&] { open(file); }, status, word);
}

// The same file with another number of 32 bits.
std::string with(std::string file, const std::string& key, uint32_t value) {
  const size_t at = file.find(key);
  EXPECT_NE(at, file.npos) << key;
  std::memcpy(&file[at + key.size() + sizeof(uint32_t)], &value, sizeof value);
  return file;
}

TEST(ExpertsInGguf, OfMapleAreRead) {
  const Model model = open(gguf_file("tiny-maple"));
  const HyperParameters& hyper = model.hyper;
  EXPECT_EQ(hyper.experts, 12U);
  EXPECT_EQ(hyper.experts_used, 3U);
  EXPECT_EQ(hyper.ffn, 832U);
  EXPECT_TRUE(hyper.normalised);
  EXPECT_EQ(hyper.gating, Gating::softmax);
  EXPECT_EQ(hyper.ffn_limit, 7);
  EXPECT_EQ(hyper.window, 41U);
  EXPECT_EQ(hyper.window_period, 4U);
  EXPECT_EQ(hyper.rotary_dim, 48U);
  EXPECT_TRUE(hyper.turns(0));
  EXPECT_FALSE(hyper.turns(3));
  const Layer& layer = model.layers[3];
  EXPECT_EQ(layer.router.weights.rows, 12U);
  EXPECT_EQ(layer.router.weights.numbers, Numbers::f32);
  EXPECT_EQ(layer.gate.weights.rows, 12 * hyper.ffn);
  EXPECT_EQ(layer.down.weights.rows, 12 * hyper.hidden);
  EXPECT_EQ(layer.down.weights.cols, hyper.ffn);
}

TEST(ExpertsInGguf, ThatDoNotFitAreRefused) {
  const std::string file = gguf_file("tiny-qwen3moe");
  EXPECT_EQ(open(file).hyper.experts_used, 2U);
  const auto format = BITNET_ERROR_FORMAT;
  EXPECT_TRUE(refuses(with(file, "qwen3moe.expert_used_count", 0), format, "expert_used_count"));
  EXPECT_TRUE(refuses(with(file, "qwen3moe.expert_used_count", 7), format, "expert_used_count"));
  EXPECT_TRUE(refuses(with(file, "qwen3moe.expert_count", 0), format, "expert_count"));
  EXPECT_TRUE(refuses(with(file, "qwen3moe.expert_count", 1 << 20), format, "expert_count"));
  EXPECT_TRUE(
      refuses(with(file, "qwen3moe.expert_count", 7), format, "is 6 x 320; the hyperparameters ask for 7 x 320"));
  EXPECT_TRUE(refuses(with(file, "qwen3moe.expert_feed_forward_length", 416), format,
                      "is 6 matrices of 832 x 320; the hyperparameters ask for 6 matrices of 416 x 320"));
  EXPECT_TRUE(
      refuses(with(file, "qwen3moe.expert_gating_func", 9), BITNET_ERROR_UNSUPPORTED, "expert_gating_func is 9"));
  EXPECT_EQ(open(with(file, "qwen3moe.expert_gating_func", 2)).hyper.gating, Gating::sigmoid);
  std::string missing = file;
  const std::string name = "blk.1.ffn_up_exps.weight";
  missing[missing.find(name) + name.size() - 1] = 's';
  EXPECT_TRUE(refuses(missing, format, "tensor blk.1.ffn_up_exps.weight is missing"));
}

// --- Hugging Face --------------------------------------------------------------------------------------------------

constexpr uint32_t kExperts = 4, kExpertFfn = 32;
const std::string kMlp = "model.layers.0.mlp.";

// Ternary, with a scale for each row.
HfSample experts() {
  HfSample sample;
  const auto ternary = [&sample](uint64_t rows, uint64_t cols, const std::string& name) {
    sample.trits[name] = sample.draw_trits(rows * cols);
    std::vector<float> values(rows * cols);
    for (size_t i = 0; i < values.size(); ++i) {
      const uint64_t row = i / cols;
      values[i] = static_cast<float>(sample.trits[name][i]) * static_cast<float>(1 + row) / 64;
    }
    return f16_tensor({rows, cols}, values);
  };
  sample.be_llama(ternary);
  sample.config["architectures"] = {"Qwen3MoeForCausalLM"};
  sample.config["model_type"] = "qwen3_moe";
  sample.config["head_dim"] = HfSample::kHeadDim;
  sample.config["num_experts"] = kExperts;
  sample.config["num_experts_per_tok"] = 2;
  sample.config["moe_intermediate_size"] = kExpertFfn;
  sample.config["norm_topk_prob"] = true;
  for (const char* const name : {"gate_proj", "up_proj", "down_proj"}) sample.tensors.erase(kMlp + name + ".weight");
  for (uint32_t i = 0; i < kExperts; ++i) {
    const std::string expert = kMlp + "experts." + std::to_string(i) + ".";
    for (const char* const name : {"gate_proj", "up_proj"}) {
      sample.tensors[expert + name + ".weight"] = ternary(kExpertFfn, HfSample::kHidden, expert + name);
    }
    sample.tensors[expert + "down_proj.weight"] = ternary(HfSample::kHidden, kExpertFfn, expert + "down_proj");
  }
  sample.tensors[kMlp + "gate.weight"] =
      f32_tensor({kExperts, HfSample::kHidden}, sample.numbers(kExperts * HfSample::kHidden));
  for (const char* const name : {"q_norm", "k_norm"}) {
    sample.tensors[std::string("model.layers.0.self_attn.") + name + ".weight"] =
        f16_tensor({HfSample::kHeadDim}, std::vector<float>(HfSample::kHeadDim, 1));
  }
  return sample;
}

Model open(const HfSample& sample) {
  const TemporaryFolder folder;
  sample.write(folder);
  return load_model(open_container(folder / ""));
}

testing::AssertionResult refuses(const HfSample& sample, bitnet_status status, std::string_view word) {
  return refused([&] { open(sample); }, status, word);
}

TEST(ExpertsOfHuggingFace, LieInOneMatrix) {
  const HfSample sample = experts();
  const TemporaryFolder folder;
  sample.write(folder);
  const HfCheckpoint checkpoint = open_hf_checkpoint(folder / "", {});
  const Source& source = *checkpoint.source;
  const HyperParameters hyper = read_hyperparameters(source.describe());
  const auto specs = tensor_specs(hyper, [&](std::string_view name) { return source.has(name); });
  source.check(specs);
  const auto spec = std::ranges::find(specs, "blk.0.ffn_down_exps.weight", &TensorSpec::name);
  ASSERT_NE(spec, specs.end());
  EXPECT_EQ(spec->rows, kExperts * HfSample::kHidden);
  const TernaryScales found = source.ternary_scales(*spec);
  ASSERT_EQ(found.scales.size(), spec->rows);
  std::vector<int8_t> trits(size_t{spec->rows} * spec->cols);
  source.read_trits(*spec, found, 0, spec->rows, trits.data());
  std::vector<float> values(size_t{192} * spec->cols);  // from the middle of one expert to the middle of the next
  source.read_values(*spec, 64, 192, values.data());
  source.release(*spec, 64, 192);
  for (uint32_t i = 0; i < kExperts; ++i) {
    const auto& own = sample.trits.at(kMlp + "experts." + std::to_string(i) + ".down_proj");
    EXPECT_TRUE(std::equal(own.begin(), own.end(), trits.begin() + static_cast<std::ptrdiff_t>(i * own.size()))) << i;
    EXPECT_EQ(found.scales[i * HfSample::kHidden + 5], 6.0f / 64);
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t at = size_t{64} * spec->cols + i;
    ASSERT_EQ(values[i], static_cast<float>(trits[at]) * found.scales[at / spec->cols]);
  }
}

TEST(ExpertsOfHuggingFace, AreRead) {
  const Model model = open(experts());
  EXPECT_EQ(model.hyper.ffn, kExpertFfn);
  EXPECT_EQ(model.hyper.experts, kExperts);
  EXPECT_EQ(model.layers[0].up.weights.rows, kExperts * kExpertFfn);
}

TEST(ExpertsOfHuggingFace, ThatDoNotFitAreRefused) {
  HfSample missing = experts(), more = experts(), shape = experts(), router = experts();
  missing.tensors.erase(kMlp + "experts.3.up_proj.weight");
  EXPECT_TRUE(
      refuses(missing, BITNET_ERROR_FORMAT, "experts.3.up_proj.weight is missing; by config.json each layer has 4"));
  more.tensors[kMlp + "experts.4.up_proj.weight"] = more.tensors[kMlp + "experts.3.up_proj.weight"];
  EXPECT_TRUE(refuses(more, BITNET_ERROR_UNSUPPORTED, "experts.4.up_proj.weight is not part of the model"));
  shape.tensors[kMlp + "experts.2.up_proj.weight"] = f32_tensor({16, 128}, shape.numbers(16 * 128));
  EXPECT_TRUE(
      refuses(shape, BITNET_ERROR_FORMAT, "experts.2.up_proj.weight is 16 x 128; config.json asks for 32 x 128"));
  router.tensors[kMlp + "gate.weight"] = f32_tensor({3, 128}, router.numbers(3 * 128));
  EXPECT_TRUE(refuses(router, BITNET_ERROR_FORMAT, "mlp.gate.weight is 3 x 128; config.json asks for 4 x 128"));
  for (const int used : {0, 5}) {
    HfSample sample = experts();
    sample.config["num_experts_per_tok"] = used;
    EXPECT_TRUE(refuses(sample, BITNET_ERROR_FORMAT, "num_experts_per_tok is")) << used;
  }
  HfSample odd = experts(), some = experts(), step = experts();
  odd.config["moe_intermediate_size"] = 24;
  EXPECT_TRUE(refuses(odd, BITNET_ERROR_UNSUPPORTED, "has 24 rows; supported are multiples of 16"));
  some.config["mlp_only_layers"] = {0};
  EXPECT_TRUE(refuses(some, BITNET_ERROR_UNSUPPORTED, "mlp_only_layers"));
  step.config["decoder_sparse_step"] = 2;
  EXPECT_TRUE(refuses(step, BITNET_ERROR_UNSUPPORTED, "decoder_sparse_step is 2"));
}

TEST(ExpertsOfHuggingFace, OfMaple) {
  HfSample sample = experts();
  sample.config["architectures"] = {"MapleForCausalLM"};
  sample.config["model_type"] = "maple";
  sample.config["num_hidden_layers"] = 1;
  sample.config["layer_types"] = {"sliding_attention"};
  sample.config["sliding_window"] = 20;
  sample.config["partial_rotary_factor"] = 0.5;
  sample.config["nope_on_global_attention"] = true;
  sample.config["tie_word_embeddings"] = true;
  const auto embedding = sample.tensors.extract("model.embed_tokens.weight");
  sample.tensors["model.word_embeddings.weight"] = embedding.mapped();
  const HyperParameters hyper = open(sample).hyper;
  EXPECT_EQ(hyper.window, 21U);  // Flash Attention counts those before a token
  EXPECT_EQ(hyper.rotary_dim, HfSample::kHeadDim / 2);
  EXPECT_TRUE(hyper.only_windows_turn);
  EXPECT_EQ(hyper.ffn_limit, 7);
  HfSample turned = sample, shared = sample;
  turned.config["nope_on_global_attention"] = false;
  EXPECT_TRUE(refuses(turned, BITNET_ERROR_UNSUPPORTED, "nope_on_global_attention is false"));
  shared.config["num_shared_experts"] = 1;
  EXPECT_TRUE(refuses(shared, BITNET_ERROR_UNSUPPORTED, "num_shared_experts is 1"));
}

}  // namespace
