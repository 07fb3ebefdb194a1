// SPDX-License-Identifier: MIT
// An open model file: its metadata and its tensors as the kernels read them, wherever they lie. docs/format.md
// describes the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/buffer.h"
#include "base/file.h"
#include "base/log.h"
#include "base/progress.h"
#include "format/layout.h"
#include "model_generated.h"
#include "packing.h"

namespace bitnet {

enum class HeadType : uint8_t {
  f16,
  int8,
  q6,
  screened,  // f16, with a q5 screen beside it
};
// From some vocabulary on a screen pays: below it the head is a small part of a model.
constexpr HeadType default_head(uint32_t vocabulary) { return vocabulary < 16384 ? HeadType::f16 : HeadType::screened; }

// The order of weights in a GGUF file's I2_S tensors, which the file does not say (see bitnet_i2s_layout).
enum class I2sLayout : uint8_t { automatic, x86, arm, rows };

// What to make of ternary matrices that come as numbers other than -s, 0 and s.
enum class Quantize : uint8_t {
  refuse,
  absmean,  // BitNet b1.58's rule: s the mean of |w|, each weight the nearest of -s, 0, s to it
};

struct OpenOptions {
  // How a GGUF file is converted in memory. A .bitnet file is what it is.
  Packing packing = Packing::i2;
  HeadType head = HeadType::f16;
  I2sLayout layout = I2sLayout::automatic;
  Quantize quantize = Quantize::refuse;

  std::optional<fb::Activation> activation = {};  // of a file that does not name it
  bool verify_checksums = false;                  // of a .bitnet file's tensors; its metadata is always verified
  Progress progress = {};
  Log log = {};
};

struct Tensor {
  std::string_view name;
  fb::Type type;
  uint32_t rows, cols, stride;
  std::span<const std::byte> data;
  std::span<const float> scales, bounds;
  uint64_t checksum;
};

class Container {
 public:
  // What a container is made of. The bytes of the tensors lie in `file`, in `owned`, or in memory that the caller
  // keeps.
  struct Parts {
    uint64_t file_bytes = 0;  // size of the file, .bitnet or GGUF, that it was opened from
    MappedFile file;
    Buffer metadata;  // a verified fb::Model
    std::vector<Buffer> owned;
    std::vector<Tensor> tensors;  // names and scales are views into `metadata`
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

// Says that a file had to be read because its file system cannot map it.
void log_unmapped(const std::string& path, uint64_t bytes, const Log& log);

// Throws unless the container consists of just these tensors, each in its shape and in a type that its role allows.
void check_tensors(const Container& container, const std::vector<TensorSpec>& specs);

// Opens a .bitnet or GGUF file; which of the two, its first bytes say. Throws Error, its message begins with the path.
std::shared_ptr<const Container> open_container(const std::string& path, const OpenOptions& options = {});
// The same of a file in memory, which the caller keeps until the container is gone. Tensors that do not lie on 64 bytes
// there are copied.
std::shared_ptr<const Container> open_container(std::span<const std::byte> file, const OpenOptions& options = {});

}  // namespace bitnet
