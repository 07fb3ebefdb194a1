// SPDX-License-Identifier: MIT
#include "base/path.h"

#include <filesystem>
#include <system_error>

#include "base/error.h"

namespace bitnet {

namespace fs = std::filesystem;

PathKind path_kind(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) return PathKind::missing;
  if (fs::is_regular_file(status)) return PathKind::file;
  return fs::is_directory(status) ? PathKind::folder : PathKind::other;
}

std::optional<uint64_t> file_size(const std::string& path) {
  std::error_code error;
  const uint64_t size = fs::file_size(path, error);
  return error ? std::nullopt : std::optional(size);
}

std::string link_target(const std::string& path) {
  std::error_code error;
  const fs::path target = fs::read_symlink(path, error);
  return error ? "" : target.string();
}

std::vector<std::string> names_in(const std::string& folder, size_t most) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end && names.size() < most;
       entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  require(!error, BITNET_ERROR_IO, "cannot list the folder: ", error.message());
  return names;
}

std::string full_path(const std::string& path) {
  std::error_code error;
  const fs::path full = fs::weakly_canonical(path, error);
  return error ? path : full.string();
}

bool is_separator(char c) { return c == '/'; }

}  // namespace bitnet
