// SPDX-License-Identifier: MIT
#include "model/architecture.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/nearest.h"
#include "kernels.h"
#include "model/model.h"

namespace bitnet {
namespace {

// llama.cpp's graph of "bitnet" has SiLU; that of the other two, in bitnet.cpp's fork, squared ReLU.
constexpr auto kArchitectures = std::to_array<Architecture>({
    {.name = "bitnet-b1.58",
     .models = "BitNet b1.58 2B-4T",
     .activation = Activation::relu2,
     .ternary = true,
     .sub_norms = Part::required},
    {.name = "bitnet-25",
     .models = "BitNet b1.58 2B-4T, of early converters",
     .activation = Activation::relu2,
     .ternary = true,
     .sub_norms = Part::required},
    {.name = "bitnet",
     .models = "bitnet_b1_58-large, -xl and -3B",
     .activation = Activation::silu,
     .ternary = true,
     .sub_norms = Part::required},
    {.name = "llama",
     .models = "Llama, Mistral, SmolLM2, Llama3-8B-1.58, Falcon3-1.58, Falcon-E, TriLM",
     .activation = Activation::silu,
     .qkv_biases = Part::optional,
     .o_bias = Part::optional,
     .input_norms = Part::together,
     .gguf_input_norm = ".rms_norm",
     .neighbour_pairs = true},
    {.name = "minicpm",
     .models = "MiniCPM4, BitCPM4, BitCPM4-CANN",
     .activation = Activation::silu,
     .scales = true,
     .neighbour_pairs = true},
    {.name = "qwen2",
     .models = "Qwen2, Qwen2.5, Qwen2.5-32B-BitNet, VibeASR's decoder",
     .activation = Activation::silu,
     .qkv_biases = Part::required,
     .input_norms = Part::together,
     .gguf_input_norm = ".rms_norm"},
    {.name = "qwen3",
     .models = "Qwen3, Bonsai, Ternary-Bonsai, Neutrino, BitNet-embedding 0.6B",
     .activation = Activation::silu,
     .qkv_biases = Part::optional,
     .o_bias = Part::optional,
     .qk_norms = Part::required,
     .input_norms = Part::together},
    {.name = "qwen3moe",
     .models = "Qwen3 with experts (30B-A3B)",
     .activation = Activation::silu,
     .qkv_biases = Part::optional,
     .o_bias = Part::optional,
     .qk_norms = Part::required,
     .one_network = Part::none,
     .experts = Part::required,
     .expert_bias = Part::optional},
    {.name = "maple",
     .models = "Maple 20B-A1B",
     .activation = Activation::silu,
     .qk_norms = Part::required,
     .one_network = Part::none,
     .experts = Part::required,
     .expert_bias = Part::optional,
     .partial_rotary = true},
    {.name = "gemma3",
     .models = "Gemma 3, BitNet-embedding 270M",
     .activation = Activation::gelu,
     .qk_norms = Part::required,
     .input_norms = Part::together,
     .post_norms = Part::required,
     .scaled_embedding = true,
     .norms_less_one = true},
});

enum class Extent : uint8_t { one, vocabulary, hidden, ffn, q, kv, head, half_head, experts };

uint32_t size_of(Extent extent, const HyperParameters& hyper) {
  switch (extent) {
    case Extent::one:
      return 1;
    case Extent::vocabulary:
      return hyper.vocabulary;
    case Extent::hidden:
      return hyper.hidden;
    case Extent::ffn:
      return hyper.ffn;
    case Extent::q:
      return hyper.heads * hyper.head_dim;
    case Extent::kv:
      return hyper.kv_heads * hyper.head_dim;
    case Extent::head:
      return hyper.head_dim;
    case Extent::half_head:
      return hyper.turned_dim() / 2;
    case Extent::experts:
      return hyper.experts;
  }
  return 0;
}

// A tensor of every layer, or of the model. Names are without what the layer's number makes of them.
struct Entry {
  std::string_view name;
  std::array<std::string_view, 2> hf_names;
  Role role;
  Extent rows, cols;
  Part Architecture::*part;  // null: every architecture has it
  Place place;
  bool turned = false;
  std::string_view hf_with_post_norms = {};  // in place of hf_names where there are post norms; "": the same
  bool of_experts = false;                   // `rows` are those of each expert
};

constexpr std::string_view kLayerPrefix = "blk.", kHfLayerPrefix = "model.layers.";

// A norm stands before the matrices that read its output, a bias behind its matrix.
const Entry kLayerEntries[] = {
    {"attn_norm.weight",
     {"input_layernorm.weight"},
     Role::vector,
     Extent::one,
     Extent::hidden,
     nullptr,
     &Layer::attention_norm},
    {"attn_q_norm_in.weight",
     {"self_attn.q_proj.norm.weight", "self_attn.q_proj.rms_norm.weight"},
     Role::vector,
     Extent::one,
     Extent::hidden,
     &Architecture::input_norms,
     &Layer::q},
    {"attn_q.weight", {"self_attn.q_proj.weight"}, Role::linear, Extent::q, Extent::hidden, nullptr, &Layer::q, true},
    {"attn_q.bias",
     {"self_attn.q_proj.bias"},
     Role::bias,
     Extent::one,
     Extent::q,
     &Architecture::qkv_biases,
     &Layer::q,
     true},
    {"attn_k_norm_in.weight",
     {"self_attn.k_proj.norm.weight", "self_attn.k_proj.rms_norm.weight"},
     Role::vector,
     Extent::one,
     Extent::hidden,
     &Architecture::input_norms,
     &Layer::k},
    {"attn_k.weight", {"self_attn.k_proj.weight"}, Role::linear, Extent::kv, Extent::hidden, nullptr, &Layer::k, true},
    {"attn_k.bias",
     {"self_attn.k_proj.bias"},
     Role::bias,
     Extent::one,
     Extent::kv,
     &Architecture::qkv_biases,
     &Layer::k,
     true},
    {"attn_v_norm_in.weight",
     {"self_attn.v_proj.norm.weight", "self_attn.v_proj.rms_norm.weight"},
     Role::vector,
     Extent::one,
     Extent::hidden,
     &Architecture::input_norms,
     &Layer::v},
    {"attn_v.weight", {"self_attn.v_proj.weight"}, Role::linear, Extent::kv, Extent::hidden, nullptr, &Layer::v},
    {"attn_v.bias",
     {"self_attn.v_proj.bias"},
     Role::bias,
     Extent::one,
     Extent::kv,
     &Architecture::qkv_biases,
     &Layer::v},
    {"attn_q_norm.weight",
     {"self_attn.q_norm.weight"},
     Role::vector,
     Extent::one,
     Extent::head,
     &Architecture::qk_norms,
     &Layer::q_norm},
    {"attn_k_norm.weight",
     {"self_attn.k_norm.weight"},
     Role::vector,
     Extent::one,
     Extent::head,
     &Architecture::qk_norms,
     &Layer::k_norm},
    {"attn_sub_norm.weight",
     {"self_attn.attn_sub_norm.weight", "self_attn.inner_attn_ln.weight"},
     Role::vector,
     Extent::one,
     Extent::q,
     &Architecture::sub_norms,
     &Layer::attention_sub_norm},
    {"attn_output_norm_in.weight",
     {"self_attn.o_proj.norm.weight", "self_attn.o_proj.rms_norm.weight"},
     Role::vector,
     Extent::one,
     Extent::q,
     &Architecture::input_norms,
     &Layer::o},
    {"attn_output.weight", {"self_attn.o_proj.weight"}, Role::linear, Extent::hidden, Extent::q, nullptr, &Layer::o},
    {"attn_output.bias",
     {"self_attn.o_proj.bias"},
     Role::bias,
     Extent::one,
     Extent::hidden,
     &Architecture::o_bias,
     &Layer::o},
    {"post_attention_norm.weight",
     {"post_attention_layernorm.weight"},
     Role::vector,
     Extent::one,
     Extent::hidden,
     &Architecture::post_norms,
     &Layer::attention_post_norm},
    {"ffn_norm.weight",
     {"post_attention_layernorm.weight"},
     Role::vector,
     Extent::one,
     Extent::hidden,
     nullptr,
     &Layer::ffn_norm,
     false,
     "pre_feedforward_layernorm.weight"},
    {"ffn_gate_norm_in.weight",
     {"mlp.gate_proj.norm.weight", "mlp.gate_proj.rms_norm.weight"},
     Role::vector,
     Extent::one,
     Extent::hidden,
     &Architecture::input_norms,
     &Layer::gate},
    {"ffn_gate.weight",
     {"mlp.gate_proj.weight"},
     Role::linear,
     Extent::ffn,
     Extent::hidden,
     &Architecture::one_network,
     &Layer::gate},
    {"ffn_up_norm_in.weight",
     {"mlp.up_proj.norm.weight", "mlp.up_proj.rms_norm.weight"},
     Role::vector,
     Extent::one,
     Extent::hidden,
     &Architecture::input_norms,
     &Layer::up},
    {"ffn_up.weight",
     {"mlp.up_proj.weight"},
     Role::linear,
     Extent::ffn,
     Extent::hidden,
     &Architecture::one_network,
     &Layer::up},
    {"ffn_sub_norm.weight",
     {"mlp.ffn_sub_norm.weight", "mlp.ffn_layernorm.weight"},
     Role::vector,
     Extent::one,
     Extent::ffn,
     &Architecture::sub_norms,
     &Layer::ffn_sub_norm},
    {"ffn_down_norm_in.weight",
     {"mlp.down_proj.norm.weight", "mlp.down_proj.rms_norm.weight"},
     Role::vector,
     Extent::one,
     Extent::ffn,
     &Architecture::input_norms,
     &Layer::down},
    {"ffn_down.weight",
     {"mlp.down_proj.weight"},
     Role::linear,
     Extent::hidden,
     Extent::ffn,
     &Architecture::one_network,
     &Layer::down},
    {"ffn_gate_inp.weight",
     {"mlp.gate.weight"},
     Role::router,
     Extent::experts,
     Extent::hidden,
     &Architecture::experts,
     &Layer::router},
    {"exp_probs_b.bias",
     {"mlp.gate.e_score_correction_bias"},
     Role::vector,
     Extent::one,
     Extent::experts,
     &Architecture::expert_bias,
     &Layer::expert_bias},
    {"ffn_gate_exps.weight",
     {"mlp.experts.*.gate_proj.weight"},
     Role::linear,
     Extent::ffn,
     Extent::hidden,
     &Architecture::experts,
     &Layer::gate,
     false,
     "",
     true},
    {"ffn_up_exps.weight",
     {"mlp.experts.*.up_proj.weight"},
     Role::linear,
     Extent::ffn,
     Extent::hidden,
     &Architecture::experts,
     &Layer::up,
     false,
     "",
     true},
    {"ffn_down_exps.weight",
     {"mlp.experts.*.down_proj.weight"},
     Role::linear,
     Extent::hidden,
     Extent::ffn,
     &Architecture::experts,
     &Layer::down,
     false,
     "",
     true},
    {"post_ffw_norm.weight",
     {"post_feedforward_layernorm.weight"},
     Role::vector,
     Extent::one,
     Extent::hidden,
     &Architecture::post_norms,
     &Layer::ffn_post_norm},
};
const Entry kFirstEntries[] = {
    {kEmbeddingName,
     {"model.embed_tokens.weight", "model.word_embeddings.weight"},
     Role::embedding,
     Extent::vocabulary,
     Extent::hidden,
     nullptr,
     &Model::embedding},
};
const Entry kLastEntries[] = {
    {"output_norm.weight",
     {"model.norm.weight"},
     Role::vector,
     Extent::one,
     Extent::hidden,
     nullptr,
     &Model::output_norm},
};
// Which of these there are is a matter of the file, not of the architecture.
const Entry kRopeFactors = {kRopeFactorsName,  {},      Role::vector,        Extent::one,
                            Extent::half_head, nullptr, &Model::rope_factors};
const Entry kHead = {kHeadName, {"lm_head.weight"}, Role::head, Extent::vocabulary, Extent::hidden,
                     nullptr,   &Model::head};
const Entry kScreen = {kScreenName, {}, Role::screen, Extent::vocabulary, Extent::hidden, nullptr, &Model::screen};

void check_range(const char* what, uint64_t value, Bounds bounds) {
  require(value >= bounds.low && value <= bounds.high, BITNET_ERROR_FORMAT, "hyperparameter ", what, " is ", value,
          "; it must be between ", bounds.low, " and ", bounds.high);
}

struct Interval {
  double low, high;
};
void check_number(const char* what, double value, Interval bounds) {
  require(value >= bounds.low && value <= bounds.high, BITNET_ERROR_FORMAT, "hyperparameter ", what, " is ", value,
          "; it must be between ", bounds.low, " and ", bounds.high);
}

// Matrices of experts lie in one, so that its rows must have as many as fit 16 to a tile, and not more than a matrix.
void check_experts(const HyperParameters& hyper) {
  const bool wanted = hyper.architecture->experts == Part::required;
  require(wanted == (hyper.experts != 0), BITNET_ERROR_FORMAT, "hyperparameter experts is ", hyper.experts,
          wanted ? "; a model of the architecture " : "; no model of the architecture ", hyper.architecture->name,
          " has", wanted ? " some" : " any");
  check_number("ffn_limit", hyper.ffn_limit, {0, kMostScale});
  if (!wanted) return;
  check_range("experts", hyper.experts, kExpertBounds);
  check_range("experts_used", hyper.experts_used, {1, hyper.experts});
  check_number("expert_scale", hyper.expert_scale, {kLeastScale, kMostScale});
  constexpr uint32_t kTile = 16, kMostRows = 1 << 24;
  for (const uint32_t rows : {hyper.ffn, hyper.hidden}) {
    require(rows % kTile == 0, BITNET_ERROR_UNSUPPORTED, "an expert's matrix has ", rows,
            " rows; supported are multiples of ", kTile);
    check_range("rows of all experts", uint64_t{rows} * hyper.experts, {1, kMostRows});
  }
}

void check_rotary(const HyperParameters& hyper) {
  const bool partial = hyper.rotary_dim != 0 || hyper.only_windows_turn;
  require(!partial || hyper.architecture->partial_rotary, BITNET_ERROR_FORMAT,
          "the rotary embedding turns a part of the ", "heads only, which no model of the architecture ",
          hyper.architecture->name, " does");
  if (hyper.rotary_dim != 0) check_range("rotary_dim", hyper.rotary_dim, {2, hyper.head_dim});
  require(hyper.rotary_dim % 2 == 0, BITNET_ERROR_FORMAT, "hyperparameter rotary_dim (", hyper.rotary_dim,
          ") is odd; rotary embedding needs pairs");
}

class Specs {
 public:
  Specs(const HyperParameters& hyper, const HasTensor& has) : hyper_(hyper), has_(has) {}

  void add(const Entry& entry, const std::string& prefix = "", const std::string& hf_prefix = "", uint32_t layer = 0) {
    const std::string name = prefix + std::string(entry.name);
    if (entry.part != nullptr && !is_there(hyper_.architecture->*entry.part, name)) return;
    std::vector<std::string> hf_names;
    const bool other = !entry.hf_with_post_norms.empty() && hyper_.architecture->post_norms != Part::none;
    if (other) hf_names.push_back(hf_prefix + std::string(entry.hf_with_post_norms));
    for (const std::string_view hf_name : entry.hf_names) {
      if (!other && !hf_name.empty()) hf_names.push_back(hf_prefix + std::string(hf_name));
    }
    const uint32_t experts = entry.of_experts ? hyper_.experts : 0;
    specs_.push_back({name, std::move(hf_names), entry.role, size_of(entry.rows, hyper_) * std::max(experts, 1u),
                      size_of(entry.cols, hyper_), layer, entry.place, entry.turned, experts});
  }
  void add_if_there(const Entry& entry) {
    if (has_(entry.name)) add(entry);
  }

  std::vector<TensorSpec> take() { return std::move(specs_); }

 private:
  bool is_there(Part part, const std::string& name) const {
    switch (part) {
      case Part::none:
        return false;
      case Part::optional:
        return has_(name);
      case Part::together:
        return has_(kInputNormName);
      case Part::required:
        return true;
    }
    return false;
  }

  const HyperParameters& hyper_;
  const HasTensor& has_;
  std::vector<TensorSpec> specs_;
};

}  // namespace

std::span<const Architecture> architectures() { return kArchitectures; }

const Architecture* find_architecture(std::string_view name) {
  const auto* const found = std::ranges::find(kArchitectures, name, &Architecture::name);
  return found == kArchitectures.end() ? nullptr : found;
}

void refuse_uncomputed(std::string_view name) {
  constexpr std::string_view kDeltaNets[] = {
      "qwen35",  // GGUF
      "qwen35moe",
      "qwen3next",
      "Qwen3_5ForCausalLM",  // architectures of Hugging Face
      "Qwen3_5ForConditionalGeneration",
      "Qwen3_5MoeForCausalLM",
      "Qwen3_5MoeForConditionalGeneration",
      "Qwen3NextForCausalLM",
      "qwen3_5",  // model_type
      "qwen3_5_text",
      "qwen3_5_moe",
      "qwen3_5_moe_text",
      "qwen3_next",
  };
  require(std::ranges::find(kDeltaNets, name) == std::end(kDeltaNets), BITNET_ERROR_UNSUPPORTED, "the architecture is ",
          name,
          ", as of Qwen3.5, Qwen3.6 and Bonsai 27B: most of its layers are gated delta nets in place of attention, ",
          "which this library does not compute");
}

const Architecture& require_architecture(std::string_view name) {
  if (const Architecture* const found = find_architecture(name)) return *found;
  refuse_uncomputed(name);
  const std::string_view shown = name.substr(0, 100);
  std::string known;
  std::vector<std::string_view> names;
  for (const Architecture& architecture : kArchitectures) {
    names.push_back(architecture.name);
    known.append(known.empty() ? "" : ", ").append(architecture.name);
  }
  const std::string_view nearest = nearest_name(shown, names);
  fail(BITNET_ERROR_UNSUPPORTED, "the architecture is ", shown, "; supported are ", known,
       nearest.empty() ? "" : "; the nearest is ", nearest);
}

std::string expert_name(std::string_view name, uint32_t expert) {
  const size_t at = name.find(kExpertNumber);
  return std::string(name.substr(0, at)) + std::to_string(expert) + std::string(name.substr(at + kExpertNumber.size()));
}

std::string gguf_input_norm(const Architecture& architecture, std::string_view name) {
  constexpr std::string_view kWeight = ".weight";
  return std::string(name.substr(0, name.size() - kInputNormEnd.size()))
      .append(architecture.gguf_input_norm)
      .append(kWeight);
}

void check_hyperparameters(const HyperParameters& hyper) {
  check_range("layers", hyper.layers, kLayerBounds);
  check_range("hidden", hyper.hidden, kHiddenBounds);
  check_range("ffn", hyper.ffn, kFfnBounds);
  check_range("heads", hyper.heads, kHeadBounds);
  check_range("kv_heads", hyper.kv_heads, {1, hyper.heads});
  check_range("head_dim", hyper.head_dim, {2, kMostHeadDim});
  check_range("heads x head_dim", uint64_t{hyper.heads} * hyper.head_dim, {16, 1 << 17});
  check_range("vocabulary", hyper.vocabulary, kVocabularyBounds);
  check_range("context", hyper.context, kContextBounds);
  require(hyper.heads % hyper.kv_heads == 0, BITNET_ERROR_FORMAT, "hyperparameter heads (", hyper.heads,
          ") is not a multiple of kv_heads (", hyper.kv_heads, ")");
  require(hyper.head_dim % 2 == 0, BITNET_ERROR_FORMAT, "hyperparameter head_dim (", hyper.head_dim,
          ") is odd; rotary embedding needs pairs");
  require(std::isfinite(hyper.rms_epsilon) && hyper.rms_epsilon >= 0 && hyper.rms_epsilon <= kMostEpsilon,
          BITNET_ERROR_FORMAT, "hyperparameter rms_epsilon is ", hyper.rms_epsilon, "; it must be between 0 and 1");
  require(std::isfinite(hyper.rope_theta) && hyper.rope_theta >= kLeastTheta, BITNET_ERROR_FORMAT,
          "hyperparameter rope_theta is ", hyper.rope_theta, "; it must be finite and at least 1");
  require(hyper.rope_magnitude > 0 && hyper.rope_magnitude <= kMostMagnitude, BITNET_ERROR_FORMAT,
          "hyperparameter rope_magnitude is ", hyper.rope_magnitude, "; it must be positive and at most ",
          kMostMagnitude);
  require(hyper.attention_scale >= 0 && hyper.attention_scale <= kMostAttentionScale, BITNET_ERROR_FORMAT,
          "hyperparameter attention_scale is ", hyper.attention_scale, "; it must be between 0 and ",
          kMostAttentionScale);
  check_number("input_epsilon", hyper.input_epsilon, {0, kMostEpsilon});
  const Interval scales = {kLeastScale, kMostScale};
  check_number("embedding_scale", hyper.embedding_scale, scales);
  check_number("residual_scale", hyper.residual_scale, scales);
  check_number("logit_scale", hyper.logit_scale, scales);
  const bool scaled = hyper.embedding_scale != 1 || hyper.residual_scale != 1 || hyper.logit_scale != 1;
  require(!scaled || hyper.architecture->scales, BITNET_ERROR_FORMAT, "the model scales its embedding, its residual ",
          "stream or its logits, which no model of the architecture ", hyper.architecture->name, " does");
  check_experts(hyper);
  check_rotary(hyper);
  if (hyper.window == 0) return;
  check_range("window", hyper.window, kWindowBounds);
  check_range("window_period", hyper.window_period, kWindowPeriodBounds);
  require(std::isfinite(hyper.window_theta) && hyper.window_theta >= kLeastTheta, BITNET_ERROR_FORMAT,
          "hyperparameter window_theta is ", hyper.window_theta, "; it must be finite and at least 1");
}

std::vector<TensorSpec> tensor_specs(const HyperParameters& hyper, const HasTensor& has) {
  Specs specs(hyper, has);
  for (const Entry& entry : kFirstEntries) specs.add(entry);
  specs.add_if_there(kRopeFactors);
  for (uint32_t i = 0; i < hyper.layers; ++i) {
    const std::string number = std::to_string(i) + ".";
    for (const Entry& entry : kLayerEntries) {
      specs.add(entry, std::string(kLayerPrefix) + number, std::string(kHfLayerPrefix) + number, i);
    }
  }
  for (const Entry& entry : kLastEntries) specs.add(entry);
  specs.add_if_there(kHead);
  specs.add_if_there(kScreen);
  return specs.take();
}

}  // namespace bitnet
