// SPDX-License-Identifier: MIT
// What a Hugging Face folder says of a model beside its weights and its vocabulary: config.json,
// generation_config.json, and the files of sentence-transformers.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "model_generated.h"

namespace bitnet {

using OrderedJson = nlohmann::ordered_json;

struct HfDescription {
  const fb::ModelT& model;
  std::vector<float> rope_factors;  // none: no frequency changes
  bool packed = false;              // linear layers, with a scale beside each
  bool input_norms = false, biases = false;
  std::string_view dtype;  // of the numbers: "bfloat16"
};

// transformers' AutoBitLinear multiplies a bias by the scale of its matrix, so that matrices with one are BitLinear's,
// which divides by the scale's reciprocal before the bias is added.
inline bool has_reciprocal_scales(const HfDescription& description) { return description.biases; }

// Throws Error for a model that no class computes. Whether all is said that there is to say tells reading it.
OrderedJson hf_config(const HfDescription& description);

// The tokens that end a text, and what a source in this form said of sampling.
OrderedJson hf_generation_config(const fb::ModelT& model);

// modules.json and the configuration of its pooling. Of models that are meant for embeddings.
OrderedJson hf_modules();
constexpr const char *kHfPoolingFolder = "1_Pooling", *kHfNormalizeFolder = "2_Normalize";
OrderedJson hf_pooling_config(const fb::ModelT& model);

}  // namespace bitnet
