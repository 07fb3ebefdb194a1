// SPDX-License-Identifier: MIT
#include "base/path.h"

#include <cinttypes>
#include <cstdio>

#include "base/random.h"

namespace bitnet {
namespace {

// Where the last part begins.
size_t last_part_begin(const std::string& path) {
  size_t begin = path.size();
  while (begin > 0 && !is_separator(path[begin - 1])) --begin;
  return begin;
}

}  // namespace

std::string folder_of(const std::string& path) {
  size_t end = last_part_begin(path);
  if (end == 0) return ".";
  // Separators at the end are left out, but for a root's: "/" and "C:\" are folders, "C:" another one.
  const bool drive = is_separator(':') && (path[end - 1] == ':' || (end > 1 && path[end - 2] == ':'));
  while (!drive && end > 1 && is_separator(path[end - 1])) --end;
  return path.substr(0, end);
}

std::string last_part(const std::string& path) { return path.substr(last_part_begin(path)); }

std::string joined(const std::string& folder, const std::string& name) {
  const bool ends = !folder.empty() && is_separator(folder.back());
  return folder + (ends ? "" : "/") + name;
}

std::string temporary_path(const std::string& folder) {
  char name[40];
  std::snprintf(name, sizeof name, "bitnet-%016" PRIx64 ".part", random_bits());
  return joined(folder, name);
}

}  // namespace bitnet
