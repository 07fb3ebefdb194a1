// SPDX-License-Identifier: MIT
// Turns a model into the form that the kernels read, tensor by tensor, a few MiB at a time. What becomes of the bytes
// is the sink's business: a file (ContainerWriter) or memory.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/hash.h"
#include "base/progress.h"
#include "format/container.h"
#include "format/source.h"

namespace bitnet {

// A tensor of a file to come, without what is only known when it is written.
std::unique_ptr<fb::TensorT> plan_tensor(const TensorSpec& spec, std::string_view name, fb::Type type);

class Sink {
 public:
  virtual ~Sink() = default;

  // A tensor, its type and shape filled in, whose raw_size bytes will follow in pieces.
  void begin(fb::TensorT& tensor);
  void write(std::span<const std::byte> bytes);
  void end();
  // Instead of these three: lets the product refer to the tensor's bytes, which outlive it, if that can be.
  bool keep(fb::TensorT& tensor, std::span<const std::byte> bytes);

  // Told before the first tensor: all that will come.
  virtual void expect(uint64_t raw_bytes) = 0;

 protected:
  virtual void begin_tensor(fb::TensorT& tensor) = 0;
  virtual void write_piece(std::span<const std::byte> bytes) = 0;
  // Fills in where and how the tensor is stored.
  virtual void end_tensor(fb::TensorT& tensor) = 0;
  // Refers to the bytes instead of copying them, if it can.
  virtual bool adopt(fb::TensorT& tensor, std::span<const std::byte> bytes) = 0;

 private:
  Hasher hasher_;
  fb::TensorT* current_ = nullptr;
  uint64_t missing_ = 0;
};

// Converting takes a tensor in pieces of this many bytes, of the values in their widest form; this many are in memory.
constexpr size_t kPieceBytes = size_t{4} << 20, kPiecesAtOnce = 8;

// How matrices that are not ternary are kept.
enum class Dense : uint8_t {
  f16,  // rounded where F16 does not hold a value
  f32,
  int8,  // rounded, with a scale for each row
};

struct ConverterOptions {
  Packing packing = Packing::i2;  // of ternary matrices with int8 activations
  Dense dense = Dense::f16;
  HeadType head = HeadType::f16;
  Quantize quantize = Quantize::refuse;
  std::optional<ActivationBits> activations = {};     // null: as the source says or its weights show
  bitnet_log_level rounding_level = BITNET_LOG_INFO;  // at which the log tells what was rounded
  Log log = {};
};

// Converts everything, and returns the metadata with its tensors.
fb::ModelT convert_model(const Source& source, const ConverterOptions& options, Sink& sink, const Progress& progress);

}  // namespace bitnet
