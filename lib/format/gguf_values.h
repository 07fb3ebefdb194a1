// SPDX-License-Identifier: MIT
// What a GGUF value means, whatever type its writer gave it. Files in the wild have counts as u8 to u64, i32, i64 and
// floats, booleans as 0 and 1, and one value for each layer where one for all would do.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>

#include "format/gguf.h"

namespace bitnet {

// What is there, in words, for messages: "the i32 -1", "an array of 3 u32 that differ".
std::string describe(const GgufValue& value);

// A single number, or an array of equal ones. Null for anything else, a boolean included.
std::optional<uint64_t> whole_number(const GgufValue& value);  // not negative; a float without a fraction is one too
std::optional<double> real_number(const GgufValue& value);
// A boolean, or the number 0 or 1, or an array of equal ones.
std::optional<bool> truth(const GgufValue& value);
// How writers say that there is no such token: -1, or all bits set.
bool is_no_token(const GgufValue& value);
// Element of an array. Null for what is no number (or no whole one), and in an array of something else.
std::optional<int64_t> whole_element(const GgufValue& array, uint64_t index);
std::optional<double> real_element(const GgufValue& array, uint64_t index);

std::string_view gguf_text(std::span<const std::byte> bytes);

// Calls use(value) with the number's own type; false for what is no number.
template <typename Use>
bool with_number(GgufKind kind, std::span<const std::byte> bytes, uint64_t index, const Use& use) {
  const auto load = [&](auto number) {
    std::memcpy(&number, bytes.data() + index * sizeof number, sizeof number);
    use(number);
    return true;
  };
  switch (kind) {
    case GgufKind::u8:
      return load(uint8_t{});
    case GgufKind::i8:
      return load(int8_t{});
    case GgufKind::u16:
      return load(uint16_t{});
    case GgufKind::i16:
      return load(int16_t{});
    case GgufKind::u32:
      return load(uint32_t{});
    case GgufKind::i32:
      return load(int32_t{});
    case GgufKind::u64:
      return load(uint64_t{});
    case GgufKind::i64:
      return load(int64_t{});
    case GgufKind::f32:
      return load(float{});
    case GgufKind::f64:
      return load(double{});
    case GgufKind::boolean:
    case GgufKind::string:
    case GgufKind::array:
      return false;
  }
  return false;
}

}  // namespace bitnet
