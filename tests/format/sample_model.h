// SPDX-License-Identifier: MIT
// A small random model, known weight by weight, and the GGUF files that hold it in every type.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "format/gguf_builder.h"

namespace bitnet_test {

enum class Encoding {
  f32,
  f16,
  bf16,
  q8_0,
  q6_k,
  i2_s,
  i2_s_arm,
  i2_s_rows,
  tq1_0,
  tq2_0,
  q2_0,
  q2_0_128,
  pq2_0,
  ptq1_0,
  tl1,
  tl2,
  iq1_bn,
  iq2_bn,
  iq2_bn_r4
};
inline constexpr Encoding kEncodings[] = {Encoding::f32,    Encoding::f16,    Encoding::bf16,     Encoding::q8_0,
                                          Encoding::q6_k,   Encoding::i2_s,   Encoding::i2_s_arm, Encoding::i2_s_rows,
                                          Encoding::tq1_0,  Encoding::tq2_0,  Encoding::q2_0,     Encoding::q2_0_128,
                                          Encoding::pq2_0,  Encoding::ptq1_0, Encoding::tl1,      Encoding::tl2,
                                          Encoding::iq1_bn, Encoding::iq2_bn, Encoding::iq2_bn_r4};
uint32_t gguf_number(Encoding encoding);

// The scale of every ternary matrix: all encodings above hold it exactly.
inline constexpr float kScale = 127.0f / 4096;

// A matrix of weights -1, 0, 1 as that type holds it with that scale. TL1 and TL2 have the scale in a tensor of its
// own, and blocks of 128 rows and 128 (96) columns.
std::string encode_ternary(Encoding encoding, const std::vector<int8_t>& trits, size_t cols, float scale = kScale);
// TL1 and TL2 in other blocks: bitnet.cpp's BM, BK and bm.
std::string encode_tl1(const std::vector<int8_t>& trits, size_t cols, size_t band, size_t panel, size_t bm);
std::string encode_tl2(const std::vector<int8_t>& trits, size_t cols, size_t band, size_t panel);
// Numbers as that type holds them: F32, F16, BF16, Q8_0 (multiples of kScale / 127), Q6_K (multiples of 2^-10).
std::string encode_values(Encoding encoding, const std::vector<float>& values);

struct SampleMatrix {
  uint32_t rows, cols;
  std::vector<int8_t> trits;
};

struct SampleModel {
  std::string architecture = "bitnet-b1.58";
  uint32_t layers = 2, hidden = 256, ffn = 512, heads = 4, kv_heads = 2, vocabulary = 290;
  bool own_head = false;
  Encoding weights = Encoding::i2_s;
  Encoding embedding_type = Encoding::f16;
  std::vector<std::string> tokens;  // empty: made up; otherwise `vocabulary` of them, and types, and no merges
  std::vector<int32_t> types;
  std::string chat_template = "{{ messages }}";
  uint32_t bos = 3, eos = 4;

  std::map<std::string, SampleMatrix> ternary;
  std::map<std::string, std::vector<float>> norms;
  std::vector<float> embedding, head;  // multiples of 2^-10 between -31 and 31 of them

  // Draws the weights; call it after choosing the shape.
  SampleModel& draw(uint32_t seed = 1);
  // Metadata, then tensors; a test may spoil what it likes before build().
  GgufBuilder gguf() const;
};

// The smallest model that has everything, drawn.
SampleModel small_model();

}  // namespace bitnet_test
