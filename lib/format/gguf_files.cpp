// SPDX-License-Identifier: MIT
#include "format/gguf_files.h"

#include <algorithm>

#include "base/error.h"
#include "base/path.h"

namespace bitnet {
namespace {

std::string digits(uint64_t number) {
  const std::string text = std::to_string(number);
  return std::string(5 - std::min<size_t>(text.size(), 5), '0') + text;
}

// "-00001-of-00003.gguf"
std::string ending(const GgufSplit& split, uint64_t part) {
  return "-" + digits(part + 1) + "-of-" + digits(split.parts) + ".gguf";
}

// The path without what tells the parts apart.
std::string stem(const std::string& path, const GgufSplit& split) {
  const std::string own = ending(split, split.part);
  require(path.ends_with(own), BITNET_ERROR_UNSUPPORTED, "the file is part ", split.part + 1, " of ", split.parts,
          " of a model; its name must end in ", own, ", so that the others can be found beside it");
  return path.substr(0, path.size() - own.size());
}

void require_all(const std::string& name, const GgufSplit& split) {
  constexpr size_t kMostNamed = 8;
  std::string missing;
  size_t count = 0;
  for (uint64_t part = 1; part < split.parts; ++part) {
    const std::string path = name + ending(split, part);
    if (exists(path)) continue;
    if (++count <= kMostNamed) missing.append(missing.empty() ? "" : ", ").append(path);
  }
  require(count == 0, BITNET_ERROR_NOT_FOUND, "the model is split into ", split.parts, " files, and ",
          counted(count, "part"), count == 1 ? " is" : " are", " missing: ", missing,
          count > kMostNamed ? ", ..." : "");
}

}  // namespace

GgufFiles::GgufFiles(const std::string& path, MappedFile file) {
  const GgufSplit split = Gguf::split(file.bytes());
  files_.push_back(std::move(file));
  if (split.parts == 1) return;
  const std::string name = stem(path, split);
  require(split.part == 0, BITNET_ERROR_UNSUPPORTED, "the file is part ", split.part + 1, " of ", split.parts,
          " of a model; open it by the first, ", name, ending(split, 0));
  require_all(name, split);
  for (uint64_t part = 1; part < split.parts; ++part) {
    const std::string other = name + ending(split, part);
    with_path(other, [&] { files_.emplace_back(other, "a .gguf file"); });
    require(Gguf::is_gguf(files_.back().bytes()), BITNET_ERROR_FORMAT, "part ", part + 1, " of ", split.parts, ", ",
            other, ", is no GGUF file");
  }
}

std::vector<std::span<const std::byte>> GgufFiles::parts() const {
  std::vector<std::span<const std::byte>> parts;
  for (const MappedFile& file : files_) parts.push_back(file.bytes());
  return parts;
}

bool GgufFiles::is_mapped() const { return std::ranges::all_of(files_, &MappedFile::is_mapped); }

uint64_t GgufFiles::bytes() const {
  uint64_t bytes = 0;
  for (const MappedFile& file : files_) bytes += file.bytes().size();
  return bytes;
}

uint64_t GgufFiles::owned_bytes() const {
  uint64_t bytes = 0;
  for (const MappedFile& file : files_) bytes += file.owned_bytes();
  return bytes;
}

}  // namespace bitnet
