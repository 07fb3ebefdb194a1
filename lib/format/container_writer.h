// SPDX-License-Identifier: MIT
// Writes a .bitnet file: tensors as they come, then the metadata, and the header last (docs/format.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/compression.h"
#include "base/file.h"
#include "format/converter.h"

namespace bitnet {

constexpr int kMetadataLevel = 19;        // of Zstandard: small, packed once, and unpacked as fast as any
constexpr unsigned kMostCompressors = 8;  // threads that compress a tensor

class ContainerWriter final : public Sink {
 public:
  // Tensors are compressed if a Zstandard level is given.
  ContainerWriter(const std::string& path, std::optional<int> zstd_level);

  void expect(uint64_t raw_bytes) override;
  // Writes the metadata and the header.
  void finish(const fb::ModelT& model);
  // Gives the finished file its name. Returns its size.
  uint64_t commit();

 private:
  void begin_tensor(fb::TensorT& tensor) override;
  void write_piece(std::span<const std::byte> bytes) override;
  void end_tensor(fb::TensorT& tensor) override;
  bool adopt(fb::TensorT&, std::span<const std::byte>) override { return false; }

  void append(std::span<const std::byte> bytes);
  void align(uint64_t alignment);
  void pad_frame(uint64_t wanted);

  OutputFile file_;
  uint64_t position_;
  uint64_t tensor_begin_ = 0;
  std::optional<Compressor> compressor_;  // none: tensors are stored as they are, and the metadata in a stored frame
};

}  // namespace bitnet
