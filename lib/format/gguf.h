// SPDX-License-Identifier: MIT
// Reads the structure of a GGUF file, versions 2 and 3 (ggml's docs/gguf.md): its metadata and where its tensors lie.
// Every count, length and offset is checked against the bytes that are there before it is used.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace bitnet {

// The numbers are GGUF's.
enum class GgufKind : uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };

struct GgufValue {
  std::string_view key;
  GgufKind kind;
  GgufKind element = GgufKind::u8;     // of an array
  uint64_t count = 1;                  // of an array
  std::span<const std::byte> payload;  // the value, or the elements of an array as they lie; a string without its length
};

// A tensor type: `block` values lie in `block_bytes` bytes. I2_S has no `decode`, since its scale lies elsewhere.
struct GgufType {
  uint32_t number;
  const char* name;
  uint32_t block, block_bytes;
  void (*decode)(const std::byte* data, size_t count, float* out);  // count: a multiple of block
};

// Numbers of types that are not only decoded.
enum : uint32_t { kGgufF16 = 1, kGgufI2_S = 36 };

struct GgufTensor {
  std::string_view name;
  const GgufType* type;
  uint64_t rows, cols;  // GGUF's dimensions 1 and 0; dimensions 2 and 3 are 1, and so are those that it does not have
  std::span<const std::byte> data;
};

class Gguf {
 public:
  static bool is_gguf(std::span<const std::byte> file);
  // Keeps views into the file, which must outlive it.
  explicit Gguf(std::span<const std::byte> file);

  const std::vector<GgufValue>& values() const { return values_; }
  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  const GgufValue* find(std::string_view key) const;
  const GgufTensor* find_tensor(std::string_view name) const;

 private:
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

// Decodes `count` values, a multiple of the type's block, into floats. Not for I2_S, whose scale lies elsewhere.
void gguf_decode(const GgufType& type, const std::byte* data, size_t count, float* out);
// The type with this number. Throws if this library does not read it; `tensor` is for the message.
const GgufType& gguf_type(std::string_view tensor, uint32_t number);

}  // namespace bitnet
