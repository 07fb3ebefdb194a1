// SPDX-License-Identifier: MIT
#include "model/architecture.h"

#include <cmath>

#include "base/error.h"
#include "kernels.h"

namespace bitnet {
namespace {

void check_range(const char* what, uint64_t value, Bounds bounds) {
  require(value >= bounds.low && value <= bounds.high, BITNET_ERROR_FORMAT, "hyperparameter ", what, " is ", value,
          "; it must be between ", bounds.low, " and ", bounds.high);
}

}  // namespace

std::optional<Activation> activation_of(std::string_view architecture) {
  // llama.cpp's graph of "bitnet" has SiLU; that of the other two, in bitnet.cpp's fork, squared ReLU.
  if (architecture == "bitnet") return Activation::silu;
  if (architecture == "bitnet-25" || architecture == "bitnet-b1.58") return Activation::relu2;
  return std::nullopt;
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
}

std::vector<TensorSpec> tensor_specs(const HyperParameters& hyper, bool with_head, bool with_screen) {
  const uint32_t hidden = hyper.hidden, ffn = hyper.ffn;
  const uint32_t q = hyper.heads * hyper.head_dim, kv = hyper.kv_heads * hyper.head_dim;
  std::vector<TensorSpec> specs;
  specs.push_back({std::string(kEmbeddingName), Role::embedding, hyper.vocabulary, hidden});
  for (uint32_t i = 0; i < hyper.layers; ++i) {
    const std::string layer = "blk." + std::to_string(i) + ".";
    specs.push_back({layer + "attn_norm.weight", Role::norm, 1, hidden});
    specs.push_back({layer + "attn_q.weight", Role::ternary, q, hidden});
    specs.push_back({layer + "attn_k.weight", Role::ternary, kv, hidden});
    specs.push_back({layer + "attn_v.weight", Role::ternary, kv, hidden});
    specs.push_back({layer + "attn_sub_norm.weight", Role::norm, 1, q});
    specs.push_back({layer + "attn_output.weight", Role::ternary, hidden, q});
    specs.push_back({layer + "ffn_norm.weight", Role::norm, 1, hidden});
    specs.push_back({layer + "ffn_gate.weight", Role::ternary, ffn, hidden});
    specs.push_back({layer + "ffn_up.weight", Role::ternary, ffn, hidden});
    specs.push_back({layer + "ffn_sub_norm.weight", Role::norm, 1, ffn});
    specs.push_back({layer + "ffn_down.weight", Role::ternary, hidden, ffn});
  }
  specs.push_back({"output_norm.weight", Role::norm, 1, hidden});
  if (with_head) specs.push_back({std::string(kHeadName), Role::head, hyper.vocabulary, hidden});
  if (with_screen) specs.push_back({std::string(kScreenName), Role::screen, hyper.vocabulary, hidden});
  return specs;
}

}  // namespace bitnet
