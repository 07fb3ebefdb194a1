// SPDX-License-Identifier: MIT
// The files of a GGUF model: one, or NAME-00001-of-00003.gguf and the parts beside it.
#pragma once

#include <string>
#include <vector>

#include "base/file.h"
#include "format/gguf.h"

namespace bitnet {

class GgufFiles {
 public:
  // `file` is the GGUF file at `path`. If it is the first of several parts, the others are mapped as well. Throws Error
  // if it is another part, naming the first one, or if parts are missing, naming them.
  GgufFiles(const std::string& path, MappedFile file);

  std::vector<std::span<const std::byte>> parts() const;
  // Whether the bytes of all parts are pages of files.
  bool is_mapped() const;
  uint64_t bytes() const;
  // Memory of this process alone.
  uint64_t owned_bytes() const;

  std::vector<MappedFile> take() && { return std::move(files_); }

 private:
  std::vector<MappedFile> files_;
};

}  // namespace bitnet
