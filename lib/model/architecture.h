// SPDX-License-Identifier: MIT
// The architectures as data: families of models with their properties, their hyperparameters and the bounds of these,
// and the tensors that a model has, by name, role, shape and place. Reader, loader, converter, verifier, dummy and
// engine all ask here.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace bitnet {

struct Layer;
struct Linear;
struct Matrix;
struct Model;  // NOLINT(bugprone-forward-declaration-namespace): the schema has another one

// What the feed-forward network does with its gate.
enum class Activation : uint8_t {
  relu2,  // squared ReLU: BitNet b1.58 2B-4T
  silu,   // SwiGLU: Llama and its relatives, the first BitNet b1.58 models
  gelu,   // GELU by the hyperbolic tangent: Gemma
};

// What makes an expert's probability of its score.
enum class Gating : uint8_t {
  softmax,  // over all experts
  sigmoid,  // of each by itself
};

// What becomes of the hidden states of a text's tokens when a model makes embeddings.
enum class Pooling : uint8_t {
  none,  // the model is not meant for that
  mean,
  cls,   // the first token's
  last,  // the last token's
};

// Whether a tensor that not every family has belongs to one.
enum class Part : uint8_t {
  none,
  optional,
  together,  // all of these that a model can have, or none
  required,
};

// A family of models that share their graph. All have RMSNorm before attention and before a gated feed-forward network,
// rotary embedding, and groups of query heads that share a KV head.
struct Architecture {
  std::string_view name;        // as .bitnet and GGUF files have it
  std::string_view models;      // for people
  Activation activation;        // where a file names none
  bool ternary = false;         // trained with ternary weights and int8 activations; other weights are an error
  Part sub_norms = Part::none;  // norms before the output and down projections
  Part qkv_biases = Part::none, o_bias = Part::none;
  Part qk_norms = Part::none;                     // of each query and key head before it is turned
  Part input_norms = Part::none;                  // before each matrix of a layer, of what it reads: BitLinear's own
  std::string_view gguf_input_norm = "_norm_in";  // what GGUF has behind a matrix's name for that
  // The feed-forward network: one, or experts, of which a router chooses some for each token.
  Part one_network = Part::required, experts = Part::none;
  Part expert_bias = Part::none;  // added to the probabilities when experts are chosen, but not to their weights
  Part post_norms = Part::none;   // of what attention and the feed-forward network add to the residual stream
  bool scaled_embedding = false;  // by the square root of its width
  bool norms_less_one = false;    // Hugging Face has the weights of norms less 1, but not those of input norms
  bool scales = false;            // of embedding, residual stream and logits: hyperparameters
  bool partial_rotary = false;    // a part of each head may be turned only, and of the layers those with windows only
  bool neighbour_pairs = false;   // GGUF has the rows of q and k in an order in which rotary pairs are neighbours
};
std::span<const Architecture> architectures();
// Null if there is none of that name.
const Architecture* find_architecture(std::string_view name);
// Throws Error with what this library lacks for it, or else with the names that there are and the nearest.
const Architecture& require_architecture(std::string_view name);
// Throws Error if a name, as GGUF or Hugging Face has it, is that of an architecture known not to be computed here.
void refuse_uncomputed(std::string_view name);

struct HyperParameters {
  const Architecture* architecture = nullptr;
  uint32_t layers = 0;
  uint32_t hidden = 0;
  uint32_t ffn = 0;  // of an expert, where there are experts
  uint32_t heads = 0;
  uint32_t kv_heads = 0;
  uint32_t head_dim = 0;
  uint32_t vocabulary = 0;
  uint32_t context = 0;  // tokens the model was trained for
  float rms_epsilon = 0;
  float input_epsilon = 0;  // of the norms before single matrices; 0: rms_epsilon
  float rope_theta = 0;
  float rope_magnitude = 1;   // by which sines and cosines are multiplied (YaRN's attention factor)
  float attention_scale = 0;  // of the products of queries and keys; 0: 1 / sqrt(head_dim)
  // By which an embedding is multiplied, and what a layer adds to the residual stream; by which logits are divided.
  float embedding_scale = 1, residual_scale = 1, logit_scale = 1;
  // Experts of a layer, and how many of them compute a token. The probabilities of those are their weights, or are
  // divided by their sum first (normalised); then multiplied by expert_scale.
  uint32_t experts = 0, experts_used = 0;
  Gating gating = Gating::softmax;
  bool normalised = false;
  float expert_scale = 1;
  float ffn_limit = 0;  // what the gate is at most, and what the other factor is between, with its negative; 0: none
  uint32_t rotary_dim = 0;  // of a head, from its beginning; 0: all of it
  // Layers whose tokens see only the last `window`, themselves included; 0: there are none. The last of every
  // `window_period` layers has no window. With windows the rotary embedding has a base of its own, and no factors.
  uint32_t window = 0, window_period = 0;
  float window_theta = 0;
  bool only_windows_turn = false;  // the layers without a window have no rotary embedding
  Activation activation = Activation::relu2;

  uint32_t turned_dim() const { return rotary_dim != 0 ? rotary_dim : head_dim; }
  bool turns(uint32_t layer) const { return !only_windows_turn || has_window(layer); }
  float linear_epsilon() const { return input_epsilon != 0 ? input_epsilon : rms_epsilon; }
  bool has_window(uint32_t layer) const { return window != 0 && (layer + 1) % window_period != 0; }
};

struct Bounds {
  uint64_t low, high;
};
constexpr Bounds kLayerBounds = {1, 1024}, kHiddenBounds = {16, 1 << 17}, kFfnBounds = {16, 1 << 19},
                 kHeadBounds = {1, 4096}, kContextBounds = {1, 1 << 24}, kVocabularyBounds = {1, 1 << 22};
constexpr Bounds kWindowBounds = {1, 1 << 24}, kWindowPeriodBounds = {2, 1 << 12};
constexpr Bounds kExpertBounds = {1, 4096};
constexpr double kMostEpsilon = 1, kLeastTheta = 1, kMostMagnitude = 100, kMostAttentionScale = 100, kLeastScale = 1e-4,
                 kMostScale = 1e4;

// Bounds that every model of the field keeps with much room to spare, and under which no size that is computed from
// hyperparameters overflows. Throws Error naming the parameter.
void check_hyperparameters(const HyperParameters& hyper);

// What a tensor is to its model.
enum class Role : uint8_t {
  vector,  // norms, rotary factors
  bias,    // of a linear
  linear,
  router,  // scores of experts: numbers in F32
  embedding,
  head,
  screen,
};

// Where the loader puts a tensor. A bias goes into the linear that it belongs to, and so does a norm before it.
using Place = std::variant<const float * Layer::*, Linear Layer::*, const float * Model::*, Matrix Model::*>;

struct TensorSpec {
  std::string name;                   // as .bitnet and GGUF files have it
  std::vector<std::string> hf_names;  // as Hugging Face checkpoints have it, one of these; none: they do not have it
  Role role;
  uint32_t rows, cols;  // a vector is one row
  uint32_t layer;       // of those of a layer
  Place place;
  bool turned;       // rows are those of query or key heads, whose pairs are turned by their position
  uint32_t experts;  // of a linear: its rows are those of so many matrices, expert after expert; 0: it is one matrix.
                     // Then hf_names have kExpertNumber in them, and there is a tensor for each expert
};
constexpr std::string_view kExpertNumber = "*";
// The name of one expert's tensor.
std::string expert_name(std::string_view name, uint32_t expert);

// The tensors of a model in the order in which the forward pass meets them. `has` says of the optional ones, by name,
// whether they are there.
using HasTensor = std::function<bool(std::string_view name)>;
std::vector<TensorSpec> tensor_specs(const HyperParameters& hyper, const HasTensor& has);
constexpr std::string_view kEmbeddingName = "token_embd.weight";
constexpr std::string_view kHeadName = "output.weight";
constexpr std::string_view kScreenName = "output.screen";  // a small copy of an F16 head (engine/head.h)
constexpr std::string_view kRopeFactorsName = "rope_freqs.weight";
constexpr std::string_view kShortFactorsName = "rope_factors_short.weight",
                           kLongFactorsName = "rope_factors_long.weight";
constexpr std::string_view kInputNormEnd = "_norm_in.weight";  // of the names of norms before single matrices
// What GGUF files of the family call such a norm.
std::string gguf_input_norm(const Architecture& architecture, std::string_view name);
constexpr std::string_view kInputNormName = "blk.0.attn_q_norm_in.weight";  // of models that have these norms

}  // namespace bitnet
