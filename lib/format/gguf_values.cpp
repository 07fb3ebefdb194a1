// SPDX-License-Identifier: MIT
#include "format/gguf_values.h"

#include <cmath>
#include <limits>
#include <locale>
#include <sstream>
#include <type_traits>
#include <utility>

namespace bitnet {
namespace {

const char* name_of(GgufKind kind) {
  switch (kind) {
    case GgufKind::u8:
      return "u8";
    case GgufKind::i8:
      return "i8";
    case GgufKind::u16:
      return "u16";
    case GgufKind::i16:
      return "i16";
    case GgufKind::u32:
      return "u32";
    case GgufKind::i32:
      return "i32";
    case GgufKind::f32:
      return "f32";
    case GgufKind::boolean:
      return "booleans";
    case GgufKind::string:
      return "strings";
    case GgufKind::array:
      return "arrays";
    case GgufKind::u64:
      return "u64";
    case GgufKind::i64:
      return "i64";
    case GgufKind::f64:
      return "f64";
  }
  return "values";
}

// The type and the bytes of a single value, or of the first of an array of equal ones. Null for other arrays and for
// strings.
struct Single {
  GgufKind kind;
  std::span<const std::byte> bytes;
};

std::optional<Single> single(const GgufValue& value) {
  if (value.kind == GgufKind::string) return std::nullopt;
  if (value.kind != GgufKind::array) return Single{value.kind, value.payload};
  if (value.count == 0 || value.element == GgufKind::string || value.element == GgufKind::array) return std::nullopt;
  const auto bytes = value.payload;
  const size_t width = bytes.size() / value.count;
  if (std::memcmp(bytes.data(), bytes.data() + width, bytes.size() - width) != 0) return std::nullopt;
  return Single{value.element, bytes.first(width)};
}

template <typename Use>
bool with_single(const GgufValue& value, const Use& use) {
  const auto one = single(value);
  return one && with_number(one->kind, one->bytes, 0, use);
}

template <typename Whole, typename Number>
std::optional<Whole> as_whole(Number number) {
  if constexpr (std::is_integral_v<Number>) {
    if (std::in_range<Whole>(number)) return static_cast<Whole>(number);
  } else {
    constexpr Number kLimit = Number{9007199254740992};  // 2^53: larger floats are no counts of anything
    const bool negative_allowed = std::is_signed_v<Whole>;
    if (std::trunc(number) == number && number <= kLimit && number >= (negative_allowed ? -kLimit : 0)) {
      return static_cast<Whole>(number);
    }
  }
  return std::nullopt;
}

std::string number_text(GgufKind kind, std::span<const std::byte> bytes) {
  std::ostringstream text;
  text.imbue(std::locale::classic());
  if (kind == GgufKind::boolean) return std::to_integer<int>(bytes[0]) != 0 ? "true" : "false";
  with_number(kind, bytes, 0, [&](auto number) { text << +number; });
  return std::move(text).str();
}

}  // namespace

std::string describe(const GgufValue& value) {
  if (value.kind == GgufKind::string)
    return "the string \"" + std::string(gguf_text(value.payload).substr(0, 100)) + "\"";
  const auto one = single(value);
  if (value.kind != GgufKind::array) {
    const char* const name = value.kind == GgufKind::boolean ? "boolean" : name_of(value.kind);
    return std::string("the ").append(name).append(" ").append(number_text(one->kind, one->bytes));
  }
  const std::string elements = std::to_string(value.count) + " " + name_of(value.element);
  if (value.count == 0) return std::string("an empty array of ") + name_of(value.element);
  if (value.element == GgufKind::string || value.element == GgufKind::array) return "an array of " + elements;
  return "an array of " + elements + (one ? ", each " + number_text(one->kind, one->bytes) : " that differ");
}

std::optional<uint64_t> whole_number(const GgufValue& value) {
  std::optional<uint64_t> result;
  with_single(value, [&](auto number) { result = as_whole<uint64_t>(number); });
  return result;
}

std::optional<double> real_number(const GgufValue& value) {
  std::optional<double> result;
  with_single(value, [&](auto number) { result = static_cast<double>(number); });
  return result;
}

std::optional<bool> truth(const GgufValue& value) {
  const auto one = single(value);
  if (one && one->kind == GgufKind::boolean) return std::to_integer<int>(one->bytes[0]) != 0;
  const auto number = whole_number(value);
  if (!number || *number > 1) return std::nullopt;
  return *number == 1;
}

bool is_no_token(const GgufValue& value) {
  bool none = false;
  with_single(value, [&](auto number) {
    using Number = decltype(number);
    if constexpr (std::is_signed_v<Number>) {
      none = number == Number{-1};
    } else {
      none = sizeof number >= sizeof(uint32_t) && number == std::numeric_limits<Number>::max();
    }
  });
  return none;
}

std::optional<int64_t> whole_element(const GgufValue& array, uint64_t index) {
  std::optional<int64_t> result;
  with_number(array.element, array.payload, index, [&](auto number) { result = as_whole<int64_t>(number); });
  return result;
}

std::optional<double> real_element(const GgufValue& array, uint64_t index) {
  std::optional<double> result;
  with_number(array.element, array.payload, index, [&](auto number) { result = static_cast<double>(number); });
  return result;
}

std::string_view gguf_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace bitnet
