// SPDX-License-Identifier: MIT
#include "base/path.h"
#include "format/hf_source.h"

namespace bitnet {

bool is_hf_folder(const std::string& path) {
  const PathKind kind = path_kind(path);
  if (kind == PathKind::folder) return true;
  const std::string name = last_part(path);
  return kind == PathKind::file && (name == "config.json" || name.ends_with(".safetensors"));
}

std::string hf_folder_of(const std::string& path) {
  return path_kind(path) == PathKind::folder ? path : folder_of(path);
}

}  // namespace bitnet
