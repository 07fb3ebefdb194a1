// SPDX-License-Identifier: MIT
#include "format/coded_matrix.h"

#include <cstring>

#include "base/half.h"
#include "format/i2s.h"
#include "format/tl.h"

namespace bitnet {
namespace {

// --- ik_llama.cpp's types ------------------------------------------------------------------------------------------

constexpr uint64_t kBnBlock = 64;        // weights
constexpr uint64_t kBn1BlockBytes = 13;  // of a block in IQ1_BN; in IQ2_BN it has 16

template <typename Number>
Number load(const std::byte* at) {
  Number value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

unsigned byte_at(const std::byte* data, size_t i) { return std::to_integer<unsigned>(data[i]); }

// What all three have in common: a scale for each row. A row whose scale is 0 consists of zeros, whatever its codes
// are: ik_llama.cpp writes those of 1.
class BnMatrix : public CodedMatrix {
 public:
  explicit BnMatrix(const CodedBytes& coded) : coded_(coded) {}

  std::vector<float> scales() const final {
    std::vector<float> result(coded_.rows);
    for (uint32_t row = 0; row < coded_.rows; ++row) result[row] = scale(row);
    return result;
  }
  bool read(uint32_t row, int8_t* out) const final {
    if (scale(row) != 0) return read_codes(row, out);
    std::memset(out, 0, coded_.cols);
    return true;
  }

 protected:
  const std::byte* data() const { return coded_.bytes.data(); }
  uint32_t rows() const { return coded_.rows; }
  uint32_t cols() const { return coded_.cols; }
  uint64_t row_bytes() const { return coded_.bytes.size() / coded_.rows; }

 private:
  virtual float scale(uint32_t row) const = 0;
  virtual bool read_codes(uint32_t row, int8_t* out) const = 0;

  const CodedBytes coded_;
};

// A row is its scale in F16, then blocks. Of each 16 weights of a block, 15 lie in three bytes; the last ones of all
// four share the thirteenth byte. A byte is 256 n / 243, rounded up, where n has its weights as digits in base 3, the
// first one the lowest.
class Iq1Bn final : public BnMatrix {
 public:
  using BnMatrix::BnMatrix;

 private:
  float scale(uint32_t row) const override { return half_to_float(load<uint16_t>(data() + row * row_bytes())); }

  static int8_t digit(unsigned byte, unsigned place) {
    constexpr unsigned kPowers[] = {81, 27, 9, 3, 1};
    return static_cast<int8_t>(static_cast<int>((byte * kPowers[place] & 255) * 3 >> 8) - 1);
  }

  bool read_codes(uint32_t row, int8_t* out) const override {
    const std::byte* block = data() + row * row_bytes() + sizeof(uint16_t);
    for (uint32_t begin = 0; begin < cols(); begin += kBnBlock, block += kBn1BlockBytes) {
      for (unsigned part = 0; part < 4; ++part) {
        for (unsigned i = 0; i < 15; ++i) *out++ = digit(byte_at(block, 3 * part + i / 5), i % 5);
        *out++ = digit(byte_at(block, 12), part);
      }
    }
    return true;
  }
};

// Two-bit codes, weight + 1. The results have the code 3 in them if any has.
int8_t weight_of(unsigned code, unsigned& invalid) {
  invalid |= code & code >> 1;
  return static_cast<int8_t>(static_cast<int>(code) - 1);
}

// A row is its scale in F32, then 16 bytes for each 64 weights: weight 16 n + i is field n of byte i.
class Iq2Bn final : public BnMatrix {
 public:
  using BnMatrix::BnMatrix;

 private:
  float scale(uint32_t row) const override { return load<float>(data() + row * row_bytes()); }

  bool read_codes(uint32_t row, int8_t* out) const override {
    const std::byte* const codes = data() + row * row_bytes() + sizeof(float);
    unsigned invalid = 0;
    for (uint32_t col = 0; col < cols(); ++col) {
      const unsigned byte = byte_at(codes, col / 64 * 16 + col % 16);
      out[col] = weight_of(byte >> 2 * (col / 16 % 4) & 3, invalid);
    }
    return invalid == 0;
  }
};

// Four rows lie together: their scales in F32, then 64 bytes for each 64 columns. Field n of byte 16 m + 4 k + i is row
// k's column 16 m + 4 n + i.
class Iq2BnR4 final : public BnMatrix {
 public:
  using BnMatrix::BnMatrix;

 private:
  const std::byte* group(uint32_t row) const { return data() + row / 4 * (4 * row_bytes()); }

  float scale(uint32_t row) const override { return load<float>(group(row) + row % 4 * sizeof(float)); }

  bool read_codes(uint32_t row, int8_t* out) const override {
    const std::byte* const codes = group(row) + 4 * sizeof(float);
    unsigned invalid = 0;
    for (uint32_t col = 0; col < cols(); ++col) {
      const unsigned byte = byte_at(codes, col / 64 * 64 + col / 16 % 4 * 16 + row % 4 * 4 + col % 4);
      out[col] = weight_of(byte >> 2 * (col / 4 % 4) & 3, invalid);
    }
    return invalid == 0;
  }
};

}  // namespace

uint64_t coded_bytes(Coding coding, uint64_t rows, uint64_t cols) {
  const bool blocks = cols % kBnBlock == 0;
  switch (coding) {
    case Coding::i2_s:
      return rows * cols / 4 + kI2sTail;
    case Coding::tl1:
      return tl1_bytes(rows, cols);
    case Coding::tl2:
      return tl2_bytes(rows, cols);
    case Coding::iq1_bn:
      return blocks ? rows * (sizeof(uint16_t) + cols / kBnBlock * kBn1BlockBytes) : 0;
    case Coding::iq2_bn:
      return blocks ? rows * (sizeof(float) + cols / 4) : 0;
    case Coding::iq2_bn_r4:
      return blocks && rows % 4 == 0 ? rows * (sizeof(float) + cols / 4) : 0;
  }
  return 0;
}

std::span<const char* const> coded_orders(Coding coding) {
  static constexpr const char* kSingle[] = {""};
  switch (coding) {
    case Coding::i2_s:
      return kI2sNames;
    case Coding::tl1:
      return kTlNames;
    case Coding::tl2:
    case Coding::iq1_bn:
    case Coding::iq2_bn:
    case Coding::iq2_bn_r4:
      return kSingle;
  }
  return {};
}

std::unique_ptr<CodedMatrix> open_coded(const CodedBytes& coded, size_t order) {
  switch (coded.coding) {
    case Coding::i2_s:
      return open_i2s(coded, kI2sLayouts[order]);
    case Coding::tl1:
    case Coding::tl2:
      return open_tl(coded, order);
    case Coding::iq1_bn:
      return std::make_unique<Iq1Bn>(coded);
    case Coding::iq2_bn:
      return std::make_unique<Iq2Bn>(coded);
    case Coding::iq2_bn_r4:
      return std::make_unique<Iq2BnR4>(coded);
  }
  return nullptr;
}

OrderKnowledge order_knowledge(const CodedBytes& coded) {
  switch (coded.coding) {
    case Coding::i2_s:
      return OrderKnowledge::open;
    case Coding::tl1:
    case Coding::tl2:
      return tl_knowledge(coded);
    case Coding::iq1_bn:
    case Coding::iq2_bn:
    case Coding::iq2_bn_r4:
      return OrderKnowledge::certain;
  }
  return OrderKnowledge::certain;
}

}  // namespace bitnet
