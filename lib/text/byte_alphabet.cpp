// SPDX-License-Identifier: MIT
#include "text/byte_alphabet.h"

#include <array>

#include "text/utf8.h"

namespace bitnet {
namespace {

constexpr bool stands_for_itself(char32_t c) {
  return (c >= 0x21 && c <= 0x7E) || (c >= 0xA1 && c <= 0xFF && c != 0xAD);
}

struct Alphabet {
  std::array<char32_t, 256> letter{};  // of each byte
  std::array<uint8_t, 256> shifted{};  // the byte that U+0100 + i stands for
  char32_t end = 0x100;                // behind the last shifted letter
};

constexpr Alphabet kAlphabet = [] {
  Alphabet alphabet;
  for (char32_t byte = 0; byte < 256; ++byte) {
    if (stands_for_itself(byte)) {
      alphabet.letter[byte] = byte;
    } else {
      alphabet.shifted[alphabet.end - 0x100] = static_cast<uint8_t>(byte);
      alphabet.letter[byte] = alphabet.end++;
    }
  }
  return alphabet;
}();

}  // namespace

char32_t byte_to_alphabet(uint8_t byte) { return kAlphabet.letter[byte]; }

void append_spelled_bytes(std::string_view spelling, std::string& out) {
  while (!spelling.empty()) {
    const Utf8Step step = next_utf8(spelling);
    if (step.kind == Utf8Step::Kind::valid && stands_for_itself(step.point)) {
      out += static_cast<char>(step.point);
    } else if (step.kind == Utf8Step::Kind::valid && step.point >= 0x100 && step.point < kAlphabet.end) {
      out += static_cast<char>(kAlphabet.shifted[step.point - 0x100]);
    } else {
      out += spelling.substr(0, step.size);
    }
    spelling.remove_prefix(step.size);
  }
}

}  // namespace bitnet
