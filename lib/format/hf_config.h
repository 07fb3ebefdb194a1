// SPDX-License-Identifier: MIT
// What a Hugging Face checkpoint's config.json says of its model.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/json.h"
#include "model_generated.h"

namespace bitnet {

constexpr size_t kMaxConfig = size_t{1} << 20;  // bytes of a configuration

// How the weights of linear layers are meant.
enum class HfWeights : uint8_t {
  plain,       // as they are
  rounded,     // by BitNet's rule, absmean, whatever they are
  master,      // likewise, unless they are ternary already: nothing is said
  divided,     // codes, by weight_scale
  multiplied,  // codes, with weight_scale
};

struct HfConfig {
  std::string architecture;  // by the name that model/architecture.h has for it
  fb::HyperParametersT hyper;
  std::vector<float> rope_factors;  // none: no frequency changes
  HfWeights weights = HfWeights::plain;
  std::optional<bool> input_norms;    // before each linear layer; nothing: the quantization does not say
  std::optional<uint32_t> stretched;  // max_position_embeddings, where hyper.context is less: as far as one set of
                                      // rotary factors holds
  std::optional<bool> tied, attention_bias;
  bool headless = false;  // the class is the network alone, which makes embeddings
};

// The class that computes an architecture, with a head or without, and its model_type. Throws if there is none.
struct HfClassName {
  std::string_view name, model_type;
};
HfClassName hf_class(std::string_view architecture, bool headless);

// Throws Error for what no supported model has, naming the key.
HfConfig read_hf_config(const Json& json);

}  // namespace bitnet
