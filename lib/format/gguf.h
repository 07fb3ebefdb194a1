// SPDX-License-Identifier: MIT
// Reads the structure of a GGUF model, versions 2 and 3 (ggml's docs/gguf.md), in one file or in several parts: its
// metadata and where its tensors lie. Every count, length and offset is checked against the bytes that are there before
// it is used.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "format/coded_matrix.h"

namespace bitnet {

// The numbers are GGUF's.
enum class GgufKind : uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };

struct GgufValue {
  std::string_view key;
  GgufKind kind;
  GgufKind element = GgufKind::u8;  // of an array
  uint64_t count = 1;               // of an array
  std::span<const std::byte>
      payload;  // the value, or the elements of an array as they lie; a string without its length
};

// What a type's number means. Some numbers were given to several types.
struct GgufType {
  uint32_t number;
  const char* name;
  // Most types hold values one by one: `block` values of a row lie in `block_bytes` bytes. count: a multiple of block.
  uint32_t block, block_bytes;
  void (*decode)(const std::byte* data, size_t count, float* out);
  // The others hold matrices of trits as a whole.
  std::optional<Coding> coding = {};
  // What else has this number; the sizes of the tensors must be this type's.
  const char* other = nullptr;

  bool readable() const { return decode != nullptr || coding.has_value(); }
};

constexpr uint32_t kGgufF16 = 1;  // the number of a type that is not only decoded

struct GgufTensor {
  std::string_view name;
  const GgufType* type;
  uint64_t rows, cols;  // GGUF's dimensions 1 and 0, those that it does not have being 1; dimension 3 is 1
  uint64_t matrices;    // dimension 2: so many lie one after the other, and `rows` are those of all
  std::span<const std::byte> data;
};

// Which part of a split model a file is, from 0.
struct GgufSplit {
  uint64_t part = 0, parts = 1;
};

class Gguf {
 public:
  static bool is_gguf(std::span<const std::byte> file);
  // Of a GGUF file, looking at its metadata alone.
  static GgufSplit split(std::span<const std::byte> file);

  // One file, or all parts of a split model in turn. Keeps views into them, which must outlive it.
  explicit Gguf(std::span<const std::span<const std::byte>> parts);

  // Of the first part.
  const std::vector<GgufValue>& values() const { return values_; }
  const GgufValue* find(std::string_view key) const;
  // Of all parts.
  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  const GgufTensor* find_tensor(std::string_view name) const;

 private:
  void add_part(std::span<const std::span<const std::byte>> parts, size_t number);

  std::vector<GgufValue> values_;
  std::vector<GgufTensor> tensors_;
  std::unordered_map<std::string_view, size_t> value_index_, tensor_index_;
};

// The strings of an array of strings, one after the other.
class GgufStrings {
 public:
  explicit GgufStrings(const GgufValue& array) : rest_(array.payload), left_(array.count) {}
  uint64_t left() const { return left_; }
  std::string_view next();  // only while some are left

 private:
  std::span<const std::byte> rest_;
  uint64_t left_;
};

// Decodes `count` values, a multiple of the type's block, into floats. Not for matrices of trits.
void gguf_decode(const GgufType& type, const std::byte* data, size_t count, float* out);
// The types with this number that this library reads. Throws if there is none; `tensor` is for the message.
std::span<const GgufType> gguf_types(std::string_view tensor, uint32_t number);

}  // namespace bitnet
