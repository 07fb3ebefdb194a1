// SPDX-License-Identifier: MIT
// Where two descriptions of a model say different things, in words: "layers is 3, originally 2".
#pragma once

#include <string>
#include <vector>

#include "model_generated.h"

namespace bitnet {

// Names of architectures do not count where their graph is the same.
std::vector<std::string> differing_hyperparameters(const fb::ModelT& ours, const fb::ModelT& theirs);
// What makes other tokens of a text, or ends it elsewhere. Rules that cut texts alike may have two names, and a token
// that ends a text may be named twice; a token that no text makes may be called unused or not.
std::vector<std::string> differing_tokenizers(const fb::TokenizerT& ours, const fb::TokenizerT& theirs);

}  // namespace bitnet
