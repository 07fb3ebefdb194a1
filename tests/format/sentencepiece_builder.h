// SPDX-License-Identifier: MIT
// Files of SentencePiece (tokenizer.model), field by field.
#pragma once

#include <bit>
#include <cstdint>
#include <string>

namespace bitnet_test::protobuf {

inline std::string varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out + static_cast<char>(value);
}

inline std::string number(int field, uint64_t value) { return varint(field << 3) + varint(value); }

inline std::string message(int field, const std::string& bytes) {
  return varint(field << 3 | 2) + varint(bytes.size()) + bytes;
}

inline std::string real(int field, float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  std::string out = varint(field << 3 | 5);
  for (int i = 0; i < 4; ++i) out += static_cast<char>(bits >> 8 * i);
  return out;
}

inline std::string piece(const std::string& text, float score, int type) {
  return message(1, message(1, text) + real(2, score) + (type == 1 ? "" : number(3, type)));
}

constexpr int kBpe = 2;

inline std::string trainer(uint64_t kind) { return message(2, number(3, kind)); }

// A normalizer that changes nothing but spaces.
inline std::string identity() { return message(3, message(1, "identity") + number(4, 0)); }

inline std::string pieces() {
  return piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3) + piece("<0x63>", 0, 6) + piece("a", -3, 1) +
         piece("b", -4, 1) + piece("\u2581", -5, 1) + piece("\u2581a", -1, 1) + piece("ab", 0, 1) + piece("<x>", 0, 4);
}

}  // namespace bitnet_test::protobuf
