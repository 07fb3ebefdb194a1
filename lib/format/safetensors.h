// SPDX-License-Identifier: MIT
// Reads safetensors files: the length of a header (u64, little-endian), the header (JSON: for each tensor its type, its
// shape and where its data lie), the data. One file, or the shards that an index names. Every length, count and offset
// is checked against the bytes that are there before it is used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/file.h"

namespace bitnet {

// The names of a checkpoint's only file, and of the list of several.
constexpr const char kSafetensorsFile[] = "model.safetensors", kSafetensorsIndex[] = "model.safetensors.index.json";

enum class Safetype : uint8_t { f64, f32, f16, bf16, i8, u8, other };

struct Safetensor {
  std::string name;
  Safetype type;
  std::string type_name;  // as the file has it: "BF16"
  uint64_t rows, cols;    // a vector is one row, a single number 1 x 1; of more than two dimensions cols is the last
  size_t dimensions;      // of the file's shape; rows is the product of all but the last
  std::span<const std::byte> data;
};

// The tensors of one file, in the order in which they lie there. They are views into it.
std::vector<Safetensor> read_safetensors(std::span<const std::byte> file);

// Values from `first` on as floats. Not of another type than the six.
void safetensor_values(const Safetensor& tensor, uint64_t first, std::span<float> out);

// All tensors of a checkpoint.
class Safetensors {
 public:
  // Maps model.safetensors; where there is none, the shards of model.safetensors.index.json. Errors begin with the
  // file's name, without the folder.
  explicit Safetensors(const std::string& folder);

  const std::vector<Safetensor>& tensors() const { return tensors_; }
  const Safetensor* find(const std::string& name) const;
  uint64_t file_bytes() const;
  // Memory of this process alone, where a file system cannot map files.
  uint64_t owned_bytes() const;
  // Tensors' bytes that are pages of a file can be dropped.
  bool is_mapped() const { return owned_bytes() == 0; }

 private:
  void open_shards(const std::string& folder);
  void add(const std::string& folder, const std::string& name);

  std::vector<MappedFile> files_;
  std::vector<Safetensor> tensors_;
  std::unordered_map<std::string, size_t> by_name_;
};

}  // namespace bitnet
