// SPDX-License-Identifier: MIT
// Matrices that GGUF types pack as a whole: what a file holds of them comes out, and what means nothing is refused.
// sample_model.cpp writes them, and writes what the programs that made these types write, by digests.
#include "format/coded_matrix.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "format/coded_order.h"
#include "format/sample_model.h"

using namespace bitnet;
using namespace bitnet_test;

namespace {

struct Case {
  Coding coding;
  Encoding encoding;
  uint32_t rows, cols;
  uint64_t digest = 0;  // of the bytes that their own programs write for random_trits()
};

// By bitnet.cpp's convert-hf-to-gguf-bitnet.py (July 2026) and ik_llama.cpp's quantizers (August 2026).
const Case kCases[] = {
    {Coding::i2_s, Encoding::i2_s, 5, 128, 0x124d2fc2351bd0ba},
    {Coding::tl1, Encoding::tl1, 128, 128, 0x9ee75cd6558a8427},
    {Coding::tl1, Encoding::tl1, 384, 640, 0xfde1a0c5da8f918e},
    {Coding::tl2, Encoding::tl2, 128, 256, 0xa76894fe3bfce6d2},
    {Coding::tl2, Encoding::tl2, 256, 288, 0x6296319d692b3db0},
    {Coding::tl2, Encoding::tl2, 384, 768, 0x0dcfc21c5ea63de8},
    {Coding::tl2, Encoding::tl2, 128, 320, 0x917ef6f4e4b19b87},
    {Coding::tl2, Encoding::tl2, 256, 352, 0x6dcb5bfabea15cd2},
    {Coding::iq1_bn, Encoding::iq1_bn, 5, 192, 0x6e5c82bd403fb159},
    {Coding::iq2_bn, Encoding::iq2_bn, 5, 192, 0x9870bc2b50667c07},
    {Coding::iq2_bn_r4, Encoding::iq2_bn_r4, 8, 192, 0xd8fbedb105fa0581},
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << static_cast<int>(c.coding) << ": " << c.rows << " x " << c.cols;
}

std::vector<int8_t> random_trits(size_t count) {
  std::minstd_rand random(static_cast<uint32_t>(count));
  std::vector<int8_t> trits(count);
  for (int8_t& trit : trits) trit = static_cast<int8_t>(static_cast<int>(random() >> 8) % 3 - 1);
  return trits;
}

CodedBytes coded(const Case& c, const std::string& bytes) {
  return {c.coding, std::as_bytes(std::span(bytes)), c.rows, c.cols};
}

std::vector<int8_t> read_all(const CodedMatrix& matrix, const Case& c) {
  std::vector<int8_t> trits(size_t{c.rows} * c.cols, 7);
  for (uint32_t row = 0; row < c.rows; ++row) EXPECT_TRUE(matrix.read(row, &trits[size_t{row} * c.cols])) << row;
  return trits;
}

uint64_t fnv1a(std::string_view bytes) {
  uint64_t digest = 0xcbf29ce484222325;
  for (const char byte : bytes) digest = (digest ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
  return digest;
}

class Coded : public testing::TestWithParam<Case> {
 protected:
  const std::vector<int8_t> trits_ = random_trits(size_t{GetParam().rows} * GetParam().cols);
  std::string bytes_ = encode_ternary(GetParam().encoding, trits_, GetParam().cols);
};

TEST_P(Coded, HoldsTheWeightsThatWereWritten) {
  const Case& c = GetParam();
  ASSERT_EQ(fnv1a(bytes_), c.digest);
  ASSERT_EQ(bytes_.size(), coded_bytes(c.coding, c.rows, c.cols));
  const auto matrix = open_coded(coded(c, bytes_), 0);
  ASSERT_NE(matrix, nullptr);
  EXPECT_EQ(read_all(*matrix, c), trits_);
  for (const float scale : matrix->scales()) EXPECT_EQ(scale, kScale);
}

TEST_P(Coded, ReadsWithinItsBytes) {
  const Case& c = GetParam();
  // Right before memory that the sanitizers guard.
  const std::vector<char> exact(bytes_.begin(), bytes_.end());
  const CodedBytes whole = {c.coding, std::as_bytes(std::span(exact)), c.rows, c.cols};
  std::vector<int8_t> row(c.cols);
  for (uint32_t r = 0; r < c.rows; ++r) open_coded(whole, 0)->read(r, row.data());
}

INSTANTIATE_TEST_SUITE_P(All, Coded, testing::ValuesIn(kCases));

TEST(Coded, RowsOfZerosHaveAnyCodes) {
  const Case cases[] = {{Coding::iq1_bn, Encoding::iq1_bn, 8, 128},
                        {Coding::iq2_bn, Encoding::iq2_bn, 8, 128},
                        {Coding::iq2_bn_r4, Encoding::iq2_bn_r4, 8, 128}};
  for (const Case& c : cases) {
    // ik_llama.cpp writes the codes of 1, since no weight is below half of the largest, 0.
    std::string bytes = encode_ternary(c.encoding, std::vector<int8_t>(8 * 128, 1), c.cols);
    const size_t row = bytes.size() / 8, scale = c.coding == Coding::iq1_bn ? 2 : 4;
    const size_t at = c.coding == Coding::iq2_bn_r4 ? 4 * row + 4 : 5 * row;  // of row 5
    std::memset(bytes.data() + at, 0, scale);
    const auto matrix = open_coded(coded(c, bytes), 0);
    std::vector<int8_t> expected(8 * 128, 1);
    std::fill_n(expected.begin() + 5 * 128, 128, int8_t{0});
    EXPECT_EQ(read_all(*matrix, c), expected);
    EXPECT_EQ(matrix->scales()[5], 0);
    EXPECT_EQ(matrix->scales()[4], kScale);
  }
}

TEST(Coded, CodesThatMeanNoWeightAreRefused) {
  struct Spoilt {
    Case c;
    size_t at;
    unsigned byte;
    uint32_t row;
  };
  const Spoilt kSpoilt[] = {
      {{Coding::iq2_bn, Encoding::iq2_bn, 2, 64}, 4 + 16 + 4 + 3, 0xff, 1},
      {{Coding::iq2_bn_r4, Encoding::iq2_bn_r4, 4, 64}, 16 + 4, 0xc0, 1},
      {{Coding::tl1, Encoding::tl1, 128, 128}, 17, 0x90, 1},
      {{Coding::tl1, Encoding::tl1, 128, 128}, 17, 0x09, 1},
      {{Coding::tl2, Encoding::tl2, 128, 256}, 8, 0xe0, 16},
      {{Coding::tl2, Encoding::tl2, 128, 256}, 8, 0x0f, 16},
      {{Coding::tl2, Encoding::tl2, 128, 256}, 128 * 192 / 6 + 128 * 192 / 24, 0x90, 0},
  };
  for (const Spoilt& spoilt : kSpoilt) {
    const Case& c = spoilt.c;
    std::string bytes = encode_ternary(c.encoding, std::vector<int8_t>(size_t{c.rows} * c.cols, 1), c.cols);
    bytes[spoilt.at] = static_cast<char>(spoilt.byte);
    const auto matrix = open_coded(coded(c, bytes), 0);
    std::vector<int8_t> row(c.cols);
    for (uint32_t r = 0; r < c.rows; ++r) {
      EXPECT_EQ(matrix->read(r, row.data()), r != spoilt.row) << static_cast<int>(c.coding) << ", row " << r;
    }
  }
  // A sign without a magnitude.
  const Case c = {Coding::tl2, Encoding::tl2, 128, 256};
  std::string bytes = encode_ternary(c.encoding, std::vector<int8_t>(128 * 256, 0), c.cols);
  bytes[128 * 192 / 6] = 1;
  std::vector<int8_t> row(c.cols);
  const auto matrix = open_coded(coded(c, bytes), 0);
  size_t refused = 0;
  for (uint32_t r = 0; r < c.rows; ++r) refused += !matrix->read(r, row.data());
  EXPECT_EQ(refused, 1u);
}

TEST(Coded, ShapesThatAreNoneHaveNoSize) {
  EXPECT_EQ(coded_bytes(Coding::iq1_bn, 4, 96), 0u);
  EXPECT_EQ(coded_bytes(Coding::iq2_bn, 4, 96), 0u);
  EXPECT_EQ(coded_bytes(Coding::iq2_bn_r4, 6, 128), 0u);
  EXPECT_EQ(coded_bytes(Coding::tl1, 6, 126), 0u);
  EXPECT_EQ(coded_bytes(Coding::tl2, 6, 252), 0u);
  // As bitnet.cpp computes them.
  EXPECT_EQ(coded_bytes(Coding::tl2, 3200, 8640), 8384 * 3200ull / 3 * 5 / 8 + 256 * 3200ull / 4);
}

TEST(Coded, ShapesThatFillNoBlocksAreRefused) {
  const auto opens = [](Coding coding, uint32_t rows, uint32_t cols) {
    const std::string bytes(coded_bytes(coding, rows, cols), '\0');
    return open_coded({coding, std::as_bytes(std::span(bytes)), rows, cols}, 0) != nullptr;
  };
  EXPECT_TRUE(opens(Coding::tl1, 128, 128));
  EXPECT_FALSE(opens(Coding::tl1, 192, 128));
  EXPECT_FALSE(opens(Coding::tl1, 128, 192));
  EXPECT_TRUE(opens(Coding::tl2, 128, 256));
  EXPECT_FALSE(opens(Coding::tl2, 192, 256));
  EXPECT_FALSE(opens(Coding::tl2, 128, 304));
  for (const uint32_t cols : {1536u, 4096u}) {
    EXPECT_TRUE(opens(Coding::tl1, 1536, cols));
    EXPECT_TRUE(opens(Coding::tl2, 1536, cols));
  }
}

// What bitnet.cpp's setup_env.py and preset_kernels say of a shape.
TEST(Coded, OrdersAreKnownByShape) {
  const auto known = [](Coding coding, uint32_t rows, uint32_t cols) {
    return order_knowledge({coding, {}, rows, cols});
  };
  EXPECT_EQ(known(Coding::tl1, 3200, 8640), OrderKnowledge::certain);
  EXPECT_EQ(known(Coding::tl1, 4096, 4096), OrderKnowledge::open);
  EXPECT_EQ(known(Coding::tl2, 4096, 4096), OrderKnowledge::certain);
  EXPECT_EQ(known(Coding::tl1, 256, 256), OrderKnowledge::assumed);
  EXPECT_EQ(known(Coding::i2_s, 256, 256), OrderKnowledge::open);
  EXPECT_EQ(known(Coding::iq2_bn, 256, 256), OrderKnowledge::certain);
}

// Shapes for which bitnet.cpp generates kernels, in its blocks.
TEST(Coded, ShapesOfPublishedModelsHaveTheirBlocks) {
  const auto expect = [](Coding coding, size_t order, uint32_t rows, uint32_t cols, const auto& encode,
                         uint64_t digest) {
    const std::vector<int8_t> trits = random_trits(size_t{rows} * cols);
    const std::string bytes = encode(trits);
    EXPECT_EQ(fnv1a(bytes), digest);
    const Case c = {coding, Encoding::tl1, rows, cols};
    EXPECT_EQ(read_all(*open_coded(coded(c, bytes), order), c), trits) << rows << " x " << cols;
  };
  const auto tl1 = [](size_t cols, size_t band, size_t panel, size_t bm) {
    return [=](const std::vector<int8_t>& trits) { return encode_tl1(trits, cols, band, panel, bm); };
  };
  const auto tl2 = [](size_t cols, size_t band, size_t panel) {
    return [=](const std::vector<int8_t>& trits) { return encode_tl2(trits, cols, band, panel); };
  };
  expect(Coding::tl1, 0, 1536, 1536, tl1(1536, 128, 64, 64), 0x1008625d883b99d7);
  expect(Coding::tl1, 1, 1536, 1536, tl1(1536, 128, 64, 64), 0x1008625d883b99d7);
  expect(Coding::tl2, 0, 1536, 1536, tl2(1536, 128, 192), 0xb7f66dd8a2432b6b);
  expect(Coding::tl1, 0, 1024, 4096, tl1(4096, 256, 128, 32), 0xdeec7f01c7a7e224);
  expect(Coding::tl1, 1, 1024, 4096, tl1(4096, 128, 64, 64), 0x5c6404c6336aeec4);
  expect(Coding::tl2, 0, 1024, 4096, tl2(4096, 256, 96), 0xadb8eaa98b1e729a);
}

// The two orders of TL1 for matrices of Llama3-8B, of weights whose columns follow the gains of the norm before them.
TEST(Coded, TheOrderOfTl1IsFoundFromTheWeights) {
  constexpr uint32_t kRows = 1024, kCols = 4096;
  std::minstd_rand random(1);
  std::vector<float> gains(kCols), embedding(kCols);
  for (float& gain : gains) gain = static_cast<float>(random() % 1000) / 1000;
  for (float& value : embedding) value = static_cast<float>(random() % 1000) / 1000 - 0.5f;
  for (const bool trained : {true, false}) {
    std::vector<int8_t> trits(size_t{kRows} * kCols);
    for (size_t i = 0; i < trits.size(); ++i) {
      const float density = trained ? 0.4f + 0.4f * gains[i % kCols] : 0.6f;
      const auto draw = static_cast<float>(random() >> 8 & 0xffff) / 65536;
      trits[i] = static_cast<int8_t>(draw >= density ? 0 : draw < density / 2 ? -1 : 1);
    }
    const std::string written[] = {encode_tl1(trits, kCols, 256, 128, 32), encode_tl1(trits, kCols, 128, 64, 64)};
    for (size_t order = 0; order < 2; ++order) {
      const CodedBytes coded = {Coding::tl1, std::as_bytes(std::span(written[order])), kRows, kCols};
      const Case c = {Coding::tl1, Encoding::tl1, kRows, kCols};
      EXPECT_EQ(read_all(*open_coded(coded, order), c), trits);
      std::vector<OrderSample> samples(1);
      samples[0].rows = kRows;
      samples[0].cols = kCols;
      samples[0].orders.push_back(open_coded(coded, 0));
      samples[0].orders.push_back(open_coded(coded, 1));
      samples[0].gains = gains;
      const FoundOrder found = find_order(coded_orders(Coding::tl1), samples, embedding, kCols);
      EXPECT_EQ(found.order, trained ? std::optional(order) : std::nullopt) << found.evidence;
    }
  }
}

}  // namespace
