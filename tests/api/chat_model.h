// SPDX-License-Identifier: MIT
// A small random model that converses: its tokens are the bytes, and what templates write.
#pragma once

#include <fstream>
#include <string>
#include <vector>

#include "format/sample_model.h"
#include "test_model.h"
#include "text/byte_alphabet.h"
#include "text/utf8.h"

namespace bitnet_test {

// The bytes, then every token that a known template writes, then one that is no control token.
inline const std::vector<std::string> kControls = {
    "<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>", "<|im_start|>",
    "<|im_end|>",        "<|system|>",      "<|user|>",   "<|assistant|>",       "<|end|>",           "<start_of_turn>",
    "<end_of_turn>",     "[INST]",          "[/INST]",
};
inline const std::string kThink = "<think>";
constexpr bitnet_token kBos = 256, kEos = 257, kEot = 258, kThinkToken = 256 + 15;

inline SampleModel chat_model(const std::string& chat_template) {
  SampleModel model = small_model();
  for (int byte = 0; byte < 256; ++byte) {
    std::string piece;
    bitnet::append_utf8(bitnet::byte_to_alphabet(static_cast<uint8_t>(byte)), piece);
    model.tokens.push_back(piece);
  }
  model.types.assign(256, 1);
  for (const std::string& token : kControls) model.tokens.push_back(token), model.types.push_back(3);
  model.tokens.push_back(kThink), model.types.push_back(4);
  model.vocabulary = static_cast<uint32_t>(model.tokens.size());
  model.bos = kBos, model.eos = kEos;
  model.chat_template = chat_template;
  return model.draw();
}

// Written to a file; its path.
inline std::string chat_gguf(const std::string& name, const std::string& chat_template) {
  std::string path = temporary_folder() + "/" + name + ".gguf";
  SampleModel model = chat_model(chat_template);
  std::ofstream(path, std::ios::binary) << model.gguf().build();
  return path;
}

}  // namespace bitnet_test
