// SPDX-License-Identifier: MIT
#include "format/hf_config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "base/error.h"
#include "base/nearest.h"
#include "format/rope_scaling.h"
#include "kernels.h"
#include "model/architecture.h"

namespace bitnet {
namespace {

// A class of models, with what its configuration class has for what the file leaves out.
struct HfClass {
  std::string_view name;        // in "architectures"
  std::string_view model_type;  // where there are no "architectures"; "": none
  std::string_view architecture;
  fb::Activation activation = fb::Activation::silu;
  double epsilon = 1e-6, theta = 10000;
  uint32_t head_dim = 0;                 // 0: the share of the hidden size that falls to a head
  uint32_t window = 0;                   // 0: no sliding window
  HfWeights weights = HfWeights::plain;  // without a quantization_config
  bool headless = false;                 // the network alone, without a head
  bool normalised = true;                // the weights of the experts that compute a token come to 1
  bool tied = false;                     // where the file says nothing
};
// 1bitLLM's own class says that its model_type is llama: the name of the class decides.
constexpr auto kClasses = std::to_array<HfClass>({
    {.name = "LlamaForCausalLM", .model_type = "llama", .architecture = "llama"},
    {.name = "MistralForCausalLM", .model_type = "mistral", .architecture = "llama", .window = 4096},
    {.name = "MiniCPMForCausalLM", .model_type = "minicpm", .architecture = "minicpm", .tied = true},
    {.name = "Qwen2ForCausalLM", .model_type = "qwen2", .architecture = "qwen2"},
    {.name = "Qwen3ForCausalLM", .model_type = "qwen3", .architecture = "qwen3", .head_dim = 128},
    {.name = "Qwen3MoeForCausalLM", .model_type = "qwen3_moe", .architecture = "qwen3moe", .normalised = false},
    {.name = "MapleForCausalLM", .model_type = "maple", .architecture = "maple", .window = 512},
    {.name = "Qwen3Model", .model_type = "", .architecture = "qwen3", .head_dim = 128, .headless = true},
    {.name = "Gemma3ForCausalLM",
     .model_type = "gemma3_text",
     .architecture = "gemma3",
     .activation = fb::Activation::gelu,
     .theta = 1000000,
     .head_dim = 256,
     .window = 4096,
     .tied = true},
    {.name = "Gemma3TextModel",
     .model_type = "",
     .architecture = "gemma3",
     .activation = fb::Activation::gelu,
     .theta = 1000000,
     .head_dim = 256,
     .window = 4096,
     .headless = true},
    {.name = "BitNetForCausalLM",
     .model_type = "bitnet",
     .architecture = "bitnet-b1.58",
     .activation = fb::Activation::relu2,
     .epsilon = 1e-5,
     .theta = 500000,
     .weights = HfWeights::master},
    {.name = "BitnetForCausalLM", .model_type = "", .architecture = "bitnet", .weights = HfWeights::rounded},
});

// Members of an object, if they are there.
std::optional<std::string> text(const JsonValue& object, const char* key) {
  const auto value = object.find(key);
  return value ? std::optional(std::string(value->text())) : std::nullopt;
}
std::optional<bool> truth(const JsonValue& object, const char* key) {
  const auto value = object.find(key);
  return value ? std::optional(value->truth()) : std::nullopt;
}
std::optional<double> real(const JsonValue& object, const char* key) {
  const auto value = object.find(key);
  return value ? std::optional(value->real()) : std::nullopt;
}
uint32_t count_of(const JsonValue& value, Bounds bounds) {
  return static_cast<uint32_t>(value.whole(static_cast<int64_t>(bounds.low), static_cast<int64_t>(bounds.high)));
}
std::optional<uint32_t> count(const JsonValue& object, const char* key, Bounds bounds) {
  const auto value = object.find(key);
  return value ? std::optional(count_of(*value, bounds)) : std::nullopt;
}
uint32_t needed_count(const JsonValue& object, const char* key, Bounds bounds) {
  return count_of(object.at(key), bounds);
}
constexpr Bounds kAnyCount = {0, UINT32_MAX};

template <typename... Parts>
[[noreturn]] void fail_unsupported(const JsonValue& object, const char* key, const Parts&... parts) {
  const JsonValue value = object.at(key);
  fail(BITNET_ERROR_UNSUPPORTED, value.place(), " is ", value.shown(), parts...);
}

bool is_maple(const HfClass& type) { return type.architecture == "maple"; }
bool is_gemma(const HfClass& type) { return type.architecture.starts_with("gemma"); }

const HfClass& find_class(const JsonValue& config) {
  const auto classes = config.find("architectures");
  const bool given = classes && classes->is_array() && classes->size() != 0;
  const auto type = config.find("model_type");
  require(given || type, BITNET_ERROR_FORMAT, "names neither architectures nor a model_type; is it a model's?");
  const JsonValue named = given ? (*classes)[0] : *type;
  const std::string_view name = named.text();
  const auto member = given ? &HfClass::name : &HfClass::model_type;
  const auto* const found = std::ranges::find(kClasses, name, member);
  if (found != kClasses.end()) return *found;
  refuse_uncomputed(name);

  std::vector<std::string_view> names;
  std::string known;
  for (const HfClass& one : kClasses) {
    if ((one.*member).empty()) continue;
    names.push_back(one.*member);
    known.append(known.empty() ? "" : ", ").append(names.back());
  }
  const std::string_view nearest = nearest_name(name, names);
  fail(BITNET_ERROR_UNSUPPORTED, "the architecture is ", named.shown(), "; supported are ", known,
       nearest.empty() ? "" : "; the nearest is ", nearest);
}

fb::Activation read_activation(const JsonValue& config, const HfClass& type) {
  const char* const key = is_gemma(type) ? "hidden_activation" : "hidden_act";
  const auto name = text(config, key);
  if (!name) return type.activation;
  if (*name == "silu" || *name == "swish") return fb::Activation::silu;
  if (*name == "relu2" || *name == "relu_squared") return fb::Activation::relu2;
  if (*name == "gelu_pytorch_tanh") return fb::Activation::gelu;
  fail_unsupported(config, key, "; supported are silu, relu2 and gelu_pytorch_tanh");
}

uint32_t read_head_dim(const JsonValue& config, const HfClass& type, const fb::HyperParametersT& hyper) {
  if (const auto given = count(config, "head_dim", {2, kMostHeadDim})) return *given;
  if (type.head_dim != 0) return type.head_dim;
  require(hyper.hidden % hyper.heads == 0, BITNET_ERROR_FORMAT, "hidden_size (", hyper.hidden,
          ") is not a multiple of num_attention_heads (", hyper.heads, "), and there is no head_dim");
  return hyper.hidden / hyper.heads;
}

float read_bounded(const JsonValue& object, const char* key, double otherwise, double low, double high) {
  const double value = real(object, key).value_or(otherwise);
  if (!(value >= low && value <= high)) {
    fail(BITNET_ERROR_FORMAT, object.place(), object.place().empty() ? "" : ".", key, " is ", value,
         "; it must be between ", low, " and ", high);
  }
  return static_cast<float>(value);
}

// What Maple's attention has besides.
void read_maple(const JsonValue& config, const HfClass& type, fb::HyperParametersT& hyper) {
  if (!is_maple(type)) return;
  constexpr double kHalf = 0.5;
  constexpr float kLimit = 7;
  const double share = read_bounded(config, "partial_rotary_factor", kHalf, 0, 1);
  const double turned = hyper.head_dim * share;
  require(turned >= 2 && turned == std::floor(turned), BITNET_ERROR_FORMAT, "partial_rotary_factor is ", share,
          ", by which ", turned, " numbers of a head are turned");
  hyper.rotary_dim = turned == hyper.head_dim ? 0 : static_cast<uint32_t>(turned);
  if (!truth(config, "nope_on_global_attention").value_or(true)) {
    fail_unsupported(config, "nope_on_global_attention",
                     ": a rotary embedding in the layers without a window is not supported");
  }
  require(hyper.window != 0, BITNET_ERROR_UNSUPPORTED, "no layer has a window (sliding_window, layer_types)");
  hyper.only_windows_turn = true;
  hyper.ffn_limit = kLimit;  // a number of its code
}

// A feed-forward network of experts in each layer.
void read_experts(const JsonValue& config, const HfClass& type, fb::HyperParametersT& hyper) {
  if (require_architecture(type.architecture).experts == Part::none) return;
  hyper.experts = needed_count(config, "num_experts", kExpertBounds);
  hyper.experts_used = needed_count(config, "num_experts_per_tok", {1, hyper.experts});
  hyper.ffn = needed_count(config, "moe_intermediate_size", kFfnBounds);
  hyper.normalised = truth(config, "norm_topk_prob").value_or(type.normalised);
  for (const char* const key : {"num_shared_experts", "first_k_dense_replace", "n_shared_experts"}) {
    if (count(config, key, kAnyCount).value_or(0) != 0) {
      fail_unsupported(config, key,
                       ": supported are models all of whose layers have experts that tokens are shared among");
    }
  }
  if (count(config, "decoder_sparse_step", kAnyCount).value_or(1) != 1) {
    fail_unsupported(config, "decoder_sparse_step", ": layers without experts are not supported");
  }
  const auto dense = config.find("mlp_only_layers");
  if (dense && dense->size() != 0)
    fail_unsupported(config, "mlp_only_layers", ": layers without experts are not supported");
}

// MiniCPM's code: depth scales what each layer adds, width the logits.
void read_scales(const JsonValue& config, const HfClass& type, fb::HyperParametersT& hyper) {
  if (!require_architecture(type.architecture).scales) return;
  const auto scale = [&](const char* key, double otherwise) {
    return read_bounded(config, key, otherwise, kLeastScale, kMostScale);
  };
  hyper.embedding_scale = scale("scale_emb", 1);
  hyper.residual_scale = static_cast<float>(scale("scale_depth", 1) / std::sqrt(static_cast<double>(hyper.layers)));
  hyper.logit_scale =
      static_cast<float>(hyper.hidden / read_bounded(config, "dim_model_base", 1, 1, kHiddenBounds.high));
}

// --- what would change the graph -----------------------------------------------------------------------------------

// Attention that sees only the last tokens. A window as long as the context changes nothing.
void refuse_window(const JsonValue& config, const HfClass& type, const fb::HyperParametersT& hyper) {
  constexpr const char* kKey = "sliding_window";
  if (is_gemma(type) || is_maple(type)) return;  // read_windows() does it
  // Llama's class has no windows, and Qwen's only where they are switched on.
  const bool qwen = type.architecture.starts_with("qwen");
  if (type.window == 0 && !(qwen && truth(config, "use_sliding_window").value_or(false))) return;
  // A null says that there is none; a missing one is the class's.
  const bool null = config.object().contains(kKey);
  const auto window = count(config, kKey, {1, UINT32_MAX});
  const uint32_t length = window ? *window : null ? 0 : type.window;
  const uint32_t from = qwen ? count(config, "max_window_layers", kAnyCount).value_or(28) : 0;
  if (length == 0 || length >= hyper.context || from >= hyper.layers) return;
  fail(BITNET_ERROR_UNSUPPORTED, kKey, " is ", length, ", less than max_position_embeddings (", hyper.context,
       "): attention over a sliding window is not supported");
}

// Gemma 3 has layers with windows, but for each sixth; Maple, but for each fourth. Other orders of the two kinds are
// refused. Maple's code hands sliding_window to Flash Attention as how many tokens are seen besides the own one.
void read_windows(const JsonValue& config, const HfClass& type, fb::HyperParametersT& hyper) {
  constexpr const char* kKey = "sliding_window";
  if (!is_gemma(type) && !is_maple(type)) return;
  const bool none = config.object().contains(kKey) && !config.find(kKey);  // null
  const uint32_t window = count(config, kKey, {0, kWindowBounds.high}).value_or(type.window);
  uint32_t period = is_maple(type) ? 4 : 6;
  for (const char* const key : {"_sliding_window_pattern", "sliding_window_pattern"}) {
    period = count(config, key, {1, kWindowPeriodBounds.high}).value_or(period);
  }
  if (const auto layers = config.find("layer_types")) {
    if (layers->size() != hyper.layers) layers->refuse("as many elements as there are layers");
    uint32_t first = 0;  // that sees everything
    while (first < hyper.layers && (*layers)[first].text() == "sliding_attention") ++first;
    period = first + 1;
    for (uint32_t i = 0; i < hyper.layers; ++i) {
      const bool full = (i + 1) % period == 0;
      if ((*layers)[i].text() == (full ? "full_attention" : "sliding_attention")) continue;
      fail(BITNET_ERROR_UNSUPPORTED, (*layers)[i].place(), " is ", (*layers)[i].shown(),
           ": supported are layers with windows of which the last of each ", period,
           " has none, as the first ones are");
    }
  }
  if (none || window == 0 || period == 1) return;
  hyper.window = window + (is_maple(type) ? 1 : 0);
  hyper.window_period = period;
}

// What Gemma's attention has besides.
void read_gemma(const JsonValue& config, const HfClass& type, fb::HyperParametersT& hyper) {
  if (!is_gemma(type)) return;
  constexpr double kDefaultScalar = 256;
  const double scalar = real(config, "query_pre_attn_scalar").value_or(kDefaultScalar);
  constexpr double kLeastScalar = 1 / (kMostAttentionScale * kMostAttentionScale);
  require(scalar >= kLeastScalar && std::isfinite(scalar), BITNET_ERROR_FORMAT, "query_pre_attn_scalar is ", scalar,
          "; it must be at least ", kLeastScalar);
  if (scalar != hyper.head_dim) hyper.attention_scale = static_cast<float>(1 / std::sqrt(scalar));
  for (const char* const cap : {"attn_logit_softcapping", "final_logit_softcapping"}) {
    if (real(config, cap).value_or(0) != 0) fail_unsupported(config, cap, ": capped logits are not supported");
  }
  if (truth(config, "use_bidirectional_attention").value_or(false)) {
    fail_unsupported(config, "use_bidirectional_attention", ": tokens that see those after them are not supported");
  }
}

void refuse_additions(const JsonValue& config, const HfClass& type) {
  if (truth(config, "mlp_bias").value_or(false)) {
    fail_unsupported(config, "mlp_bias", ": biases in the feed-forward network are not supported");
  }
  if (!require_architecture(type.architecture).partial_rotary &&
      real(config, "partial_rotary_factor").value_or(1) != 1) {
    fail_unsupported(config, "partial_rotary_factor", ": turning a part of each head only is not supported");
  }
  // 1bitLLM's code can do others; those published have these.
  if (count(config, "weight_bits", kAnyCount).value_or(1) != 1) {
    fail_unsupported(config, "weight_bits", "; supported is 1, as in BitNet b1.58");
  }
  if (count(config, "input_bits", kAnyCount).value_or(8) != 8) {
    fail_unsupported(config, "input_bits", "; supported is 8");
  }
}

// --- rotary embedding ----------------------------------------------------------------------------------------------

// The context that the model was trained with before it was stretched.
double original_context(const JsonValue& config, const JsonValue& rope, const fb::HyperParametersT& hyper) {
  constexpr const char* kKey = "original_max_position_embeddings";
  if (const auto outside = count(config, kKey, kContextBounds)) return *outside;
  return count(rope, kKey, kContextBounds).value_or(hyper.context);
}

double positive(const JsonValue& rope, const char* key, std::optional<double> otherwise) {
  if (otherwise && !rope.find(key)) return *otherwise;
  const JsonValue value = rope.at(key);
  if (!(value.real() > 0)) value.refuse("a positive number");
  return value.real();
}

// Where a number is 0, as where there is none, transformers takes its own.
double or_default(const JsonValue& rope, const char* key, double otherwise) {
  const double value = real(rope, key).value_or(0);
  return value == 0 ? otherwise : value;
}

RopeScaling read_yarn(const RopeBase& base, const JsonValue& config, const JsonValue& rope,
                      const fb::HyperParametersT& hyper) {
  YarnScaling scaling;
  scaling.original_context = original_context(config, rope, hyper);
  scaling.factor = positive(rope, "factor", hyper.context / scaling.original_context);
  scaling.beta_fast = or_default(rope, "beta_fast", scaling.beta_fast);
  scaling.beta_slow = or_default(rope, "beta_slow", scaling.beta_slow);
  scaling.truncate = truth(rope, "truncate").value_or(true);
  const double scale = real(rope, "mscale").value_or(0), all = real(rope, "mscale_all_dim").value_or(0);
  const double usual = scale != 0 && all != 0
                           ? yarn_magnitude(scaling.factor, scale) / yarn_magnitude(scaling.factor, all)
                           : yarn_magnitude(scaling.factor);
  scaling.magnitude = positive(rope, "attention_factor", usual);
  return scale_rope_by_yarn(base, scaling);
}

RopeScaling read_llama3(const RopeBase& base, const JsonValue& config, const JsonValue& rope,
                        const fb::HyperParametersT& hyper) {
  const auto number = [&](const char* key) { return static_cast<float>(positive(rope, key, std::nullopt)); };
  return scale_rope_as_llama3(base, {number("factor"), number("low_freq_factor"), number("high_freq_factor"),
                                     original_context(config, rope, hyper)});
}

std::vector<float> read_factors(const JsonValue& rope, const char* key) {
  const JsonValue list = rope.at(key);
  if (list.size() > kMostHeadDim) list.refuse("a factor for each pair of a head");
  std::vector<float> factors;
  for (size_t i = 0; i < list.size(); ++i) factors.push_back(static_cast<float>(list[i].real()));
  return factors;
}

RopeScaling read_long(const RopeBase& base, const JsonValue& config, const JsonValue& rope,
                      fb::HyperParametersT& hyper) {
  LongScaling scaling = {read_factors(rope, "short_factor"), read_factors(rope, "long_factor"),
                         original_context(config, rope, hyper), static_cast<double>(hyper.context)};
  hyper.context = static_cast<uint32_t>(reach_of(scaling));
  RopeScaling result = scale_rope_by_long(base, std::move(scaling));
  result.magnitude = static_cast<float>(positive(rope, "attention_factor", result.magnitude));
  return result;
}

RopeScaling read_scaling(const RopeBase& base, const JsonValue& config, const JsonValue& rope,
                         fb::HyperParametersT& hyper) {
  for (const char* const kind : {"full_attention", "sliding_attention"}) {
    if (rope.find(kind)) {
      fail(BITNET_ERROR_UNSUPPORTED, rope.place(), " says other things for ", kind,
           " than for the rest, which is not supported");
    }
  }
  const bool maple = hyper.only_windows_turn;  // whose file says it outside, too
  if (!maple && real(rope, "partial_rotary_factor").value_or(1) != 1) {
    fail_unsupported(rope, "partial_rotary_factor", ": turning a part of each head only is not supported");
  }
  const char* const key = rope.find("rope_type") ? "rope_type" : "type";
  const std::string type = text(rope, key).value_or("default");
  if (type == "default") return {};
  if (type == "linear") {
    return scale_rope_linearly(base, static_cast<float>(positive(rope, "factor", std::nullopt)));
  }
  if (type == "llama3") return read_llama3(base, config, rope, hyper);
  if (type == "yarn") return read_yarn(base, config, rope, hyper);
  if (type == "longrope") return read_long(base, config, rope, hyper);
  fail_unsupported(rope, key, "; supported are default, linear, llama3, yarn and longrope");
}

// The base of the layers with windows, whose rotary embedding nothing stretches.
void read_window_rope(const JsonValue& config, const std::optional<JsonValue>& rope, fb::HyperParametersT& hyper) {
  constexpr double kDefault = 10000;
  if (hyper.window == 0 || hyper.only_windows_turn) return;
  const bool inside = rope && rope->find("rope_theta");
  const char* const key = inside ? "rope_theta" : "rope_local_base_freq";
  hyper.window_theta = read_bounded(inside ? *rope : config, key, kDefault, kLeastTheta, 1e30);
  const std::string kind = rope ? text(*rope, "rope_type").value_or("default") : "default";
  if (kind != "default") {
    fail_unsupported(*rope, "rope_type", ": layers with windows are supported without one that stretches");
  }
}

void read_rope(const JsonValue& config, const HfClass& type, HfConfig& out) {
  // transformers 5 has all in rope_parameters, for each kind of layer where there are several; older ones had the base
  // beside rope_scaling.
  auto rope = config.find("rope_scaling");
  if (!rope || rope->object().empty()) rope = config.find("rope_parameters");
  std::optional<JsonValue> windows;
  if (rope && is_gemma(type) && rope->find("full_attention")) {
    windows = rope->find("sliding_attention");
    rope = rope->find("full_attention");
  }
  read_window_rope(config, windows, out.hyper);
  constexpr const char* kTheta = "rope_theta";
  const double outside = real(config, kTheta).value_or(type.theta);
  const bool inside = rope && rope->find(kTheta);
  out.hyper.rope_theta = read_bounded(inside ? *rope : config, kTheta, outside, kLeastTheta, 1e30);
  if (out.hyper.only_windows_turn) out.hyper.window_theta = out.hyper.rope_theta;
  if (!rope) return;
  const RopeBase base = {out.hyper.head_dim, out.hyper.rope_theta};
  const uint32_t context = out.hyper.context;
  RopeScaling scaling = with_path(rope->place(), [&] { return read_scaling(base, config, *rope, out.hyper); });
  if (out.hyper.context != context) out.stretched = context;
  require(scaling.factors.empty() || !out.hyper.only_windows_turn, BITNET_ERROR_UNSUPPORTED, rope->place(),
          ": layers with windows are supported without a rotary embedding that is stretched");
  out.rope_factors = std::move(scaling.factors);
  out.hyper.rope_magnitude = scaling.magnitude;
}

// --- quantization --------------------------------------------------------------------------------------------------

// transformers leaves a layer dense if a part of its name is listed. Models whose layers differ are not supported.
void refuse_exceptions(const JsonValue& quantization) {
  const auto list = quantization.find("modules_to_not_convert");
  for (size_t i = 0; list && i < list->size(); ++i) {
    const JsonValue name = (*list)[i];
    const std::string_view text = name.text();
    require(text.find("_proj") == text.npos && text.find("layers") == text.npos && text != "mlp" && text != "self_attn",
            BITNET_ERROR_UNSUPPORTED, name.place(), " is ", name.shown(),
            ": a model with ternary and other layers is not supported");
  }
}

// BitLinear and AutoBitLinear may norm what they read.
void read_input_norms(const JsonValue& quantization, HfConfig& out) {
  constexpr double kDefault = 1e-6;
  out.input_norms = truth(quantization, "use_rms_norm").value_or(false);
  if (!*out.input_norms) return;
  require(require_architecture(out.architecture).input_norms != Part::none, BITNET_ERROR_UNSUPPORTED,
          quantization.at("use_rms_norm").place(), " is true: a norm before each linear layer is not supported in the ",
          "architecture ", out.architecture);
  const float epsilon = read_bounded(quantization, "rms_norm_eps", kDefault, 0, kMostEpsilon);
  if (epsilon == out.hyper.rms_epsilon) return;
  require(epsilon != 0, BITNET_ERROR_UNSUPPORTED, "quantization_config.rms_norm_eps is 0, which is not supported");
  out.hyper.input_epsilon = epsilon;
}

HfWeights read_bitnet_quantization(const JsonValue& quantization) {
  refuse_exceptions(quantization);
  const std::string layer = text(quantization, "linear_class").value_or("bitlinear");
  const std::string mode = text(quantization, "quantization_mode").value_or("offline");
  if (layer == "bitlinear") return HfWeights::divided;
  if (layer != "autobitlinear") {
    fail_unsupported(quantization, "linear_class", "; supported are bitlinear and autobitlinear");
  }
  if (mode == "offline") return HfWeights::multiplied;
  if (mode == "online") return HfWeights::rounded;
  fail_unsupported(quantization, "quantization_mode", "; supported are offline and online");
}

HfWeights read_quantization(const JsonValue& config, const HfClass& type, HfConfig& out) {
  auto quantization = config.find("quantization_config");
  if (!quantization) quantization = config.find("compression_config");
  if (!quantization || quantization->object().empty()) return type.weights;
  const bool bits = quantization->object().contains("load_in_4bit");  // before there was quant_method
  const std::string method = text(*quantization, "quant_method").value_or(bits ? "bitsandbytes" : "an unnamed method");
  require(
      method == "bitnet", BITNET_ERROR_UNSUPPORTED, "the weights are quantized by ", method.substr(0, 100),
      "; supported are bitnet, and weights that are not quantized: take the checkpoint that this one was made from");
  read_input_norms(*quantization, out);
  return read_bitnet_quantization(*quantization);
}

}  // namespace

HfClassName hf_class(std::string_view architecture, bool headless) {
  const auto of_network = [&](const HfClass& type) { return type.architecture == architecture; };
  const auto* const first = std::ranges::find_if(kClasses, of_network);
  const auto* const own = std::ranges::find_if(
      kClasses, [&](const HfClass& type) { return of_network(type) && type.headless == headless; });
  require(own != kClasses.end(), BITNET_ERROR_UNSUPPORTED, "Hugging Face has no class for a model of the architecture ",
          architecture, headless ? " without a head" : "");
  return {own->name, first->model_type};
}

HfConfig read_hf_config(const Json& json) {
  const JsonValue config(json);
  const HfClass& type = find_class(config);
  HfConfig out;
  out.architecture = type.architecture;
  fb::HyperParametersT& hyper = out.hyper;
  hyper.layers = needed_count(config, "num_hidden_layers", kLayerBounds);
  hyper.hidden = needed_count(config, "hidden_size", kHiddenBounds);
  if (require_architecture(type.architecture).experts == Part::none) {
    hyper.ffn = needed_count(config, "intermediate_size", kFfnBounds);
  }
  read_experts(config, type, hyper);
  hyper.heads = needed_count(config, "num_attention_heads", kHeadBounds);
  hyper.kv_heads = count(config, "num_key_value_heads", {1, hyper.heads}).value_or(hyper.heads);
  hyper.head_dim = read_head_dim(config, type, hyper);
  hyper.vocabulary = needed_count(config, "vocab_size", kVocabularyBounds);
  hyper.context = needed_count(config, "max_position_embeddings", kContextBounds);
  hyper.rms_epsilon = read_bounded(config, "rms_norm_eps", type.epsilon, 0, kMostEpsilon);
  hyper.activation = read_activation(config, type);
  refuse_window(config, type, hyper);
  read_windows(config, type, hyper);
  read_gemma(config, type, hyper);
  read_scales(config, type, hyper);
  read_maple(config, type, hyper);
  refuse_additions(config, type);
  read_rope(config, type, out);
  out.weights = read_quantization(config, type, out);
  out.headless = type.headless;
  out.tied = truth(config, "tie_word_embeddings");
  if (!out.tied && type.tied) out.tied = true;
  out.attention_bias = truth(config, "attention_bias");
  return out;
}

}  // namespace bitnet
