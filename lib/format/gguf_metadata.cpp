// SPDX-License-Identifier: MIT
#include "format/gguf_metadata.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "format/gguf_values.h"
#include "format/metadata.h"
#include "format/open_questions.h"
#include "format/rope_scaling.h"
#include "format/vocabulary_limits.h"
#include "kernels.h"
#include "model/architecture.h"

namespace bitnet {
namespace {

constexpr size_t kMaxNoteBytes = size_t{64} << 10;  // longer texts are not for people
constexpr size_t kNoteOverhead = 64;                // what a note takes besides its texts, at most

constexpr uint8_t kNormal = 1, kUnknown = 2, kControl = 3, kByte = 6;  // tokenizer.ggml.token_type

// The values by key, in the types that we compute with. A value of another type is taken where it can mean only one
// thing; otherwise it is refused, saying what it is and what it should be.
class Metadata {
 public:
  Metadata(const Gguf& gguf, const Log& log) : gguf_(gguf), log_(log) {}

  const GgufValue* find(std::string_view key) const { return gguf_.find(key); }

  [[noreturn]] static void refuse(const GgufValue& value, std::string_view expected) {
    fail(BITNET_ERROR_FORMAT, "metadata key ", value.key, " is ", describe(value), "; expected is ", expected);
  }

  // "" counts as missing.
  std::optional<std::string_view> string(std::string_view key) const {
    const GgufValue* const value = find(key);
    if (value == nullptr) return std::nullopt;
    if (value->kind != GgufKind::string) refuse(*value, "a string");
    if (value->payload.empty()) return std::nullopt;
    if (value->payload.size() > kMaxNoteBytes) {
      refuse(*value, "a string of no more than " + std::to_string(kMaxNoteBytes) + " bytes");
    }
    return gguf_text(value->payload);
  }

  std::optional<uint32_t> count(const std::string& key, Bounds bounds = {0, UINT32_MAX}) const {
    const GgufValue* const value = find(key);
    if (value == nullptr) return std::nullopt;
    const auto number = whole_number(*value);
    if (!number || *number < bounds.low || *number > bounds.high) {
      refuse(*value, "a whole number from " + std::to_string(bounds.low) + " to " + std::to_string(bounds.high) +
                         (value->kind == GgufKind::array ? ", the same for all layers" : ""));
    }
    return static_cast<uint32_t>(*number);
  }

  uint32_t needed_count(const std::string& key, Bounds bounds) const {
    const auto value = count(key, bounds);
    require(value.has_value(), BITNET_ERROR_FORMAT, "metadata key ", key, " is missing");
    return *value;
  }

  std::optional<float> real(const std::string& key) const {
    const GgufValue* const value = find(key);
    if (value == nullptr) return std::nullopt;
    const auto number = real_number(*value);
    if (!number || !std::isfinite(static_cast<float>(*number))) refuse(*value, "a finite number");
    return static_cast<float>(*number);
  }

  std::optional<bool> boolean(std::string_view key) const {
    const GgufValue* const value = find(key);
    if (value == nullptr) return std::nullopt;
    const auto result = truth(*value);
    if (!result) refuse(*value, "a boolean, or 0 or 1");
    return result;
  }

  const GgufValue* strings(std::string_view key) const {
    const GgufValue* const value = find(key);
    if (value == nullptr) return nullptr;
    if (value->kind != GgufKind::array || value->element != GgufKind::string) refuse(*value, "an array of strings");
    return value;
  }

  // An array of one number, or more, for each token, if it is there.
  const GgufValue* token_numbers(std::string_view key, size_t tokens) const {
    const GgufValue* const value = find(key);
    if (value == nullptr) return nullptr;
    const bool numbers = value->kind == GgufKind::array && value->element != GgufKind::string &&
                         value->element != GgufKind::array && value->element != GgufKind::boolean;
    if (!numbers) refuse(*value, "an array of numbers");
    require(value->count >= tokens, BITNET_ERROR_FORMAT, "metadata key ", key, " has ", value->count, " elements for ",
            tokens, " tokens");
    return value;
  }

  template <typename... Parts>
  void say(bitnet_log_level level, const Parts&... parts) const {
    bitnet::say(log_, level, parts...);
  }

 private:
  const Gguf& gguf_;
  const Log& log_;
};

// --- hyperparameters -----------------------------------------------------------------------------------------------

// A number in a key that some writers give 0 where they mean nothing.
std::optional<float> positive(const Metadata& in, const std::string& key) {
  const auto value = in.real(key);
  require(value.value_or(0) >= 0, BITNET_ERROR_FORMAT, "metadata key ", key, " is ", value.value_or(0),
          "; it must be positive");
  return value == 0.0f ? std::nullopt : value;
}

std::vector<float> read_factors(const Gguf& gguf, std::string_view name) {
  const GgufTensor* const tensor = gguf.find_tensor(name);
  require(tensor != nullptr, BITNET_ERROR_FORMAT, "tensor ", name, " is missing");
  require(tensor->rows == 1 && tensor->cols <= kMostHeadDim && !tensor->type->coding &&
              tensor->cols % tensor->type->block == 0,
          BITNET_ERROR_FORMAT, "tensor ", name, " is no factor for each pair of a head");
  std::vector<float> factors(tensor->cols);
  gguf_decode(*tensor->type, tensor->data.data(), factors.size(), factors.data());
  return factors;
}

// LongRoPE's two sets of factors, which llama.cpp chooses from by the length of its context.
RopeScaling read_long_rope(const Metadata& in, const Gguf& gguf, const std::string& prefix,
                           fb::HyperParametersT& hyper) {
  LongScaling scaling = {
      read_factors(gguf, kShortFactorsName), read_factors(gguf, kLongFactorsName),
      static_cast<double>(in.count(prefix + "scaling.original_context_length", kContextBounds).value_or(hyper.context)),
      static_cast<double>(hyper.context)};
  const auto reach = static_cast<uint32_t>(reach_of(scaling));
  if (reach < hyper.context) {
    in.say(BITNET_LOG_WARNING, "texts beyond ", reach, " tokens would need other factors of the rotary embedding (",
           kLongFactorsName, ") from their first token on; the model is taken to have a context of ", reach,
           ", not of ", hyper.context);
  }
  hyper.context = reach;
  RopeScaling result = scale_rope_by_long({hyper.head_dim, hyper.rope_theta}, std::move(scaling));
  result.magnitude = positive(in, prefix + "scaling.attn_factor").value_or(1);  // llama.cpp computes none itself
  return result;
}

// How llama.cpp scales the rotary embedding: linearly or by YaRN, whose keys it has; Llama 3.1's way comes as a tensor
// of factors. A missing type means linear scaling, a factor of 0 or 1 none.
RopeScaling read_rope_scaling(const Metadata& in, const Gguf& gguf, const std::string& architecture,
                              fb::HyperParametersT& hyper) {
  const std::string prefix = architecture + ".rope.", type_key = prefix + "scaling.type";
  if (gguf.find_tensor(kShortFactorsName) != nullptr) return read_long_rope(in, gguf, prefix, hyper);
  const auto type = in.string(type_key).value_or("linear");
  if (type == "none") return {};
  require(type == "linear" || type == "yarn", BITNET_ERROR_UNSUPPORTED, "metadata key ", type_key, " is ",
          type.substr(0, 100), "; supported are none, linear and yarn");
  const float old = positive(in, prefix + "scale_linear").value_or(1);
  const float factor = positive(in, prefix + "scaling.factor").value_or(old);
  const float magnitude = positive(in, prefix + "scaling.attn_factor").value_or(1);
  const RopeBase base = {hyper.head_dim, hyper.rope_theta};
  RopeScaling scaling;
  if (factor != 1 && type == "linear") scaling = scale_rope_linearly(base, factor);
  if (factor != 1 && type == "yarn") {
    YarnScaling yarn;
    yarn.factor = factor;
    yarn.original_context =
        in.count(prefix + "scaling.original_context_length", kContextBounds).value_or(hyper.context);
    yarn.beta_fast = positive(in, prefix + "scaling.yarn_beta_fast").value_or(yarn.beta_fast);
    yarn.beta_slow = positive(in, prefix + "scaling.yarn_beta_slow").value_or(yarn.beta_slow);
    yarn.magnitude = yarn_magnitude(factor);
    scaling = scale_rope_by_yarn(base, yarn);
  }
  scaling.magnitude *= magnitude;
  return scaling;
}

// Newer writers name the activation, in a key of either name. Another one than the two is refused, unless the caller
// has said which it is.
std::optional<fb::Activation> named_activation(const Metadata& in, const std::string& architecture,
                                               std::optional<fb::Activation> wanted) {
  for (const char* const name : {".hidden_activation", ".hidden_act"}) {
    const std::string key = architecture + name;
    const std::optional<std::string_view> value = in.string(key);
    if (!value) continue;
    if (*value == "silu" || *value == "swish") return fb::Activation::silu;
    if (*value == "relu2" || *value == "relu_squared") return fb::Activation::relu2;
    if (*value == "gelu_pytorch_tanh" || *value == "gelu_tanh") return fb::Activation::gelu;
    require(wanted.has_value(), BITNET_ERROR_UNSUPPORTED, "metadata key ", key, " is ", value->substr(0, 100),
            "; supported are silu, relu2 and gelu_pytorch_tanh");
    in.say(BITNET_LOG_WARNING, "activation ", name_of(*wanted), " as asked for; the file names ",
           value->substr(0, 100));
    return wanted;
  }
  return std::nullopt;
}

// A head is as long as the share of the embedding that falls to it, if the file does not say otherwise.
constexpr const char* kRotary = "rope.dimension_count";
uint32_t read_head_dim(const Metadata& in, const std::string& prefix, const fb::HyperParametersT& hyper, bool partial) {
  const uint32_t length =
      in.count(prefix + "attention.key_length", {2, kMostHeadDim}).value_or(hyper.hidden / hyper.heads);
  for (const char* const key : {"attention.value_length", kRotary}) {
    const uint32_t other = in.count(prefix + key).value_or(length);
    if (other != length && key == kRotary && partial) continue;  // read_maple() reads it
    require(other == length, BITNET_ERROR_UNSUPPORTED, "metadata key ", prefix, key, " is ", other,
            ", not the length of a head, ", length);
  }
  return length;
}

float read_bounded(const Metadata& in, const std::string& key, float otherwise, double low, double high) {
  const float value = in.real(key).value_or(otherwise);
  require(value >= low && value <= high, BITNET_ERROR_FORMAT, "metadata key ", key, " is ", value,
          "; it must be between ", low, " and ", high);
  return value;
}

// Gemma 3 as llama.cpp has it, which leaves some of this out of its files. A file without windows has none:
// bitnet.cpp's converter does not write them, and its graph computes none.
void read_gemma(const Metadata& in, const std::string& prefix, fb::HyperParametersT& out) {
  constexpr uint32_t kPeriod = 6, kLayersOf27B = 62;
  constexpr float kWindowTheta = 10000;
  for (const char* const cap : {"attn_logit_softcapping", "final_logit_softcapping"}) {
    require(in.real(prefix + cap).value_or(0) == 0, BITNET_ERROR_UNSUPPORTED, "metadata key ", prefix, cap, " is ",
            in.real(prefix + cap).value_or(0), "; capped logits are not supported");
  }
  const bool ignores_share = out.layers == kLayersOf27B;
  const float usual = ignores_share ? 1 / std::sqrt(static_cast<float>(out.hidden) / static_cast<float>(out.heads)) : 0;
  out.attention_scale = read_bounded(in, prefix + "attention.scale", usual, 0, kMostAttentionScale);
  const uint32_t window = in.count(prefix + "attention.sliding_window").value_or(0);
  if (window == 0) return;
  out.window = in.count(prefix + "attention.sliding_window", kWindowBounds).value_or(0);
  out.window_period = in.count(prefix + "attention.sliding_window_pattern", kWindowPeriodBounds).value_or(kPeriod);
  out.window_theta = read_bounded(in, prefix + "rope.freq_base_swa", kWindowTheta, kLeastTheta, INFINITY);
}

// Of how many layers the last has no window, where a file says of each whether it has one.
uint32_t read_period(const Metadata& in, const std::string& key, uint32_t layers) {
  const GgufValue* const value = in.find(key);
  require(value != nullptr, BITNET_ERROR_FORMAT, "metadata key ", key, " is missing");
  if (value->kind != GgufKind::array) return in.needed_count(key, kWindowPeriodBounds);
  require(value->count == layers, BITNET_ERROR_FORMAT, "metadata key ", key, " has ", value->count, " elements for ",
          layers, " layers");
  uint32_t period = 0;
  for (uint32_t i = 0; i < layers; ++i) {
    const bool boolean = value->element == GgufKind::boolean;
    const auto element = boolean ? int64_t{value->payload[i] != std::byte{0}} : whole_element(*value, i);
    if (!element || *element < 0 || *element > 1) Metadata::refuse(*value, "a boolean for each layer");
    if (*element == 0 && period == 0) period = i + 1;
    const bool windowed = period == 0 || (i + 1) % period != 0;
    require(windowed == (*element == 1), BITNET_ERROR_UNSUPPORTED, "metadata key ", key, " says that layer ", i,
            " has ", *element == 1 ? "a" : "no",
            " window: supported are layers with windows of which the last of each few has ",
            "none, as the first ones are");
  }
  require(period != 1, BITNET_ERROR_UNSUPPORTED, "metadata key ", key, " says that no layer has a window");
  return period == 0 ? std::max<uint32_t>(layers + 1, kWindowPeriodBounds.low) : period;
}

// Maple as llama.cpp has it: windows, and rotary embedding in the layers that have one, of a part of each head.
void read_maple(const Metadata& in, const std::string& prefix, fb::HyperParametersT& out) {
  constexpr float kLimit = 7;
  out.window = in.needed_count(prefix + "attention.sliding_window", kWindowBounds);
  out.window_period = read_period(in, prefix + "attention.sliding_window_pattern", out.layers);
  out.window_theta = read_bounded(in, prefix + "rope.freq_base_swa", out.rope_theta, kLeastTheta, INFINITY);
  out.only_windows_turn = true;
  const uint32_t turned = in.count(prefix + kRotary, {2, out.head_dim}).value_or(out.head_dim);
  out.rotary_dim = turned == out.head_dim ? 0 : turned;
  out.ffn_limit = read_bounded(in, prefix + "swiglu_clamp_exp", kLimit, 0, kMostScale);
}

// GGUF's numbers of what makes probabilities of scores; softmax of those chosen is the same as of all, normalised.
void read_router(const Metadata& in, const std::string& prefix, fb::HyperParametersT& out) {
  constexpr uint32_t kNone = 0, kSoftmax = 1, kSigmoid = 2, kSoftmaxOfChosen = 3;
  const std::string key = prefix + "expert_gating_func";
  const uint32_t number = in.count(key).value_or(kNone);
  out.normalised = in.boolean(prefix + "expert_weights_norm").value_or(true) || number == kSoftmaxOfChosen;
  switch (number) {
    case kNone:
    case kSoftmax:
    case kSoftmaxOfChosen:
      out.gating = fb::Gating::softmax;
      return;
    case kSigmoid:
      out.gating = fb::Gating::sigmoid;
      return;
    default:
      fail(BITNET_ERROR_UNSUPPORTED, "metadata key ", key, " is ", number,
           "; supported are 1 (softmax), 2 (sigmoid) and ", "3 (softmax of those chosen)");
  }
}

void read_experts(const Metadata& in, const std::string& prefix, fb::HyperParametersT& out) {
  out.experts = in.needed_count(prefix + "expert_count", kExpertBounds);
  out.experts_used = in.needed_count(prefix + "expert_used_count", {1, out.experts});
  out.ffn = in.needed_count(prefix + "expert_feed_forward_length", kFfnBounds);
  read_router(in, prefix, out);
  // 0 is what some writers give where they mean nothing.
  out.expert_scale = positive(in, prefix + "expert_weights_scale").value_or(1);
  for (const char* const key : {"expert_shared_count", "leading_dense_block_count", "expert_group_count"}) {
    const uint32_t number = in.count(prefix + key).value_or(0);
    const bool group = key == std::string_view("expert_group_count");
    require(number <= (group ? 1u : 0u), BITNET_ERROR_UNSUPPORTED, "metadata key ", prefix, key, " is ", number,
            ": supported are models all of whose layers have experts, of one group, that tokens are shared among");
  }
}

// What llama.cpp takes where a file of MiniCPM's is silent. Older ones had the logits' scale the other way round, but
// in the keys it is by what they are divided.
void read_scales(const Metadata& in, const std::string& prefix, fb::HyperParametersT& out) {
  constexpr float kEmbedding = 12, kDepth = 1.4f, kWidth = 256;
  const auto scale = [&](const char* key, float otherwise) {
    return read_bounded(in, prefix + key, otherwise, kLeastScale, kMostScale);
  };
  out.embedding_scale = scale("embedding_scale", kEmbedding);
  out.residual_scale = scale("residual_scale", kDepth / std::sqrt(static_cast<float>(out.layers)));
  out.logit_scale = scale("logit_scale", static_cast<float>(out.hidden) / kWidth);
}

std::unique_ptr<fb::HyperParametersT> hyperparameters_of(const Metadata& in, const std::string& architecture) {
  const std::string prefix = architecture + ".", epsilon = prefix + "attention.layer_norm_rms_epsilon";
  auto hyper = std::make_unique<fb::HyperParametersT>();
  hyper->layers = in.needed_count(prefix + "block_count", kLayerBounds);
  hyper->hidden = in.needed_count(prefix + "embedding_length", kHiddenBounds);
  const Architecture& known = require_architecture(architecture);
  if (known.experts == Part::required) {
    read_experts(in, prefix, *hyper);
  } else {
    hyper->ffn = in.needed_count(prefix + "feed_forward_length", kFfnBounds);
  }
  hyper->heads = in.needed_count(prefix + "attention.head_count", kHeadBounds);
  hyper->kv_heads = in.count(prefix + "attention.head_count_kv", {1, hyper->heads}).value_or(hyper->heads);
  hyper->head_dim = read_head_dim(in, prefix, *hyper, known.partial_rotary);
  hyper->context = in.needed_count(prefix + "context_length", kContextBounds);
  require(in.find(epsilon) != nullptr, BITNET_ERROR_FORMAT, "metadata key ", epsilon, " is missing");
  hyper->rms_epsilon = read_bounded(in, epsilon, 0, 0, kMostEpsilon);
  hyper->rope_theta = read_bounded(in, prefix + "rope.freq_base", 10000, kLeastTheta, INFINITY);
  if (architecture == "gemma3") read_gemma(in, prefix, *hyper);
  if (known.partial_rotary) read_maple(in, prefix, *hyper);
  if (known.scales) read_scales(in, prefix, *hyper);
  return hyper;
}

fb::Activation activation_of(const Metadata& in, const fb::ModelT& model, const KnownVocabulary* vocabulary,
                             std::optional<fb::Activation> wanted) {
  const auto named = named_activation(in, model.architecture, wanted);
  if (wanted) {
    if (named && named != wanted) {
      in.say(BITNET_LOG_WARNING, "activation ", name_of(*wanted), " as asked for; the file names ", name_of(*named));
    }
    return *wanted;
  }
  if (named) return *named;
  if (model.architecture != kOpenArchitecture)
    return stored_activation(require_architecture(model.architecture).activation);
  const ActivationSigns signs = {model.tokenizer->kind == fb::TokenizerKind::sentencepiece,
                                 vocabulary != nullptr && vocabulary->rule == std::string_view("llama-bpe"),
                                 model.hyper->vocabulary,
                                 model.hyper->heads,
                                 model.hyper->kv_heads,
                                 model.hyper->rope_theta};
  const auto decided = decide_activation(signs);
  if (!decided) fail_activation(signs);
  const bool doubtful = is_doubtful(signs);
  in.say(doubtful ? BITNET_LOG_WARNING : BITNET_LOG_INFO, "the file does not name its activation; ", signs, ": ",
         name_of(*decided), example_of(*decided),
         doubtful ? "; if that is wrong, say it with the option activation (--activation silu)" : "");
  return *decided;
}

// GGUF's numbers of ways to pool. A model that has one and no head makes embeddings only.
fb::Pooling pooling_of(const Metadata& in, const std::string& architecture) {
  constexpr uint32_t kRank = 4;
  const std::string key = architecture + ".pooling_type";
  const uint32_t number = in.count(key, {0, kRank}).value_or(0);
  switch (number) {
    case 1:
      return fb::Pooling::mean;
    case 2:
      return fb::Pooling::cls;
    case 3:
      return fb::Pooling::last;
    case kRank:
      fail(BITNET_ERROR_UNSUPPORTED, "metadata key ", key, " is ", kRank,
           ": the model ranks pairs of texts, which is not supported");
    default:
      return fb::Pooling::none;
  }
}

// --- tokenizer -----------------------------------------------------------------------------------------------------

void read_pieces(const Metadata& in, fb::TokenizerT& out) {
  const GgufValue* const tokens = in.strings("tokenizer.ggml.tokens");
  require(tokens != nullptr && tokens->count > 0, BITNET_ERROR_FORMAT,
          "metadata key tokenizer.ggml.tokens is missing; the model has no vocabulary");
  require(tokens->count <= kMaxTokens && tokens->payload.size() <= kMaxTextBytes, BITNET_ERROR_UNSUPPORTED,
          "the vocabulary of ", tokens->count, " tokens is larger than the format allows (", kMaxTokens, ")");
  out.ends.reserve(tokens->count);
  for (GgufStrings strings(*tokens); strings.left() != 0;) {
    const std::string_view piece = strings.next();
    out.pieces.insert(out.pieces.end(), piece.begin(), piece.end());
    out.ends.push_back(static_cast<uint32_t>(out.pieces.size()));
  }
}

// Where the types are missing, names tell them: SentencePiece's bytes are <0x00> to <0xFF>, control tokens are written
// <|so|>, and the keys of special tokens name the rest.
void guess_types(const Metadata& in, fb::TokenizerT& out) {
  const Pieces pieces(out.pieces, out.ends);
  for (size_t i = 0; i < pieces.size(); ++i) {
    const std::string_view piece = pieces[i];
    const bool sentencepiece = out.kind == fb::TokenizerKind::sentencepiece;
    if (sentencepiece && piece.size() == 6 && piece.starts_with("<0x") && piece.ends_with(">")) out.types[i] = kByte;
    if (piece.size() > 4 && piece.starts_with("<|") && piece.ends_with("|>")) out.types[i] = kControl;
  }
  for (const int32_t token : {out.bos, out.eos}) {
    if (token != -1) out.types[token] = kControl;
  }
  if (out.unknown != -1) out.types[out.unknown] = kUnknown;
  in.say(BITNET_LOG_INFO, "the file does not say the types of its tokens (tokenizer.ggml.token_type); their names do");
}

void read_types(const Metadata& in, fb::TokenizerT& out) {
  constexpr int64_t kLast = 6;
  const size_t tokens = out.ends.size();
  out.types.assign(tokens, kNormal);
  const GgufValue* const types = in.token_numbers("tokenizer.ggml.token_type", tokens);
  if (types == nullptr) return guess_types(in, out);
  for (size_t i = 0; i < tokens; ++i) {
    const auto type = whole_element(*types, i);
    require(type && *type >= 0 && *type <= kLast, BITNET_ERROR_FORMAT, "metadata key tokenizer.ggml.token_type: token ",
            i, " has unknown type ", real_element(*types, i).value_or(0), "; there are 0 to ", kLast);
    if (*type != 0) out.types[i] = static_cast<uint8_t>(*type);  // 0: the writer did not know
  }
}

void read_scores(const Metadata& in, fb::TokenizerT& out) {
  const size_t tokens = out.ends.size();
  const GgufValue* const scores = in.token_numbers("tokenizer.ggml.scores", tokens);
  require(scores != nullptr, BITNET_ERROR_FORMAT, "metadata key tokenizer.ggml.scores is missing");
  out.scores.resize(tokens);
  for (size_t i = 0; i < tokens; ++i) {
    out.scores[i] = static_cast<float>(real_element(*scores, i).value_or(0));
    require(std::isfinite(out.scores[i]), BITNET_ERROR_FORMAT, "metadata key tokenizer.ggml.scores: token ", i,
            " has the score ", out.scores[i]);
  }
}

// GGUF spells a merge as its two pieces with a space between; no piece of the alphabet holds a space itself.
void read_merges(const Metadata& in, fb::TokenizerT& out) {
  const GgufValue* const merges = in.strings("tokenizer.ggml.merges");
  require(merges != nullptr, BITNET_ERROR_FORMAT, "metadata key tokenizer.ggml.merges is missing");
  require(merges->count <= kMaxMerges, BITNET_ERROR_UNSUPPORTED, "metadata key tokenizer.ggml.merges has ",
          merges->count, " elements; the format allows ", kMaxMerges);
  std::unordered_map<std::string_view, int32_t> ids;
  ids.reserve(out.ends.size());
  const Pieces pieces(out.pieces, out.ends);
  for (size_t i = 0; i < pieces.size(); ++i) ids.emplace(pieces[i], static_cast<int32_t>(i));
  for (GgufStrings strings(*merges); strings.left() != 0;) {
    const std::string_view merge = strings.next();
    const size_t space = merge.find(' ', 1);
    const auto left = ids.find(merge.substr(0, space));
    const auto right = space == merge.npos ? ids.end() : ids.find(merge.substr(space + 1));
    require(left != ids.end() && right != ids.end(), BITNET_ERROR_FORMAT, "metadata key tokenizer.ggml.merges: \"",
            merge.substr(0, 100), "\" is not two tokens of the vocabulary");
    out.merges.emplace_back(left->second, right->second);
  }
}

std::string token_range(size_t tokens) {
  return "a token from 0 to " + std::to_string(tokens - 1) + ", or -1 for none";
}

int32_t read_special(const Metadata& in, std::string_view key, size_t tokens, int32_t otherwise) {
  const GgufValue* const value = in.find(key);
  if (value == nullptr) return otherwise >= 0 && static_cast<size_t>(otherwise) < tokens ? otherwise : -1;
  if (is_no_token(*value)) return -1;
  const auto id = whole_number(*value);
  if (!id || *id >= tokens) Metadata::refuse(*value, token_range(tokens));
  return static_cast<int32_t>(*id);
}

// A token without which the model can be computed and its texts end all the same: what makes no sense is left out.
int32_t read_optional_special(const Metadata& in, std::string_view key, size_t tokens) {
  const GgufValue* const value = in.find(key);
  if (value == nullptr || is_no_token(*value)) return -1;
  const auto id = whole_number(*value);
  if (id && *id < tokens) return static_cast<int32_t>(*id);
  in.say(BITNET_LOG_WARNING, "metadata key ", key, " is ", describe(*value), "; expected is ", token_range(tokens),
         "; it is left out");
  return -1;
}

// Some writers list all tokens that end a text, as Hugging Face's generation_config.json does: the first is EOS.
void read_eos(const Metadata& in, fb::TokenizerT& out, int32_t otherwise) {
  constexpr std::string_view kKey = "tokenizer.ggml.eos_token_id";
  const size_t tokens = out.ends.size();
  const GgufValue* const value = in.find(kKey);
  if (value == nullptr || value->kind != GgufKind::array || whole_number(*value) || is_no_token(*value)) {
    out.eos = read_special(in, kKey, tokens, otherwise);
    return;
  }
  if (value->count == 0) return;
  require(value->count <= tokens, BITNET_ERROR_FORMAT, "metadata key ", kKey, " has ", value->count,
          " elements; there are only ", tokens, " tokens");
  std::vector<int32_t> ends;
  for (uint64_t i = 0; i < value->count; ++i) {
    const auto id = whole_element(*value, i);
    if (id == -1) continue;  // none
    if (!id || *id < 0 || static_cast<size_t>(*id) >= tokens)
      Metadata::refuse(*value, "tokens from 0 to " + std::to_string(tokens - 1));
    ends.push_back(static_cast<int32_t>(*id));
  }
  if (ends.empty()) return;
  out.eos = ends.front();
  out.end_tokens.assign(ends.begin() + 1, ends.end());
}

void read_end_tokens(const Metadata& in, fb::TokenizerT& out) {
  for (const char* const key : {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"}) {
    const int32_t token = read_optional_special(in, key, out.ends.size());
    if (token != -1) out.end_tokens.push_back(token);
  }
}

// A missing key means what it means to llama.cpp, except where the vocabulary is a published one whose own tokenizer
// does otherwise.
struct Defaults {
  int32_t bos = -1, eos = -1, unknown = -1;
  bool add_bos = false;
};

Defaults defaults_of(const fb::TokenizerT& tokenizer, const KnownVocabulary* known) {
  if (tokenizer.kind == fb::TokenizerKind::sentencepiece) return {1, 2, 0, true};
  Defaults defaults;
  defaults.add_bos = rule_adds_bos(tokenizer.pre_tokenizer);
  const Pieces pieces(tokenizer.pieces, tokenizer.ends);
  if (known != nullptr && known->bos != nullptr) defaults.bos = pieces.find(known->bos).value_or(-1);
  if (known != nullptr && known->eos != nullptr) defaults.eos = pieces.find(known->eos).value_or(-1);
  return defaults;
}

void read_rule(const Metadata& in, fb::TokenizerT& out) {
  constexpr std::string_view kKey = "tokenizer.ggml.pre";
  const std::string_view named = in.string(kKey).value_or("");
  const Rule rule = decide_rule(named, Pieces(out.pieces, out.ends));
  out.pre_tokenizer = rule.name;
  if (rule.vocabulary != nullptr) {
    in.say(BITNET_LOG_INFO, "the file does not name the rule that cuts its texts into words (", kKey,
           "); its vocabulary is ", rule.vocabulary->name, ", so it is ", rule.name);
  } else if (named.empty()) {
    in.say(BITNET_LOG_WARNING, "the file does not name the rule that cuts its texts into words (", kKey,
           "), and its vocabulary is none that libbitnet knows: llama.cpp's default is taken, which may cut otherwise "
           "than the model was trained with");
  }
}

// bitnet.cpp's converter first called Gemma's vocabulary gpt2; the norms of its files were wrong, too.
void refuse_sentencepiece(const Pieces& pieces) {
  const auto byte = pieces.find("<0x0A>");
  require(!byte || !pieces.find("\u2581"), BITNET_ERROR_UNSUPPORTED,
          "the tokenizer (tokenizer.ggml.model) is gpt2, byte-level BPE, but the vocabulary is SentencePiece's (token ",
          byte.value_or(0), " is <0x0A>), as early converters of embedding models wrote it; convert the model anew");
}

bool read_addition(const Metadata& in, std::string_view key, bool otherwise, int32_t token) {
  const auto given = in.boolean(key);
  if (given == true && token == -1) {
    in.say(BITNET_LOG_WARNING, "metadata key ", key, " is true, but the file names no such token; none is added");
  }
  return given.value_or(otherwise) && token != -1;
}

std::unique_ptr<fb::TokenizerT> read_tokenizer(const Metadata& in, const KnownVocabulary** known) {
  auto out = std::make_unique<fb::TokenizerT>();
  const std::string_view kind = in.string("tokenizer.ggml.model").value_or("missing");
  require(kind == "gpt2" || kind == "llama", BITNET_ERROR_UNSUPPORTED, "the tokenizer (tokenizer.ggml.model) is ",
          kind.substr(0, 100), "; supported are gpt2 (byte-level BPE) and llama (SentencePiece BPE)");
  read_pieces(in, *out);
  const size_t tokens = out->ends.size();
  if (kind == "llama") {
    out->kind = fb::TokenizerKind::sentencepiece;
    read_scores(in, *out);
    out->add_space_prefix = in.boolean("tokenizer.ggml.add_space_prefix").value_or(true);
  } else {
    out->kind = fb::TokenizerKind::byte_bpe;
    refuse_sentencepiece(Pieces(out->pieces, out->ends));
    *known = recognise(Pieces(out->pieces, out->ends));
    read_rule(in, *out);
    read_merges(in, *out);
  }
  const Defaults defaults = defaults_of(*out, *known);
  out->bos = read_special(in, "tokenizer.ggml.bos_token_id", tokens, defaults.bos);
  read_eos(in, *out, defaults.eos);
  out->unknown = read_special(in, "tokenizer.ggml.unknown_token_id", tokens, defaults.unknown);
  out->padding = read_optional_special(in, "tokenizer.ggml.padding_token_id", tokens);
  read_end_tokens(in, *out);
  read_types(in, *out);
  out->add_bos = read_addition(in, "tokenizer.ggml.add_bos_token", defaults.add_bos, out->bos);
  out->add_eos = read_addition(in, "tokenizer.ggml.add_eos_token", false, out->eos);
  return out;
}

// --- what is for people --------------------------------------------------------------------------------------------

std::string_view beginning_of(std::string_view text) {
  if (text.size() <= kMaxNoteBytes) return text;
  const auto goes_on = [&](size_t at) { return (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80; };
  size_t end = kMaxNoteBytes;
  while (end > kMaxNoteBytes - 3 && goes_on(end)) --end;  // no character is cut
  return text.substr(0, end);
}

// Nothing is computed from these, so that no type is wrong: "MIT", or ["MIT", "Apache-2.0"] as model cards have it.
// Of a text that is too long for people the beginning is kept.
std::string text_for_people(const Metadata& in, std::string_view key) {
  const GgufValue* const value = in.find(key);
  if (value == nullptr) return "";
  if (value->kind == GgufKind::string) return std::string(beginning_of(gguf_text(value->payload)));
  if (value->kind != GgufKind::array || value->element != GgufKind::string) return "";
  std::string joined;
  for (GgufStrings strings(*value); strings.left() != 0 && joined.size() < kMaxNoteBytes;) {
    joined.append(joined.empty() ? "" : ", ").append(beginning_of(strings.next()));
  }
  joined.resize(beginning_of(joined).size());
  return joined;
}

// A model without its template can still continue texts, so that an odd one does not refuse the file.
std::string read_chat_template(const Metadata& in) {
  constexpr std::string_view kKey = "tokenizer.chat_template";
  const GgufValue* const value = in.find(kKey);
  if (value == nullptr) return "";
  const bool one = value->kind == GgufKind::array && value->element == GgufKind::string && value->count == 1;
  if (value->kind != GgufKind::string && !one) {
    in.say(BITNET_LOG_WARNING, "metadata key ", kKey, " is ", describe(*value),
           "; expected is a string; the model is taken to have no chat template");
    return "";
  }
  const std::string_view text = one ? GgufStrings(*value).next() : gguf_text(value->payload);
  if (text.size() <= kMaxTemplateBytes) return std::string(text);
  in.say(BITNET_LOG_WARNING, "metadata key ", kKey, " has ", text.size(), " bytes; a chat template has no more than ",
         kMaxTemplateBytes, "; the model is taken to have none");
  return "";
}

std::unique_ptr<fb::KeyValueT> make_note(const GgufValue& value) {
  auto note = std::make_unique<fb::KeyValueT>();
  note->key = value.key;
  if (value.kind == GgufKind::string) {
    note->kind = fb::ValueKind::text;
    note->text = gguf_text(value.payload);
  } else if (value.kind == GgufKind::boolean) {
    note->kind = fb::ValueKind::boolean;
    note->integer = *truth(value);
  } else {
    with_number(value.kind, value.payload, 0, [&](auto number) {
      bool whole = false;
      if constexpr (std::is_integral_v<decltype(number)>) whole = std::in_range<int64_t>(number);
      note->kind = whole ? fb::ValueKind::integer : fb::ValueKind::real;
      if (whole) {
        note->integer = static_cast<int64_t>(number);
      } else {
        note->real = static_cast<double>(number);
      }
    });
  }
  return note;
}

// Every single value that is not the chat template, as many as there is room for: arrays have been read, or nobody
// looks at them.
std::vector<std::unique_ptr<fb::KeyValueT>> read_notes(const Gguf& gguf) {
  std::vector<std::unique_ptr<fb::KeyValueT>> notes;
  size_t total = 0;
  for (const GgufValue& value : gguf.values()) {
    const size_t texts = value.key.size() + value.payload.size(), size = texts + kNoteOverhead;
    const bool fits = texts <= kMaxNoteBytes && total + size <= kMaxTextBytes;
    if (value.kind == GgufKind::array || value.key.starts_with("tokenizer.chat_template") || !fits) continue;
    total += size;
    notes.push_back(make_note(value));
  }
  return notes;
}

}  // namespace

GgufDescription read_gguf_metadata(const Gguf& gguf, std::optional<fb::Activation> activation, const Log& log) {
  const Metadata in(gguf, log);
  fb::ModelT model;
  const auto architecture = in.string("general.architecture");
  require(architecture.has_value(), BITNET_ERROR_FORMAT, "metadata key general.architecture is missing");
  model.architecture = require_architecture(*architecture).name;
  model.name = text_for_people(in, "general.name");
  model.license = text_for_people(in, "general.license");
  model.hyper = hyperparameters_of(in, model.architecture);
  const KnownVocabulary* vocabulary = nullptr;
  model.tokenizer = read_tokenizer(in, &vocabulary);
  model.hyper->vocabulary = static_cast<uint32_t>(model.tokenizer->ends.size());
  model.hyper->activation = activation_of(in, model, vocabulary, activation);
  model.chat_template = read_chat_template(in);
  model.notes = read_notes(gguf);
  model.settled = true;
  model.pooling = pooling_of(in, model.architecture);
  RopeScaling scaling = read_rope_scaling(in, gguf, model.architecture, *model.hyper);
  model.hyper->rope_magnitude = scaling.magnitude;
  return {std::move(model), std::move(scaling.factors)};
}

}  // namespace bitnet
