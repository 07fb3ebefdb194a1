// SPDX-License-Identifier: MIT
// Reads .bitnet files (docs/format.md). Nothing is converted here.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>

#include "base/log.h"
#include "base/progress.h"
#include "format/container.h"

namespace bitnet {

struct ReadOptions {
  std::optional<fb::Activation> activation = {};  // of a file that does not name it
  bool verify_checksums = false;                  // of the tensors; the metadata is always verified
  Progress progress = {};
  Log log = {};
};

bool is_bitnet_file(std::span<const std::byte> file);

// `mapped` is the mapping that the file's bytes lie in; empty where the caller keeps them until the container is gone.
// Tensors that cannot be used where they lie are unpacked or copied. Throws Error.
std::shared_ptr<const Container> read_bitnet_file(std::span<const std::byte> file, MappedFile mapped,
                                                  const ReadOptions& options);

}  // namespace bitnet
