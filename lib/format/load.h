// SPDX-License-Identifier: MIT
// From a file's tensors and metadata to the model that the engine computes.
#pragma once

#include <memory>
#include <string>

#include "format/container.h"
#include "model/model.h"

namespace bitnet {

// Checks that the container holds a complete model of a known architecture, every tensor in the shape that the
// hyperparameters ask for, every scale finite and positive, and fills in the views. Throws Error otherwise.
Model load_model(std::shared_ptr<const Container> container);

// Throws Error unless the metadata holds a tokenizer that can be used.
void check_tokenizer(const fb::Model& metadata);

// Whether a file's metadata makes a model that can be used, tokenizer included; throws Error if not. With verify() of
// its tensors, that is all there is to check.
void check_model(const std::string& path);

}  // namespace bitnet
