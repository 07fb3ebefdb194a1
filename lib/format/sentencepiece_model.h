// SPDX-License-Identifier: MIT
// tokenizer.model, the file of SentencePiece: a protocol buffer (sentencepiece_model.proto). Of its kinds BPE is read.
#pragma once

#include <string_view>

#include "format/tokenizer_json.h"

namespace bitnet {

TokenizerFile read_sentencepiece_model(std::string_view bytes);

}  // namespace bitnet
