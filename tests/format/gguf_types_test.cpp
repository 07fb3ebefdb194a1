// SPDX-License-Identifier: MIT
// The values of GGUF's tensor types, held to what llama.cpp's own Python package decodes (gguf_digests.py).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/half.h"
#include "format/gguf.h"
#include "format/open.h"
#include "format/sample_model.h"

using namespace bitnet;
using namespace bitnet_test;

namespace {

struct TypeCase {
  uint32_t number;
  const char* name;
  uint32_t block, block_bytes;
  std::vector<size_t> scales;  // where the F16 scales of a block lie
  uint64_t digest;             // of the values of eight random blocks
};

const TypeCase kTypes[] = {
    {2, "Q4_0", 32, 18, {0}, 0x2800da1765055aec},
    {3, "Q4_1", 32, 20, {0, 2}, 0x6a9a8469ed744a5a},
    {6, "Q5_0", 32, 22, {0}, 0x7d1303d8a48b21f9},
    {7, "Q5_1", 32, 24, {0, 2}, 0x318f2a0490dae97e},
    {8, "Q8_0", 32, 34, {0}, 0x567a2eb9659449fd},
    {10, "Q2_K", 256, 84, {80, 82}, 0x1f690b249fdbae3a},
    {11, "Q3_K", 256, 110, {108}, 0x91daaa6964e0e6ea},
    {12, "Q4_K", 256, 144, {0, 2}, 0x75aec5d3fd1d3142},
    {13, "Q5_K", 256, 176, {0, 2}, 0xd80f9e98a0193424},
    {14, "Q6_K", 256, 210, {208}, 0x5fd4597fc424552f},
    {15, "Q8_K", 256, 292, {0, 2}, 0x7aea68831df62ed5},
    {20, "IQ4_NL", 32, 18, {0}, 0xddc18200ba1ed36b},
    {23, "IQ4_XS", 256, 136, {0}, 0x596d070e988caed1},
    {34, "TQ1_0", 256, 54, {52}, 0x3c71503e995c41d6},
    {35, "TQ2_0", 256, 66, {64}, 0x9c82205698a64cf2},
    {133, "Q6_0", 32, 26, {0}, 0xe0acbf389d5a4eaf},
    {41, "Q1_0", 128, 18, {0}, 0xe12d8f81eaca3625},
    {42, "Q2_0", 64, 18, {0}, 0xe9fd1c7509819803},
    {142, "PQ2_0", 128, 34, {0}, 0x7c5ad01af161e893},
    {143, "PTQ1_0", 128, 28, {26}, 0xfdb7c1e2fb255b16},
    {42, "Q2_0 in blocks of 128", 128, 34, {0}, 0x7c5ad01af161e893},
};

const GgufType& find(const TypeCase& wanted) {
  for (const GgufType& type : gguf_types("x", wanted.number)) {
    if (type.block == wanted.block) return type;
  }
  throw std::string("no such type");
}

void PrintTo(const TypeCase& type, std::ostream* out) { *out << type.name; }

// As gguf_digests.py draws them: any bytes, but finite scales.
std::string random_blocks(const TypeCase& type, size_t count) {
  uint32_t state = 1;
  std::string out;
  for (size_t block = 0; block < count; ++block) {
    const size_t begin = out.size();
    for (size_t i = 0; i < type.block_bytes; ++i) {
      state = state * 1103515245 + 12345;
      out += static_cast<char>(state >> 16);
    }
    for (const size_t at : type.scales) {
      const auto high = static_cast<unsigned char>(out[begin + at + 1]);
      out[begin + at + 1] = static_cast<char>((high & 0x83) | 4 * (1 + high / 4 % 15));
    }
  }
  return out;
}

std::vector<float> decode(const TypeCase& type, const std::string& blocks) {
  std::vector<float> values(blocks.size() / type.block_bytes * type.block);
  gguf_decode(find(type), reinterpret_cast<const std::byte*>(blocks.data()), values.size(), values.data());
  return values;
}

uint64_t fnv1a(const std::vector<float>& values) {
  uint64_t digest = 0xcbf29ce484222325;
  const auto* const data = reinterpret_cast<const unsigned char*>(values.data());
  for (size_t i = 0; i < values.size() * sizeof(float); ++i) digest = (digest ^ data[i]) * 0x100000001b3;
  return digest;
}

std::span<const std::byte> bytes(const std::string& file) { return std::as_bytes(std::span(file)); }

class GgufTypes : public testing::TestWithParam<TypeCase> {
 protected:
  // A model whose embedding or head is `data` in GGUF's type `number`.
  std::string with_tensor(const std::string& name, uint32_t number, std::string_view data) const {
    const GgufBuilder plain = sample_.gguf();
    GgufBuilder out = sample_.gguf();
    out.infos.clear();
    out.data.clear();
    for (const auto& info : plain.infos) {
      if (info.name == name) {
        out.tensor(name, info.shape, number, data);
      } else {
        out.tensor(info.name, info.shape, info.type, std::string_view(plain.data).substr(info.offset, size_of(info)));
      }
    }
    return out.build();
  }

  GgufTypes() {
    sample_.own_head = true;
    sample_.weights = Encoding::tq2_0;
    sample_.layers = 1;
    sample_.vocabulary = 24;
    sample_.draw();
  }

  SampleModel sample_;  // hidden: 256, a whole block of every type

 private:
  static size_t size_of(const GgufBuilder::Info& info) {
    const uint64_t values = info.shape[0] * (info.shape.size() > 1 ? info.shape[1] : 1);
    return info.type == 0 ? values * 4 : info.type == 1 ? values * 2 : values / 256 * 66;
  }
};

TEST_P(GgufTypes, HoldTheValuesThatLlamaCppReads) {
  const GgufType& type = find(GetParam());
  EXPECT_STREQ(type.name, GetParam().name);
  EXPECT_EQ(type.block, GetParam().block);
  EXPECT_EQ(type.block_bytes, GetParam().block_bytes);
  EXPECT_EQ(fnv1a(decode(GetParam(), random_blocks(GetParam(), 8))), GetParam().digest);
}

TEST_P(GgufTypes, MakeTheModelThatTheirValuesInF32Make) {
  const TypeCase& type = GetParam();
  const std::string blocks = random_blocks(type, size_t{sample_.vocabulary} * sample_.hidden / type.block);
  const std::vector<float> values = decode(type, blocks);
  const std::string_view plain(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  for (const char* const name : {"token_embd.weight", "output.weight"}) {
    const std::string file = with_tensor(name, type.number, blocks), expected = with_tensor(name, 0, plain);
    for (const HeadType head : {HeadType::f16, HeadType::int8}) {
      const OpenOptions options{.head = head};
      const auto container = open_container(bytes(file), options);
      EXPECT_EQ(container->fingerprint(), open_container(bytes(expected), options)->fingerprint()) << name;
      if (head != HeadType::f16) continue;
      const Tensor& tensor = *container->find(name);
      const auto* const halves = reinterpret_cast<const uint16_t*>(tensor.data.data());
      for (size_t i = 0; i < values.size(); ++i) {
        // Half an ulp of F16: 2^-11 of the value, and half of 2^-24 where that is more.
        const float error = std::fabs(half_to_float(halves[i]) - values[i]);
        ASSERT_LE(error, std::max(std::fabs(values[i]) * 0x1p-11f, 0x1p-25f)) << name << ", value " << i;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, GgufTypes, testing::ValuesIn(kTypes), [](const auto& info) {
  std::string name = info.param.name;
  std::ranges::replace(name, ' ', '_');
  return name;
});

using GgufF64 = GgufTypes;

TEST_F(GgufF64, IsReadAndValuesBeyondF16AreRefused) {
  std::vector<double> values(size_t{sample_.vocabulary} * sample_.hidden);
  for (size_t i = 0; i < values.size(); ++i) values[i] = std::ldexp(static_cast<double>(i % 4095) - 2047, -10);
  const auto file = [&] {
    return with_tensor("token_embd.weight", 28,
                       {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(double)});
  };
  const std::string sound = file();
  const auto container = open_container(bytes(sound));
  const Tensor& tensor = *container->find("token_embd.weight");
  const auto* const halves = reinterpret_cast<const uint16_t*>(tensor.data.data());
  for (size_t i = 0; i < values.size(); ++i) ASSERT_EQ(half_to_float(halves[i]), static_cast<float>(values[i])) << i;

  for (const double bad : {65520.0, -1e6, 1e300, std::nan("")}) {
    values[257] = bad;
    const std::string spoilt = file();
    try {
      open_container(bytes(spoilt));
      ADD_FAILURE() << bad << " was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.status(), BITNET_ERROR_FORMAT);
      EXPECT_NE(std::string(error.what()).find("token_embd.weight, row 1, column 1"), std::string::npos)
          << error.what();
    }
  }
}

}  // namespace
