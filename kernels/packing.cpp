// SPDX-License-Identifier: MIT
#include "packing.h"

#include <array>

namespace bitnet {
namespace {

// The t5 byte of a number of five base-3 digits: the smallest fraction of 256 that is not below v / 243.
constexpr uint8_t t5_byte(unsigned v) { return static_cast<uint8_t>((256 * v + 242) / 243); }

// Whether a byte is one of the 243 that t5 uses.
constexpr std::array<bool, 256> kIsT5 = [] {
  std::array<bool, 256> is{};
  for (unsigned v = 0; v < 243; ++v) is[t5_byte(v)] = true;
  return is;
}();

template <Packing p>
uint8_t encode(const uint8_t* digits) {
  switch (p) {
    case Packing::i2:
      return static_cast<uint8_t>(digits[0] | digits[1] << 2 | digits[2] << 4 | digits[3] << 6);
    case Packing::t5:
      return t5_byte(81u * digits[0] + 27u * digits[1] + 9u * digits[2] + 3u * digits[3] + digits[4]);
  }
}

template <Packing p>
void pack(const int8_t* trits, size_t stride, size_t rows, size_t cols, uint8_t* out) {
  constexpr size_t kBlock = weights_per_block(p);
  for (size_t first = 0; first < cols; first += kBlock) {
    const size_t inside = cols - first < kBlock ? cols - first : kBlock;
    for (size_t row = 0; row < kGroupRows; ++row) {
      uint8_t digits[kBlock];
      for (uint8_t& digit : digits) digit = 1;
      if (row < rows) {
        const int8_t* from = trits + row * stride + first;
        for (size_t i = 0; i < inside; ++i) digits[i] = static_cast<uint8_t>(from[i] + 1);
      }
      for (size_t i = 0; i < kBlockBytes; ++i) *out++ = encode<p>(digits + i * weights_per_byte(p));
    }
  }
}

bool decode(Packing p, unsigned byte, uint8_t* digits) {
  switch (p) {
    case Packing::i2:
      for (int j = 0; j < 4; ++j) digits[j] = byte >> 2 * j & 3;
      return (byte & byte >> 1 & 0x55) == 0;
    case Packing::t5:
      if (!kIsT5[byte]) return false;
      for (int j = 0; j < 5; ++j) {
        digits[j] = static_cast<uint8_t>(3 * byte >> 8);
        byte = 3 * byte & 255;
      }
      return true;
  }
  return false;
}

}  // namespace

void pack_group(Packing p, const int8_t* trits, size_t stride, size_t rows, size_t cols, uint8_t* out) {
  switch (p) {
    case Packing::i2:
      return pack<Packing::i2>(trits, stride, rows, cols, out);
    case Packing::t5:
      return pack<Packing::t5>(trits, stride, rows, cols, out);
  }
}

bool unpack_group(Packing p, const uint8_t* packed, size_t rows, size_t cols, int8_t* trits, size_t stride) {
  const size_t per_byte = weights_per_byte(p), per_block = weights_per_block(p), blocks = blocks_per_row(p, cols);
  for (size_t block = 0; block < blocks; ++block) {
    for (size_t row = 0; row < kGroupRows; ++row) {
      for (size_t i = 0; i < kBlockBytes; ++i) {
        const size_t first = block * per_block + i * per_byte;
        uint8_t digits[5];
        if (!decode(p, *packed++, digits)) return false;
        for (size_t j = 0; j < per_byte; ++j) {
          if (row < rows && first + j < cols) trits[row * stride + first + j] = static_cast<int8_t>(digits[j] - 1);
        }
      }
    }
  }
  return true;
}

}  // namespace bitnet
