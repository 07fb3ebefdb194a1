// SPDX-License-Identifier: MIT
// GGUF's tensor types: their numbers and names, and what their values are (ggml-common.h and ggml-quants.c of llama.cpp
// define them). Products and sums are rounded one by one, as llama.cpp rounds them, so the values are the same bits.
#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "base/error.h"
#include "base/half.h"
#include "format/gguf.h"

namespace bitnet {
namespace {

template <typename Number>
Number load(const std::byte* at) {
  Number value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

float load_half(const std::byte* at) { return half_to_float(load<uint16_t>(at)); }

int byte_at(const std::byte* data, size_t i) { return std::to_integer<int>(data[i]); }

// Value i of 32 codes of four bits in 16 bytes: the first 16 in the low halves.
int nibble_at(const std::byte* data, size_t i) { return byte_at(data, i % 16) >> (i < 16 ? 0 : 4) & 15; }

// The 16 values of a code in IQ4_NL and IQ4_XS, finer around zero.
constexpr int8_t kUnevenSteps[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

void decode_f32(const std::byte* in, float* out) { *out = load<float>(in); }
void decode_f64(const std::byte* in, float* out) { *out = static_cast<float>(load<double>(in)); }
void decode_f16(const std::byte* in, float* out) { *out = load_half(in); }
void decode_bf16(const std::byte* in, float* out) { *out = bfloat_to_float(load<uint16_t>(in)); }

// Q4_0, Q4_1: an F16 scale, in Q4_1 an F16 minimum, codes of four bits.
void decode_q4_0(const std::byte* block, float* out) {
  const float scale = load_half(block);
  for (size_t i = 0; i < 32; ++i) out[i] = scale * static_cast<float>(nibble_at(block + 2, i) - 8);
}

void decode_q4_1(const std::byte* block, float* out) {
  const float scale = load_half(block), minimum = load_half(block + 2);
  for (size_t i = 0; i < 32; ++i) out[i] = scale * static_cast<float>(nibble_at(block + 4, i)) + minimum;
}

// Q5_0, Q5_1: the same with the codes' fifth bits, a bit a code, before their lower four.
int five_bits_at(const std::byte* data, size_t i) {
  return nibble_at(data + 4, i) | static_cast<int>(load<uint32_t>(data) >> i & 1) << 4;
}

void decode_q5_0(const std::byte* block, float* out) {
  const float scale = load_half(block);
  for (size_t i = 0; i < 32; ++i) out[i] = scale * static_cast<float>(five_bits_at(block + 2, i) - 16);
}

void decode_q5_1(const std::byte* block, float* out) {
  const float scale = load_half(block), minimum = load_half(block + 2);
  for (size_t i = 0; i < 32; ++i) out[i] = scale * static_cast<float>(five_bits_at(block + 4, i)) + minimum;
}

// ik_llama.cpp's Q6_0: an F16 scale, the codes' upper two bits (byte i: codes i, i + 16, i + 8, i + 24), lower four.
void decode_q6_0(const std::byte* block, float* out) {
  const float scale = load_half(block);
  for (size_t i = 0; i < 32; ++i) {
    const int top = byte_at(block + 2, i % 8) >> (i % 16 / 8 * 4 + i / 16 * 2) & 3;
    out[i] = scale * static_cast<float>((nibble_at(block + 10, i) | top << 4) - 32);
  }
}

// 32 int8 behind their F16 scale.
void decode_q8_0(const std::byte* block, float* out) {
  const float scale = load_half(block);
  for (size_t i = 0; i < 32; ++i) out[i] = scale * static_cast<float>(static_cast<int8_t>(block[2 + i]));
}

// The two-bit codes of 256 values in 64 bytes: value 32 n + i of a half of 128 is field n of byte i.
int two_bits_at(const std::byte* data, size_t i) {
  return byte_at(data, 32 * (i / 128) + i % 32) >> 2 * (i / 32 % 4) & 3;
}

// The four-bit codes of 256 values in 128 bytes: 32 in the low halves of 32 bytes, the next 32 in their high halves.
int four_bits_at(const std::byte* data, size_t i) {
  return byte_at(data, 32 * (i / 64) + i % 32) >> 4 * (i / 32 % 2) & 15;
}

// Q2_K: for every 16 values a byte with scale (low half) and minimum, the codes, F16 scales of the scales and minimums.
void decode_q2_k(const std::byte* block, float* out) {
  const float scale = load_half(block + 80), minimum = load_half(block + 82);
  for (size_t i = 0; i < 256; ++i) {
    const int group = byte_at(block, i / 16);
    const float step = scale * static_cast<float>(group & 15), least = minimum * static_cast<float>(group >> 4);
    out[i] = step * static_cast<float>(two_bits_at(block + 16, i)) - least;
  }
}

// Q3_K: the codes' third bits (a byte for each of 32 columns, a bit for each of eight rows), their lower two, then a
// six-bit scale for every 16 values, 32 meaning 0, and an F16 scale for all. Of the scales' 12 bytes the first eight
// hold four lower bits of two scales each, the others two upper bits of four each.
void decode_q3_k(const std::byte* block, float* out) {
  const std::byte* const scales = block + 96;
  const float scale = load_half(block + 108);
  for (size_t i = 0; i < 256; ++i) {
    const size_t group = i / 16;
    const int low = byte_at(scales, group % 8) >> 4 * (group / 8) & 15;
    const int top = byte_at(scales, 8 + group % 4) >> 2 * (group / 4) & 3;
    const float step = scale * static_cast<float>((low | top << 4) - 32);
    const int third = byte_at(block, i % 32) >> (i / 32) & 1;
    out[i] = step * static_cast<float>((two_bits_at(block + 32, i) | third << 2) - 4);
  }
}

// What Q4_K and Q5_K have for each 32 values: scale and minimum, six bits each. The first four scales lie in the lower
// six bits of bytes 0 to 3, their minimums in those of bytes 4 to 7; of the other four, bytes 8 to 11 have the lower
// bits (a scale's in the low half), and the upper two bits are those of bytes 0 to 7.
struct SubBlock {
  float step, least;
};

SubBlock sub_block(const std::byte* block, size_t i) {
  const std::byte* const bytes = block + 4;
  int scale = byte_at(bytes, i % 4), minimum = byte_at(bytes, 4 + i % 4);
  if (i < 4) {
    scale &= 63;
    minimum &= 63;
  } else {
    const int low = byte_at(bytes, 4 + i);
    scale = scale >> 6 << 4 | (low & 15);
    minimum = minimum >> 6 << 4 | low >> 4;
  }
  return {load_half(block) * static_cast<float>(scale), load_half(block + 2) * static_cast<float>(minimum)};
}

void decode_q4_k(const std::byte* block, float* out) {
  for (size_t begin = 0; begin < 256; begin += 32) {
    const SubBlock sub = sub_block(block, begin / 32);
    for (size_t i = begin; i < begin + 32; ++i) {
      out[i] = sub.step * static_cast<float>(four_bits_at(block + 16, i)) - sub.least;
    }
  }
}

// Q5_K has the codes' fifth bits, laid out as the third ones of Q3_K, before the lower four.
void decode_q5_k(const std::byte* block, float* out) {
  for (size_t begin = 0; begin < 256; begin += 32) {
    const SubBlock sub = sub_block(block, begin / 32);
    for (size_t i = begin; i < begin + 32; ++i) {
      const int fifth = byte_at(block + 16, i % 32) >> (i / 32) & 1;
      out[i] = sub.step * static_cast<float>(four_bits_at(block + 48, i) | fifth << 4) - sub.least;
    }
  }
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

// Q8_K: an F32 scale, 256 int8, and their sums by sixteens, which are not needed.
void decode_q8_k(const std::byte* block, float* out) {
  const auto scale = load<float>(block);
  for (size_t i = 0; i < 256; ++i) out[i] = scale * static_cast<float>(static_cast<int8_t>(block[4 + i]));
}

void decode_iq4_nl(const std::byte* block, float* out) {
  const float scale = load_half(block);
  for (size_t i = 0; i < 32; ++i) out[i] = scale * static_cast<float>(kUnevenSteps[nibble_at(block + 2, i)]);
}

// IQ4_XS: an F16 scale; for every 32 values a six-bit one, 32 meaning 0, first all upper two bits, then the lower four;
// then the codes, 16 bytes for every 32.
void decode_iq4_xs(const std::byte* block, float* out) {
  const float scale = load_half(block);
  const auto tops = load<uint16_t>(block + 2);
  for (size_t group = 0; group < 8; ++group) {
    const int low = byte_at(block + 4, group / 2) >> 4 * (group % 2) & 15;
    const float step = scale * static_cast<float>((low | (tops >> 2 * group & 3) << 4) - 32);
    for (size_t i = 0; i < 32; ++i) {
      out[32 * group + i] = step * static_cast<float>(kUnevenSteps[nibble_at(block + 8 + 16 * group, i)]);
    }
  }
}

// Base-3 digits as fractions of 256, the first one the highest. A run is a number of bytes with some digits each; digit
// n of all its bytes comes before digit n + 1 of any.
struct DigitRun {
  size_t bytes, digits;
};

void decode_digits(const std::byte* in, std::span<const DigitRun> runs, float scale, float* out) {
  constexpr unsigned kPowers[] = {1, 3, 9, 27, 81};
  for (const DigitRun& run : runs) {
    for (size_t digit = 0; digit < run.digits; ++digit) {
      for (size_t i = 0; i < run.bytes; ++i) {
        const auto shifted = static_cast<uint8_t>(static_cast<unsigned>(byte_at(in, i)) * kPowers[digit]);
        *out++ = scale * static_cast<float>((shifted * 3 >> 8) - 1);
      }
    }
    in += run.bytes;
  }
}

void decode_tq1_0(const std::byte* block, float* out) {
  constexpr DigitRun kRuns[] = {{32, 5}, {16, 5}, {4, 4}};
  decode_digits(block, kRuns, load_half(block + 52), out);
}

// PrismML's PTQ1_0: the same for 128 weights.
void decode_ptq1_0(const std::byte* block, float* out) {
  constexpr DigitRun kRuns[] = {{16, 5}, {8, 5}, {2, 4}};
  decode_digits(block, kRuns, load_half(block + 26), out);
}

void decode_tq2_0(const std::byte* block, float* out) {
  const float scale = load_half(block + 64);
  for (size_t i = 0; i < 256; ++i) out[i] = scale * static_cast<float>(two_bits_at(block, i) - 1);
}

// PrismML's Bonsai: an F16 scale and two-bit codes, four to a byte, for 64 weights (Q2_0 of llama.cpp) or 128 (Q2_0 as
// PrismML has it, PQ2_0). Code 3, twice the scale, is in the format, but not in ternary models.
template <size_t kBlock>
void decode_q2_0(const std::byte* block, float* out) {
  const float scale = load_half(block);
  for (size_t i = 0; i < kBlock; ++i) {
    out[i] = static_cast<float>((byte_at(block + 2, i / 4) >> 2 * (i % 4) & 3) - 1) * scale;
  }
}

// The 1-bit Bonsai: an F16 scale and a sign for each of 128 weights, 1 meaning plus.
void decode_q1_0(const std::byte* block, float* out) {
  const float scale = load_half(block);
  for (size_t i = 0; i < 128; ++i) out[i] = (byte_at(block + 2, i / 8) >> (i % 8) & 1) != 0 ? scale : -scale;
}

template <uint32_t kBlock, uint32_t kBytes, void (*kDecode)(const std::byte*, float*)>
void decode_blocks(const std::byte* data, size_t count, float* out) {
  for (size_t i = 0; i < count / kBlock; ++i) kDecode(data + i * kBytes, out + i * kBlock);
}

template <uint32_t kBlock, uint32_t kBytes, void (*kDecode)(const std::byte*, float*)>
constexpr GgufType readable(uint32_t number, const char* name, const char* other = nullptr) {
  return {number, name, kBlock, kBytes, decode_blocks<kBlock, kBytes, kDecode>, {}, other};
}

constexpr GgufType coded(uint32_t number, const char* name, Coding coding, const char* other = nullptr) {
  return {number, name, 1, 0, nullptr, coding, other};
}

constexpr GgufType named(uint32_t number, const char* name) { return {number, name, 0, 0, nullptr}; }

// In the order of the numbers. llama.cpp once had other types with 36 to 38, which no ternary model was published in.
constexpr auto kTypes = std::to_array<GgufType>({
    readable<1, 4, decode_f32>(0, "F32"),
    readable<1, 2, decode_f16>(kGgufF16, "F16"),
    readable<32, 18, decode_q4_0>(2, "Q4_0"),
    readable<32, 20, decode_q4_1>(3, "Q4_1"),
    named(4, "Q4_2 of old versions of llama.cpp"),
    named(5, "Q4_3 of old versions of llama.cpp"),
    readable<32, 22, decode_q5_0>(6, "Q5_0"),
    readable<32, 24, decode_q5_1>(7, "Q5_1"),
    readable<32, 34, decode_q8_0>(8, "Q8_0"),
    named(9, "Q8_1"),
    readable<256, 84, decode_q2_k>(10, "Q2_K"),
    readable<256, 110, decode_q3_k>(11, "Q3_K"),
    readable<256, 144, decode_q4_k>(12, "Q4_K"),
    readable<256, 176, decode_q5_k>(13, "Q5_K"),
    readable<256, 210, decode_q6_k>(14, "Q6_K"),
    readable<256, 292, decode_q8_k>(15, "Q8_K"),
    named(16, "IQ2_XXS"),
    named(17, "IQ2_XS"),
    named(18, "IQ3_XXS"),
    named(19, "IQ1_S"),
    readable<32, 18, decode_iq4_nl>(20, "IQ4_NL"),
    named(21, "IQ3_S"),
    named(22, "IQ2_S"),
    readable<256, 136, decode_iq4_xs>(23, "IQ4_XS"),
    named(24, "I8"),
    named(25, "I16"),
    named(26, "I32"),
    named(27, "I64"),
    readable<1, 8, decode_f64>(28, "F64"),
    named(29, "IQ1_M"),
    readable<1, 2, decode_bf16>(30, "BF16"),
    named(31, "Q4_0_4_4 of old versions of llama.cpp"),
    named(32, "Q4_0_4_8 of old versions of llama.cpp"),
    named(33, "Q4_0_8_8 of old versions of llama.cpp"),
    readable<256, 54, decode_tq1_0>(34, "TQ1_0"),
    readable<256, 66, decode_tq2_0>(35, "TQ2_0"),
    coded(36, "I2_S", Coding::i2_s),
    named(37, "I8_S of bitnet.cpp"),
    coded(38, "TL1", Coding::tl1),
    coded(39, "TL2", Coding::tl2, "MXFP4"),
    named(40, "NVFP4"),
    readable<128, 18, decode_q1_0>(41, "Q1_0"),
    readable<64, 18, decode_q2_0<64>>(42, "Q2_0"),
    readable<128, 34, decode_q2_0<128>>(42, "Q2_0 in blocks of 128"),
    named(97, "Q8_0_X4 of ik_llama.cpp"),
    named(98, "Q8_1_X4 of ik_llama.cpp"),
    named(99, "Q8_2_X4 of ik_llama.cpp"),
    readable<32, 26, decode_q6_0>(133, "Q6_0"),
    coded(134, "IQ1_BN", Coding::iq1_bn, "IQ1_BN of ik_llama.cpp before rows had scales"),
    coded(135, "IQ2_BN", Coding::iq2_bn, "IQ2_BN of ik_llama.cpp before rows had scales"),
    named(136, "Q8_K64 of ik_llama.cpp"),
    named(137, "IQ2_K of ik_llama.cpp"),
    named(138, "IQ3_K of ik_llama.cpp"),
    named(139, "IQ4_K of ik_llama.cpp"),
    named(140, "IQ5_K of ik_llama.cpp"),
    named(141, "IQ6_K of ik_llama.cpp"),
    readable<128, 34, decode_q2_0<128>>(142, "PQ2_0", "IQ2_TN of ik_llama.cpp"),
    readable<128, 28, decode_ptq1_0>(143, "PTQ1_0", "IQ1_TN of ik_llama.cpp"),
    named(144, "IQ4_KS of ik_llama.cpp"),
    named(145, "IQ2_KS of ik_llama.cpp"),
    named(146, "IQ4_KSS of ik_llama.cpp"),
    named(147, "Q8_K16 of ik_llama.cpp"),
    named(148, "Q8_K32 of ik_llama.cpp"),
    named(149, "Q8_KR8 of ik_llama.cpp"),
    named(150, "Q8_K128 of ik_llama.cpp"),
    named(151, "Q8_KV of ik_llama.cpp"),
    named(152, "IQ5_KS of ik_llama.cpp"),
    named(153, "IQ2_KT of ik_llama.cpp"),
    named(154, "IQ3_KT of ik_llama.cpp"),
    named(155, "IQ4_KT of ik_llama.cpp"),
    named(156, "IQ3_KS of ik_llama.cpp"),
    named(157, "IQ2_KL of ik_llama.cpp"),
    named(158, "IQ1_KT of ik_llama.cpp"),
    named(202, "Q4_0_R8 of ik_llama.cpp"),
    named(206, "Q5_0_R4 of ik_llama.cpp"),
    named(208, "Q8_0_R8 of ik_llama.cpp"),
    named(210, "Q2_K_R4 of ik_llama.cpp"),
    named(211, "Q3_K_R4 of ik_llama.cpp"),
    named(212, "Q4_K_R4 of ik_llama.cpp"),
    named(213, "Q5_K_R4 of ik_llama.cpp"),
    named(214, "Q6_K_R4 of ik_llama.cpp"),
    named(216, "IQ2_XXS_R4 of ik_llama.cpp"),
    named(217, "IQ2_XS_R4 of ik_llama.cpp"),
    named(218, "IQ3_XXS_R4 of ik_llama.cpp"),
    named(219, "IQ1_S_R4 of ik_llama.cpp"),
    named(220, "IQ4_NL_R4 of ik_llama.cpp"),
    named(221, "IQ3_S_R4 of ik_llama.cpp"),
    named(222, "IQ2_S_R4 of ik_llama.cpp"),
    named(223, "IQ4_XS_R8 of ik_llama.cpp"),
    named(229, "IQ1_M_R4 of ik_llama.cpp"),
    named(230, "BF16_R16 of ik_llama.cpp"),
    named(233, "Q6_0_R4 of ik_llama.cpp"),
    coded(335, "IQ2_BN_R4", Coding::iq2_bn_r4),
    named(337, "IQ2_K_R4 of ik_llama.cpp"),
    named(338, "IQ3_K_R4 of ik_llama.cpp"),
    named(339, "IQ4_K_R4 of ik_llama.cpp"),
    named(340, "IQ5_K_R4 of ik_llama.cpp"),
    named(344, "IQ4_KS_R4 of ik_llama.cpp"),
    named(352, "IQ5_KS_R4 of ik_llama.cpp"),
    named(353, "MXFP4_R8 of ik_llama.cpp"),
    named(397, "Q8_K_R16 of ik_llama.cpp"),
    named(398, "Q8_KV_R8 of ik_llama.cpp"),
    named(399, "Q8_K_R8 of ik_llama.cpp"),
});
static_assert(std::ranges::is_sorted(kTypes, {}, &GgufType::number));

std::string readable_names() {
  std::string names;
  for (const GgufType& type : kTypes) {
    if (type.readable()) names.append(names.empty() ? "" : ", ").append(type.name);
  }
  return names;
}

}  // namespace

std::span<const GgufType> gguf_types(std::string_view tensor, uint32_t number) {
  const auto* const begin = std::ranges::lower_bound(kTypes, number, {}, &GgufType::number);
  const std::span<const GgufType> types = {begin, std::ranges::upper_bound(kTypes, number, {}, &GgufType::number)};
  require(!types.empty() && types[0].readable(), BITNET_ERROR_UNSUPPORTED, "tensor ", tensor, " has GGUF type ", number,
          " (", types.empty() ? "unknown" : types[0].name,
          "), which libbitnet does not read; convert the model from its F16 or BF16 file to one of the types that it "
          "reads: ",
          readable_names());
  return types;
}

void gguf_decode(const GgufType& type, const std::byte* data, size_t count, float* out) {
  require(type.decode != nullptr, BITNET_ERROR_INTERNAL, "GGUF type ", type.name, " has no values by itself");
  type.decode(data, count, out);
}

}  // namespace bitnet
