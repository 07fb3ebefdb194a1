// SPDX-License-Identifier: MIT
#include <filesystem>
#include <system_error>

#include "format/hf_source.h"

namespace bitnet {

bool is_hf_folder(const std::string& path) {
  std::error_code error;
  const std::filesystem::path file(path);
  if (std::filesystem::is_directory(file, error)) return true;
  const bool part = file.filename() == "config.json" || file.extension() == ".safetensors";
  return part && std::filesystem::is_regular_file(file, error);
}

std::string hf_folder_of(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return path;
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

}  // namespace bitnet
