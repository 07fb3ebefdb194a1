// SPDX-License-Identifier: MIT
// Matrices of trits that some GGUF types pack as a whole, so that no value can be read by itself: bitnet.cpp's I2_S,
// TL1 and TL2 and ik_llama.cpp's IQ1_BN, IQ2_BN and IQ2_BN_R4. docs/format.md describes each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace bitnet {

enum class Coding : uint8_t { i2_s, tl1, tl2, iq1_bn, iq2_bn, iq2_bn_r4 };
constexpr size_t kCodings = 6;

// Bytes that a matrix takes. 0: none of this shape is coded so. Of at most 2^40 values.
uint64_t coded_bytes(Coding coding, uint64_t rows, uint64_t cols);

struct CodedBytes {
  Coding coding;
  std::span<const std::byte> bytes;  // coded_bytes()
  uint32_t rows, cols;
};

class CodedMatrix {
 public:
  virtual ~CodedMatrix() = default;
  // One, or one for each row: 0 for a row of zeros. Empty: they are not among these bytes.
  virtual std::vector<float> scales() const = 0;
  // The weights of a row. False if a code means no weight.
  virtual bool read(uint32_t row, int8_t* out) const = 0;
};

// The orders in which the codes may lie where a file does not say which; a single one has no name.
std::span<const char* const> coded_orders(Coding coding);
// The matrix as it is in one of these orders. Null if its shape is no whole number of that order's blocks.
std::unique_ptr<CodedMatrix> open_coded(const CodedBytes& coded, size_t order);

// What a matrix's shape says about its order.
enum class OrderKnowledge : uint8_t {
  certain,  // all orders are the same
  assumed,  // they are, but no published program writes this shape
  open,     // they differ
};
OrderKnowledge order_knowledge(const CodedBytes& coded);

}  // namespace bitnet
