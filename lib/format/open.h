// SPDX-License-Identifier: MIT
// Opens models of any kind: .bitnet files as they are, GGUF files and Hugging Face folders converted in memory.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/log.h"
#include "base/progress.h"
#include "format/container.h"
#include "format/converter.h"
#include "format/source.h"

namespace bitnet {

struct OpenOptions {
  // How a GGUF file is converted in memory. A .bitnet file is what it is.
  Packing packing = Packing::i2;
  Dense dense = Dense::f16;
  HeadType head = HeadType::f16;
  std::optional<ActivationBits> activations = {};
  I2sLayout layout = I2sLayout::automatic;
  Quantize quantize = Quantize::refuse;

  std::optional<fb::Activation> activation = {};  // of a file that does not name it
  bool verify_checksums = false;                  // of a .bitnet file's tensors; its metadata is always verified
  Progress progress = {};
  Log log = {};
};

// Says that a file had to be read because its file system cannot map it.
void log_unmapped(const std::string& path, uint64_t bytes, const Log& log);

// Opens a .bitnet or GGUF file; which of the two, its first bytes say; or a Hugging Face folder, or a file of one. Throws
// Error, its message begins with the path.
std::shared_ptr<const Container> open_container(const std::string& path, const OpenOptions& options = {});
// The same of a file in memory, which the caller keeps until the container is gone. Tensors that do not lie on 64 bytes
// there are copied.
std::shared_ptr<const Container> open_container(std::span<const std::byte> file, const OpenOptions& options = {});

}  // namespace bitnet
