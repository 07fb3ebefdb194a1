// SPDX-License-Identifier: MIT
// An open model file: its metadata and its tensors as the kernels read them, wherever they lie. docs/format.md
// describes the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/buffer.h"
#include "base/file.h"
#include "format/tensor_types.h"
#include "model/architecture.h"
#include "model_generated.h"

namespace bitnet {

struct Tensor {
  std::string_view name;
  fb::Type type;
  uint32_t rows, cols, stride;
  std::span<const std::byte> data;
  std::span<const float> scales, bounds;
  uint64_t checksum;
};

// Whether a tensor's bytes can be used where they lie.
inline bool is_aligned(std::span<const std::byte> data) {
  return reinterpret_cast<uintptr_t>(data.data()) % kCacheLine == 0;
}

class Container {
 public:
  // What a container is made of. The bytes of the tensors lie in `files`, in `owned`, or in memory that the caller
  // keeps.
  struct Parts {
    uint64_t file_bytes = 0;  // size of what it was opened from, a .bitnet file or all files of a GGUF model
    std::vector<MappedFile> files;
    Buffer metadata;  // a verified fb::Model
    std::vector<Buffer> owned;
    std::shared_ptr<const void> source;  // what else the bytes of the tensors may lie in
    std::vector<Tensor> tensors;         // names and scales are views into `metadata`
  };
  explicit Container(Parts parts);
  Container(const Container&) = delete;
  Container& operator=(const Container&) = delete;

  const fb::Model& metadata() const { return *model_; }
  const std::vector<Tensor>& tensors() const { return parts_.tensors; }
  const Tensor* find(std::string_view name) const;
  // Whether this range lies in a mapped file, whose pages can be dropped.
  bool is_mapped(std::span<const std::byte> range) const;

  uint64_t file_bytes() const { return parts_.file_bytes; }
  uint64_t metadata_bytes() const { return parts_.metadata.size(); }
  uint64_t tensor_bytes() const;
  // Memory that belongs to this process alone.
  uint64_t owned_bytes() const;
  // The same for the same weights and vocabulary, however they are stored; differs for any other.
  uint64_t fingerprint() const { return fingerprint_; }

 private:
  uint64_t compute_fingerprint() const;

  Parts parts_;
  const fb::Model* model_;
  std::unordered_map<std::string_view, size_t> index_;
  uint64_t fingerprint_;
};

// A tensor of the directory, without its data: all that can be checked before that is looked for. Throws Error.
Tensor read_tensor(const fb::Tensor& entry);

// Throws unless the container consists of just these tensors, each in its shape and in a type that its role allows.
void check_tensors(const Container& container, const std::vector<TensorSpec>& specs);

}  // namespace bitnet
