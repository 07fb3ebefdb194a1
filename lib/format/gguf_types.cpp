// SPDX-License-Identifier: MIT
// What the values of GGUF's tensor types are (ggml-common.h and ggml-quants.c of llama.cpp define them).
#include <cstring>

#include "base/error.h"
#include "base/half.h"
#include "format/gguf.h"

namespace bitnet {
namespace {

uint16_t load16(const std::byte* at) {
  uint16_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

float load_half(const std::byte* at) { return half_to_float(load16(at)); }

int byte_at(const std::byte* data, size_t i) { return std::to_integer<int>(data[i]); }

// 32 int8 behind their F16 scale.
void decode_q8_0(const std::byte* block, float* out) {
  const float scale = load_half(block);
  for (size_t i = 0; i < 32; ++i) out[i] = scale * static_cast<float>(static_cast<int8_t>(block[2 + i]));
}

// 256 six-bit values in two halves of 128: low four bits (64 bytes a half), high two bits (32 bytes a half), then a
// signed scale for every 16 values and an F16 scale for all.
void decode_q6_k(const std::byte* block, float* out) {
  const std::byte* const low = block;
  const std::byte* const high = block + 128;
  const std::byte* const scales = block + 192;
  const float scale = load_half(block + 208);
  for (size_t i = 0; i < 256; ++i) {
    const size_t half = i / 128, quarter = i / 32 % 4, lane = i % 32;
    const int nibble = byte_at(low, 64 * half + 32 * (quarter % 2) + lane) >> 4 * (quarter / 2) & 15;
    const int top = byte_at(high, 32 * half + lane) >> 2 * quarter & 3;
    const auto group = static_cast<int8_t>(scales[i / 16]);
    out[i] = scale * static_cast<float>(group) * static_cast<float>((nibble | top << 4) - 32);
  }
}

// Base-3 digits as fractions of 256, the first one the highest: 32 bytes of five, 16 bytes of five, 4 bytes of four;
// digit n of all bytes of a run comes before digit n + 1 of any.
void decode_tq1_0(const std::byte* block, float* out) {
  struct Run {
    size_t begin, bytes, digits;
  };
  constexpr Run kRuns[] = {{0, 32, 5}, {32, 16, 5}, {48, 4, 4}};
  constexpr unsigned kPowers[] = {1, 3, 9, 27, 81};
  const float scale = load_half(block + 52);
  for (const Run& run : kRuns) {
    for (size_t digit = 0; digit < run.digits; ++digit) {
      for (size_t i = 0; i < run.bytes; ++i) {
        const auto shifted =
            static_cast<uint8_t>(static_cast<unsigned>(byte_at(block, run.begin + i)) * kPowers[digit]);
        *out++ = scale * static_cast<float>((shifted * 3 >> 8) - 1);
      }
    }
  }
}

// Two-bit codes, in two halves of 128 values: value 32 n + i of a half is field n of byte i.
void decode_tq2_0(const std::byte* block, float* out) {
  const float scale = load_half(block + 64);
  for (size_t i = 0; i < 256; ++i) {
    const int code = byte_at(block, 32 * (i / 128) + i % 32) >> 2 * (i / 32 % 4) & 3;
    out[i] = scale * static_cast<float>(code - 1);
  }
}

template <typename Decode>
void decode_blocks(const GgufType& type, const std::byte* data, size_t count, float* out, Decode decode) {
  for (size_t i = 0; i < count / type.block; ++i) decode(data + i * type.block_bytes, out + i * type.block);
}

}  // namespace

void gguf_decode(const GgufType& type, const std::byte* data, size_t count, float* out) {
  switch (type.number) {
    case kGgufF32:
      std::memcpy(out, data, count * sizeof(float));
      return;
    case kGgufF16:
      return decode_blocks(type, data, count, out, [](auto in, float* v) { *v = load_half(in); });
    case kGgufBF16:
      return decode_blocks(type, data, count, out, [](auto in, float* v) { *v = bfloat_to_float(load16(in)); });
    case kGgufQ8_0:
      return decode_blocks(type, data, count, out, decode_q8_0);
    case kGgufQ6_K:
      return decode_blocks(type, data, count, out, decode_q6_k);
    case kGgufTQ1_0:
      return decode_blocks(type, data, count, out, decode_tq1_0);
    case kGgufTQ2_0:
      return decode_blocks(type, data, count, out, decode_tq2_0);
    default:
      fail(BITNET_ERROR_INTERNAL, "GGUF type ", type.name, " has no values by itself");
  }
}

}  // namespace bitnet
