// SPDX-License-Identifier: MIT
#include "format/hf_config_writer.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "format/hf_config.h"
#include "format/open_questions.h"
#include "model/architecture.h"

namespace bitnet {
namespace {

// The double that people would write for a float, which is that float again: 1e-05, not 9.999999747378752e-06.
double as_written(float value) {
  using FloatJson = nlohmann::basic_json<std::map, std::vector, std::string, bool, int64_t, uint64_t, float>;
  return std::isfinite(value) ? OrderedJson::parse(FloatJson(value).dump()).get<double>() : double{value};
}

// A number that `read` makes `wanted` of: near `guess`, and a whole one if there is one.
template <typename Read>
OrderedJson read_as(float wanted, double guess, const Read& read) {
  constexpr int kSteps = 3;
  const double whole = std::round(guess);
  if (whole >= 1 && read(static_cast<float>(whole)) == wanted) return static_cast<int64_t>(whole);
  float below = static_cast<float>(guess), above = below;
  for (int i = 0; i < kSteps; ++i) {
    for (const float tried : {below, above}) {
      if (read(tried) == wanted) return as_written(tried);
    }
    below = std::nextafter(below, 0.0f);
    above = std::nextafter(above, INFINITY);
  }
  return guess;
}

const char* activation_name(fb::Activation activation) {
  switch (activation) {
    case fb::Activation::relu2:
      return "relu2";
    case fb::Activation::silu:
      return "silu";
    case fb::Activation::gelu:
      return "gelu_pytorch_tanh";
  }
  fail(BITNET_ERROR_INTERNAL, "activation ", static_cast<int>(activation), " has no name in config.json");
}

// BitNet's sub-norms, which three architectures of GGUF have, are one class of transformers.
std::string_view network_of(const Architecture& architecture) {
  return architecture.sub_norms == Part::required ? kOpenArchitecture : architecture.name;
}

bool is_gemma(const Architecture& architecture) { return architecture.norms_less_one; }

void add_shape(const fb::HyperParametersT& hyper, OrderedJson& out) {
  out["vocab_size"] = hyper.vocabulary;
  out["hidden_size"] = hyper.hidden;
  out["intermediate_size"] = hyper.ffn;
  out["num_hidden_layers"] = hyper.layers;
  out["num_attention_heads"] = hyper.heads;
  out["num_key_value_heads"] = hyper.kv_heads;
  out["head_dim"] = hyper.head_dim;
  out["max_position_embeddings"] = hyper.context;
  out["rms_norm_eps"] = as_written(hyper.rms_epsilon);
}

// Whatever stretches the rotary embedding comes to a factor for each frequency and a magnitude. transformers takes such
// as "longrope"; one set of them for texts of any length.
void add_rope(const HfDescription& description, OrderedJson& out) {
  const fb::HyperParametersT& hyper = *description.model.hyper;
  out["rope_theta"] = as_written(hyper.rope_theta);
  if (description.rope_factors.empty() && hyper.rope_magnitude == 1) return;
  OrderedJson factors = OrderedJson::array();
  for (const float factor : description.rope_factors) factors.push_back(as_written(factor));
  if (factors.empty()) factors.insert(factors.end(), hyper.head_dim / 2, 1.0);
  out["rope_scaling"] = OrderedJson{{"rope_type", "longrope"},
                                    {"factor", 1.0},
                                    {"attention_factor", as_written(hyper.rope_magnitude)},
                                    {"original_max_position_embeddings", hyper.context},
                                    {"short_factor", factors},
                                    {"long_factor", factors}};
}

// The kind of each layer, where its own rule shows in so few.
void add_windows(const fb::HyperParametersT& hyper, uint32_t window, OrderedJson& out) {
  out["sliding_window"] = window;
  if (hyper.window != 0) out["sliding_window_pattern"] = hyper.window_period;
  if (hyper.window != 0 && hyper.layers < hyper.window_period) return;
  OrderedJson types = OrderedJson::array();
  for (uint32_t i = 0; i < hyper.layers; ++i) {
    const bool sees_all = hyper.window == 0 || (i + 1) % hyper.window_period == 0;
    types.push_back(sees_all ? "full_attention" : "sliding_attention");
  }
  out["layer_types"] = types;
}

void add_gemma(const fb::HyperParametersT& hyper, OrderedJson& out) {
  constexpr uint32_t kAnyWindow = 512;  // which no layer has
  const double scale = hyper.attention_scale;
  const auto scale_of = [](float scalar) { return static_cast<float>(1 / std::sqrt(double{scalar})); };
  out["query_pre_attn_scalar"] =
      scale == 0 ? OrderedJson(hyper.head_dim) : read_as(hyper.attention_scale, 1 / (scale * scale), scale_of);
  out["attn_logit_softcapping"] = nullptr;
  out["final_logit_softcapping"] = nullptr;
  add_windows(hyper, hyper.window == 0 ? kAnyWindow : hyper.window, out);
  if (hyper.window != 0) out["rope_local_base_freq"] = as_written(hyper.window_theta);
}

void add_experts(const fb::HyperParametersT& hyper, OrderedJson& out) {
  out["num_experts"] = hyper.experts;
  out["num_experts_per_tok"] = hyper.experts_used;
  out["moe_intermediate_size"] = hyper.ffn;
  out["norm_topk_prob"] = hyper.normalised;
  out["decoder_sparse_step"] = 1;
  out["mlp_only_layers"] = OrderedJson::array();
}

// Maple's class counts the tokens before a token.
void add_maple(const fb::HyperParametersT& hyper, OrderedJson& out) {
  const uint32_t turned = hyper.rotary_dim != 0 ? hyper.rotary_dim : hyper.head_dim;
  out["num_shared_experts"] = 0;
  out["partial_rotary_factor"] = static_cast<double>(turned) / hyper.head_dim;
  out["nope_on_global_attention"] = hyper.only_windows_turn;
  add_windows(hyper, hyper.window == 0 ? 0 : hyper.window - 1, out);
}

void add_scales(const fb::HyperParametersT& hyper, OrderedJson& out) {
  out["scale_emb"] = as_written(hyper.embedding_scale);
  const double root = std::sqrt(static_cast<double>(hyper.layers));
  out["scale_depth"] = read_as(hyper.residual_scale, hyper.residual_scale * root,
                               [&](float depth) { return static_cast<float>(depth / root); });
  const auto hidden = static_cast<float>(hyper.hidden);
  out["dim_model_base"] =
      read_as(hyper.logit_scale, hidden / double{hyper.logit_scale}, [&](float base) { return hidden / base; });
}

OrderedJson quantization_of(const HfDescription& description) {
  const fb::HyperParametersT& hyper = *description.model.hyper;
  OrderedJson out = {{"quant_method", "bitnet"},
                     {"linear_class", has_reciprocal_scales(description) ? "bitlinear" : "autobitlinear"},
                     {"quantization_mode", "offline"}};
  if (!description.model.tied && !description.model.headless)
    out["modules_to_not_convert"] = OrderedJson::array({"lm_head"});
  if (!description.input_norms) return out;
  out["use_rms_norm"] = true;
  out["rms_norm_eps"] = as_written(hyper.input_epsilon != 0 ? hyper.input_epsilon : hyper.rms_epsilon);
  return out;
}

void add_tokens(const fb::TokenizerT& tokenizer, bool all_ends, OrderedJson& out) {
  const auto add = [&](const char* key, int32_t token) {
    if (token >= 0) out[key] = token;
  };
  add("bos_token_id", tokenizer.bos);
  add("eos_token_id", tokenizer.eos);
  add("pad_token_id", tokenizer.padding);
  if (!all_ends || tokenizer.end_tokens.empty()) return;
  OrderedJson ends = OrderedJson::array();
  const auto add_end = [&](int32_t token) {
    if (token >= 0 && std::ranges::find(ends, OrderedJson(token)) == ends.end()) ends.push_back(token);
  };
  add_end(tokenizer.eos);
  for (const int32_t token : tokenizer.end_tokens) add_end(token);
  out["eos_token_id"] = ends;
}

OrderedJson value_of(const fb::KeyValueT& note) {
  switch (note.kind) {
    case fb::ValueKind::text:
      return note.text;
    case fb::ValueKind::integer:
      return note.integer;
    case fb::ValueKind::real:
      return note.real;
    case fb::ValueKind::boolean:
      return note.integer != 0;
  }
  fail(BITNET_ERROR_INTERNAL, "a note of kind ", static_cast<int>(note.kind));
}

}  // namespace

OrderedJson hf_config(const HfDescription& description) {
  const fb::ModelT& model = description.model;
  const fb::HyperParametersT& hyper = *model.hyper;
  const Architecture& architecture = require_architecture(model.architecture);
  const HfClassName type = hf_class(network_of(architecture), model.headless);
  OrderedJson out;
  out["architectures"] = OrderedJson::array({type.name});
  out["model_type"] = type.model_type;
  add_shape(hyper, out);
  out[is_gemma(architecture) ? "hidden_activation" : "hidden_act"] = activation_name(hyper.activation);
  add_rope(description, out);
  if (is_gemma(architecture)) add_gemma(hyper, out);
  if (architecture.scales) add_scales(hyper, out);
  if (architecture.experts != Part::none) add_experts(hyper, out);
  if (architecture.partial_rotary) add_maple(hyper, out);
  if (architecture.name.starts_with("qwen")) out["use_sliding_window"] = false;
  if (architecture.qkv_biases != Part::required) out["attention_bias"] = description.biases;
  out["tie_word_embeddings"] = model.tied;
  add_tokens(*model.tokenizer, false, out);
  out["torch_dtype"] = description.dtype;
  if (description.packed) out["quantization_config"] = quantization_of(description);
  return out;
}

OrderedJson hf_generation_config(const fb::ModelT& model) {
  constexpr std::string_view kPrefix = "generation_config.";
  constexpr std::string_view kSampling[] = {"do_sample", "temperature", "top_k",
                                            "top_p",     "min_p",       "repetition_penalty"};
  OrderedJson out = OrderedJson::object();
  add_tokens(*model.tokenizer, true, out);
  for (const auto& note : model.notes) {
    if (!note->key.starts_with(kPrefix)) continue;
    const std::string key = note->key.substr(kPrefix.size());
    if (std::ranges::find(kSampling, key) != std::end(kSampling)) out[key] = value_of(*note);
  }
  return out;
}

OrderedJson hf_modules() {
  const auto module = [](int number, const char* path, const char* type) {
    return OrderedJson{{"idx", number},
                       {"name", std::to_string(number)},
                       {"path", path},
                       {"type", std::string("sentence_transformers.models.") + type}};
  };
  return {module(0, "", "Transformer"), module(1, kHfPoolingFolder, "Pooling"),
          module(2, kHfNormalizeFolder, "Normalize")};
}

OrderedJson hf_pooling_config(const fb::ModelT& model) {
  return {{"word_embedding_dimension", model.hyper->hidden},
          {"pooling_mode_cls_token", model.pooling == fb::Pooling::cls},
          {"pooling_mode_mean_tokens", model.pooling == fb::Pooling::mean},
          {"pooling_mode_lasttoken", model.pooling == fb::Pooling::last},
          {"include_prompt", true}};
}

}  // namespace bitnet
