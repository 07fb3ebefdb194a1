// SPDX-License-Identifier: MIT
// bitnet.cpp's TL1 and TL2: two or three weights in four bits, in an order that suits the kernels that bitnet.cpp
// generates for a model. The file does not hold the order; a table has what bitnet.cpp generates for each shape.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "format/coded_matrix.h"

namespace bitnet {

uint64_t tl1_bytes(uint64_t rows, uint64_t cols);
uint64_t tl2_bytes(uint64_t rows, uint64_t cols);

// setup: as bitnet.cpp's setup_env.py generates kernels; pretuned: as its preset_kernels have them.
constexpr const char* kTlNames[] = {"setup", "pretuned"};
std::unique_ptr<CodedMatrix> open_tl(const CodedBytes& coded, size_t order);
OrderKnowledge tl_knowledge(const CodedBytes& coded);

// The shapes of matrices that bitnet.cpp generates kernels for, for messages.
std::string tl_shapes();
// The bytes of a matrix of one of these shapes, in the order of the kernels that setup_env.py generates. What it has
// room for and no weights is 0.
struct CodedShape {
  Coding coding;  // tl1 or tl2
  uint32_t rows, cols;
};
std::vector<std::byte> encode_tl(const CodedShape& coded, std::span<const int8_t> trits);

}  // namespace bitnet
