// SPDX-License-Identifier: MIT
// Writes a checkpoint's tensors: model.safetensors, or above a size shards and the index that names them, as
// transformers does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/folder.h"

namespace bitnet {

enum class WrittenType : uint8_t { f32, f16, bf16, u8 };
uint32_t bytes_of(WrittenType type);

class SafetensorsWriter {
 public:
  // Plans a tensor; returns its number.
  size_t add(std::string name, WrittenType type, std::vector<uint64_t> shape);

  // After all tensors: makes the files, in as many shards as it takes. A tensor that is larger has one of its own.
  void begin(OutputFolder& folder, uint64_t shard_bytes);
  void write(size_t tensor, uint64_t offset, std::span<const std::byte> bytes);
  // Gives the files their names within the folder.
  void finish(OutputFolder& folder);

  uint64_t tensor_bytes() const;  // of all
  uint64_t file_bytes() const { return file_bytes_; }

 private:
  struct Tensor {
    std::string name;
    WrittenType type;
    std::vector<uint64_t> shape;
    uint64_t bytes;
    size_t shard = 0;
    uint64_t place = 0;  // in the data of the shard
  };
  struct Shard {
    std::vector<size_t> tensors;
    uint64_t data = 0;  // where the data begin
    std::unique_ptr<OutputFile> file;
  };

  void divide(uint64_t shard_bytes);
  std::string header(Shard& shard);
  std::string name_of(size_t shard) const;
  std::string index() const;

  std::vector<Tensor> tensors_;
  std::vector<Shard> shards_;
  uint64_t file_bytes_ = 0;
};

}  // namespace bitnet
