// SPDX-License-Identifier: MIT
// A vocabulary as the files of a Hugging Face folder.
#pragma once

#include <string>

#include "model_generated.h"

namespace bitnet {

// tokenizer.json, or for a vocabulary with scores SentencePiece's tokenizer.model.
struct HfVocabularyFile {
  const char* name;
  std::string bytes;
};
// Throws Error for what these files cannot hold. Whether all is said that there is to say tells reading them.
HfVocabularyFile hf_vocabulary(const fb::TokenizerT& tokenizer);

// tokenizer_config.json.
std::string hf_tokenizer_config(const fb::ModelT& model);

}  // namespace bitnet
