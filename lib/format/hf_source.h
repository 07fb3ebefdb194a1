// SPDX-License-Identifier: MIT
// A Hugging Face checkpoint as the source of a conversion.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/log.h"
#include "format/source.h"

namespace bitnet {

// Whether the path is a folder, or a config.json or a .safetensors file, which mean their folder.
bool is_hf_folder(const std::string& path);
// That folder.
std::string hf_folder_of(const std::string& path);

struct HfSourceOptions {
  Log log = {};
};
struct HfCheckpoint {
  std::unique_ptr<Source> source;
  uint64_t file_bytes;   // of all files of weights
  uint64_t owned_bytes;  // what of them is memory of this process alone, because the file system cannot map files
};
// A folder of config.json, weights and vocabulary, or one of its files. Errors begin with the name of the file in
// question, without the folder.
HfCheckpoint open_hf_checkpoint(const std::string& path, const HfSourceOptions& options);

}  // namespace bitnet
