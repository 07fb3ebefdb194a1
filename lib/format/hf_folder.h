// SPDX-License-Identifier: MIT
// A folder as Hugging Face lays out checkpoints: what it holds, and what its files say besides the model's shape,
// weights and vocabulary.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model_generated.h"

namespace bitnet {

// Of a packed matrix.
constexpr uint32_t kHfRowsInByte = 4;

// Throws Error for a folder that holds something else than a checkpoint of safetensors, saying what it holds.
void check_hf_folder(const std::string& folder);

// The last part of the path; of Hugging Face's cache, what was fetched: "microsoft/bitnet-b1.58-2B-4T".
std::string hf_name(const std::string& folder);
// By the README's front matter; "" if it does not say, or cannot be read.
std::string hf_license(const std::string& folder);
// By what sentence-transformers lays beside a model: modules.json, and the configuration of the pooling that it names.
// Throws Error for another network behind the model's, or a pooling that libbitnet does not have.
fb::Pooling hf_pooling(const std::string& folder);
// The single values of config.json and generation_config.json.
std::vector<std::unique_ptr<fb::KeyValueT>> hf_notes(const std::string& folder);

}  // namespace bitnet
