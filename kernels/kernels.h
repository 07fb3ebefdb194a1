// SPDX-License-Identifier: MIT
// Every loop of the engine that is worth a vector unit, as one table of function pointers per instruction set.
//
// The scalar table is the specification: all tables give the same bits for the same input. That is possible because
// every operation has one defined result:
//   - ternary and int8 products are exact integers;
//   - a float reduction runs in 16 lanes: lane j takes elements j, j+16, j+32, ... in turn, starting from +0; missing
//     elements of the last step count as +0; then lanes j and j+8 are added, j and j+4, j and j+2, j and j+1 (j the
//     lower);
//   - each operation rounds by itself (no multiply-add is fused but of exact products), to nearest, ties to even;
//     division and square root are exactly rounded, as IEEE 754 has them; subnormals are kept. (Callers leave the CPU's
//     floating-point modes alone.)
//   - exp, and with it softmax and SiLU, is ours: the same operations in the same order everywhere (exp_of in
//     scalar.cpp), within 1 ulp; 0 below -87.3365, infinite above 88.7228;
//   - a NaN that comes in is a NaN that goes out (of quantize: as its step). Its sign and payload may differ.
//
// Kernels allocate nothing, call nothing outside their file, and touch no byte beyond what is said here. Pointers are
// aligned as their type asks, weights to 64 bytes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "groups.h"
#include "packing.h"
#include "planes.h"

namespace bitnet {

using f16 = uint16_t;  // IEEE 754 binary16, as bits

// A run of ternary rows times the quantized activations of some tokens.
struct TernaryProduct {
  const uint8_t* weights;     // packed matrix, from its first group
  size_t blocks;              // per row
  size_t row_begin, row_end;  // rows to compute; row_begin is a multiple of kGroupRows
  const float* scales;        // one per row, or one for all (row_scales false)
  bool row_scales;
  const int8_t* activations;  // `tokens` rows of blocks * weights_per_block bytes, as quantize wrote them
  const float* steps;         // per token: the value of one unit of its activations
  size_t tokens;
  float* out;  // out[t * out_stride + r] = (sum over k of w[r][k] * q[t][k]) * (scale * step)
  size_t out_stride;
  void* scratch;  // kTernaryScratchBytes, aligned to 64, this thread's own
};
constexpr size_t kTernaryScratchBytes = size_t{9} << 18;

// 256 columns of a token's activations for products with g128 and g64: values q = 256 * upper + lower, both in the
// range of int8, because that is what instructions multiply. Zeros beyond the last column.
struct GroupActivations {
  int8_t upper[kGroupTileCols], lower[kGroupTileCols];
  int32_t sums[kGroupTileCols / kSmallestGroup];  // of the q of each group
  float steps[kGroupTileCols / kSmallestGroup];   // the value of one unit of them
};
constexpr size_t group_activation_bytes(size_t cols) { return group_tiles_per_row(cols) * sizeof(GroupActivations); }

// A run of rows of a g128 or g64 matrix times the activations of some tokens.
struct GroupProduct {
  const uint8_t* weights;     // packed matrix, from its first tile
  size_t cols, group;         // group: 128 or 64
  size_t row_begin, row_end;  // rows to compute; row_begin is a multiple of kGroupTileRows
  const float* scales;        // one per row, or one for all (row_scales false)
  bool row_scales;
  const void* activations;   // of each token group_activation_bytes(cols), as quantize_groups wrote them,
  size_t activation_stride;  // so many bytes apart, a multiple of alignof(GroupActivations)
  size_t tokens;
  float* out;  // out[t * out_stride + r]
  size_t out_stride;
};

// Rows of a matrix of numbers (a head, a dense matrix) times float vectors.
struct HeadProduct {
  const void* weights;        // f16, f32: rows * stride values. int8: likewise, two's complement, -127 .. 127. q5, q6:
                              // tiles
  const float* scales;        // one per row; f16, f32: null
  size_t cols, stride;        // stride >= cols; what lies between them is zero. q5, q6: stride does not count
  size_t row_begin, row_end;  // q5, q6: row_begin is a multiple of kTileRows
  const float* x;             // `tokens` rows of cols, x_stride apart
  size_t x_stride, tokens;
  float* out;  // out[t * out_stride + r]
  size_t out_stride;
  // This thread's own, aligned to 64. head_f16: none. int8, q5, q6: for the activations of all tokens as integers,
  // 2 * tokens * stride bytes or kPlanesScratch * tokens * (cols rounded up to kTileCols). Dense: kDenseScratchBytes.
  void* scratch;
};
constexpr size_t kPlanesScratch = 3;
constexpr size_t kDenseScratchBytes = size_t{1} << 18;

// Keys and values of a KV head lie in blocks of kKvBlock positions, and attention takes kKvSplit positions by
// themselves, so that threads can share a long sequence. Both are counted from position 0, so that what a row gets does
// not depend on which rows are computed with it.
//
//   f16   keys    [block][head_dim][kKvBlock]: a vector holds one dimension of neighbouring positions
//         values  [position][value_stride(head_dim)], filled up with zeros
//   int8, int16
//         codes with a step for each position: a number is (code - kKvMiddle) * step or code * step. A block is its
//         codes, n = codes_per_word(type) to a 32-bit word, then its steps, floats [kKvBlock]
//         keys    [block][word j < key_words(type, head_dim)][position][n]: dimensions j + i * key_words, i < n
//         values  [block][word j < value_words(type)][value_stride(head_dim)][n]: positions j + i * value_words, i < n
enum class KvType : uint8_t { f16, int8, int16 };
constexpr uint32_t kMostHeadDim = 4096;  // of a model; with it, sums of products with codes fit 32 bits
constexpr size_t kKvBlock = 64;
constexpr size_t kKvSplit = 512;
constexpr int kKvMiddle = 128;  // of the codes of int8, which are unsigned
// Whether numbers are codes, with a step for each position; otherwise they are float16.
constexpr bool has_codes(KvType type) {
  switch (type) {
    case KvType::f16:
      return false;
    case KvType::int8:
    case KvType::int16:
      return true;
  }
  return false;
}
// Whether codes are unsigned bytes; otherwise they are signed words of 16 bits.
constexpr bool has_byte_codes(KvType type) {
  switch (type) {
    case KvType::int8:
      return true;
    case KvType::f16:
    case KvType::int16:
      return false;
  }
  return false;
}
constexpr size_t code_bytes(KvType type) { return has_byte_codes(type) ? 1 : 2; }
constexpr size_t codes_per_word(KvType type) { return sizeof(uint32_t) / code_bytes(type); }
constexpr size_t value_stride(size_t head_dim) { return (head_dim + 15) / 16 * 16; }
constexpr size_t key_words(KvType type, size_t head_dim) {
  return (head_dim + codes_per_word(type) - 1) / codes_per_word(type);
}
// Pairs of the factors that a row of products has, if these are kept in 16 bits.
constexpr size_t key_pairs(KvType type, size_t head_dim) {
  return key_words(type, head_dim) * codes_per_word(type) / 2;
}
constexpr size_t value_words(KvType type) { return kKvBlock / codes_per_word(type); }
// Where the steps of a block of codes begin, in bytes.
constexpr size_t key_steps_at(KvType type, size_t head_dim) {
  return key_words(type, head_dim) * kKvBlock * sizeof(uint32_t);
}
constexpr size_t value_steps_at(KvType type, size_t head_dim) {
  return value_words(type) * value_stride(head_dim) * sizeof(uint32_t);
}
constexpr size_t key_block_bytes(KvType type, size_t head_dim) {
  return has_codes(type) ? key_steps_at(type, head_dim) + kKvBlock * sizeof(float) : head_dim * kKvBlock * sizeof(f16);
}
constexpr size_t value_block_bytes(KvType type, size_t head_dim) {
  return has_codes(type) ? value_steps_at(type, head_dim) + kKvBlock * sizeof(float)
                         : value_stride(head_dim) * kKvBlock * sizeof(f16);
}

// What a query has gathered from some positions: value_stride(head_dim) sums of weight * value, then the largest score,
// relative to which the weights are, then the sum of the weights.
constexpr size_t attention_state_floats(size_t head_dim) { return value_stride(head_dim) + 16; }

// The query heads that share one KV head, of neighbouring rows of a sequence, over the positions of one split.
struct Attention {
  const float* q;  // row r, head h of the group: head_dim values from q + r * q_stride + h * head_dim
  size_t q_stride;
  size_t rows, group;  // >= 1
  // The blocks of the split, as many as its rows see something of, and after them one that is likely to be read next,
  // or any other pointer. What blocks hold of positions that no row sees is not used; values of f16 may end before it.
  const void* const* keys;
  const void* const* values;
  size_t head_dim;
  size_t length;  // row r sees the first min(length + r, kKvSplit) positions of the split; >= 1
  float scale;
  float* states;             // out: one for each row and head, attention_state_floats(head_dim) apart
  void* scratch;             // attention_scratch_bytes, aligned to 64
  size_t window = SIZE_MAX;  // row r does not see what comes before position length + r - window; >= 1
};
constexpr size_t attention_scratch_bytes(KvType type, size_t queries, size_t head_dim) {
  const size_t scores = queries * kKvBlock + (queries + 15) / 16 * 16;
  const size_t padded = (queries * head_dim + 15) / 16 * 16;
  const size_t block = kKvBlock * (head_dim + value_stride(head_dim) + 16);
  const size_t pairs = queries * (key_pairs(type, head_dim) + kKvBlock / 2), scales = 4 * queries;
  return (scores + (has_codes(type) ? pairs + scales : padded + block)) * sizeof(float);
}

// Products of ternary matrices of one packing.
struct TernaryKernel {
  // At or above this many tokens the kernel first builds tables of the activations, or unpacks the weights. Tables cost
  // the same for any number of rows, unpacked weights the same for any number of tokens: give it many of both. Below
  // it, give it rows that stay in the second-level cache.
  size_t prepared;
  // The sums are exact for rows of up to 2^19 weights.
  void (*multiply)(const TernaryProduct&);
};
struct TernaryKernels {
  TernaryKernel i2, t5;
  // How many tokens a tile has, and how many tokens a kernel that prepares anything is best given at a time: these
  // share what is prepared.
  size_t tile_tokens, tokens_at_a_time;
  const TernaryKernel& of(Packing p) const {
    switch (p) {
      case Packing::i2:
        return i2;
      case Packing::t5:
        return t5;
    }
    return i2;
  }
};

constexpr float kGeluLinear = 1.5957691216f;  // 2 * sqrt(2 / pi)
constexpr float kGeluCubic = 1.5957691216f * 0.044715f;

struct Kernels {
  const char* name;
  TernaryKernels ternary;

  // y[i] = (x[i] * (1 / sqrt(sum of squares / n + eps))) * weight[i]. y may be x.
  void (*rms_norm)(const float* x, const float* weight, float eps, size_t n, float* y);

  // Int8 activations of one token (BitNet b1.58): with scale = 127 / max(largest |x|, 1e-5), q = round to even(x *
  // scale), which is within -127 .. 127; where x * scale is NaN, 0. Returns the step 1 / scale. Writes padded_cols(p,
  // n) values in the order the kernels read: within each block, value g * j + i of the row (g = weights_per_byte, i <
  // g, j < 64) goes to position 64 * i + j. Filled up with zeros.
  float (*quantize)(Packing p, const float* x, size_t n, int8_t* q);

  void (*head_f16)(const HeadProduct&);  // each dot product is a float reduction as above
  // The activations of a token are rounded to 16 bits: with step = max(largest |x|, 1e-30) / 32767,
  // q = round to even(x * (1 / step)) or, if that is NaN, 0; the sum of w * q is exact (64 bits);
  // out = float(sum) * (scale[r] * step).
  void (*head_int8)(const HeadProduct&);
  // Likewise with step = max(largest |x|, 1e-30) / 32639 and these operations: for each run of run_cols columns in
  // turn, from +0, sum += float(sum over the run of group scale * (code - middle) * q, an exact integer); out = sum *
  // (scale[r] * step).
  void (*head_q5)(const HeadProduct&);
  void (*head_q6)(const HeadProduct&);

  // Activations of one token for multiply_groups, of each group by itself: with step = max(largest |x|, 1e-30) / 32639,
  // q = round to even(x * (1 / step)) or, if that is NaN, 0.
  void (*quantize_groups)(const float* x, size_t n, size_t group, void* activations);
  // For each group of columns in turn, from +0, sum += float(sum over the group of trit * q, an exact integer) *
  // (float(group scale) * step of the group); out = sum * scale.
  void (*multiply_groups)(const GroupProduct&);
  // A row of a g128 or g64 matrix: y[i] = trit * (scale * float(group scale)).
  void (*groups_to_f32)(const uint8_t* weights, size_t cols, size_t group, size_t row, float scale, float* y);

  // To 13 significant bits, to nearest even; below 2^-100 to a zero, from 2^112 on (once rounded) to infinity. NaN
  // stays. y may be x.
  void (*round_activations)(const float* x, size_t n, float* y);
  // As head_f16, for activations that round_activations wrote. A float holds the products exactly: 11 and 13
  // significant bits make 24, the lowest is at least 2^-24 * 2^-112, and below 2^16 * 2^112 nothing overflows. So a
  // fused multiply-add, which does not round the product, gives the same bits as a multiplication and an addition.
  void (*dense_f16)(const HeadProduct&);
  void (*dense_f32)(const HeadProduct&);  // likewise of floats, for any activations; never fused

  // Rotates the pairs (x[i], x[i + head_dim/2]) of each of `heads` heads: (a, b) -> (a*cos - b*sin, b*cos + a*sin).
  // head_dim is even; cosines and sines have head_dim / 2 values.
  void (*rope)(float* x, size_t heads, size_t head_dim, const float* cosines, const float* sines);

  // Attention with the softmax computed on the way. A score is the sum over dimensions, in turn from +0, of (q * scale)
  // * key. A state begins with zero sums and -FLT_MAX as the largest score. Block by block:
  //   largest = the largest of the largest so far and the scores of the block, NaN left out; +0 if it is a zero
  //   factor = exp(largest before - largest), weight = exp(score - largest)
  //   sum = sum * factor + the sum of the block's weights, a float reduction over its positions
  //   each sum of values = itself * factor, to which weight * value is added position by position
  void (*attention_f16)(const Attention&);
  // The same with these differences. The factors of both products are rounded, queries to 8 bits and weights to 16:
  // with a step, q = round to even(x * (1 / step)) or, if that is NaN, 0. The sum of q * (code - kKvMiddle) is exact.
  //   score = float(sum over dimensions of q * key) * (step of the query * step of the key), q from query * scale
  //   each sum of values = itself * factor + float(sum over positions of the block of q * value) * step, q from
  //   weight * step of the value, for positions that the row does not see from 0
  // The step of a query is max(largest |x|, 1e-30) / 127, that of weights likewise / 32767.
  void (*attention_int8)(const Attention&);
  // Likewise, but with queries in 16 bits, too, without a middle, and with steps for which the sums of products with
  // any codes of quantize_kv_int16 fit 32 bits: that of a query as there, that of weights max(sum of |x| / 65000,
  // max(largest |x|, 1e-30) / 32767), the sum being a float reduction. With other codes the sums are modulo 2^32.
  void (*attention_int16)(const Attention&);
  // A key or value as int8: with step = max(largest |x|, 1e-30) / 127, code = kKvMiddle + round to even(x * (1 / step))
  // or, if that is NaN, kKvMiddle. Returns the step.
  float (*quantize_kv_int8)(const float* x, size_t n, uint8_t* codes);
  // As int16: with step = max(sqrt(sum of squares) / 46000, max(largest |x|, 1e-15) / 32767), the sum being a float
  // reduction, code = round to even(x * (1 / step)) or, if that is NaN, 0. Returns the step.
  float (*quantize_kv_int16)(const float* x, size_t n, int16_t* codes);
  // The state takes in that of the next positions: with largest = the larger of the two, factor = exp(its largest -
  // largest) and next_factor likewise, each sum = itself * factor + the next one's * next_factor.
  void (*attention_merge)(float* state, const float* next, size_t head_dim);
  void (*attention_finish)(const float* state, size_t head_dim, float* out);  // sums of values / sum of weights

  void (*gate_relu2)(const float* gate, const float* up, size_t n, float* y);  // y = (max(gate,0)^2) * up
  void (*gate_silu)(const float* gate, const float* up, size_t n, float* y);   // y = (gate / (1 + exp(-gate))) * up
  // GELU by the hyperbolic tangent, 0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))), of which 0.5 * (1 +
  // tanh(z)) is 1 / (1 + exp(-2 z)): y = (gate / (1 + exp(-(gate * (kGeluLinear + kGeluCubic * (gate * gate)))))) * up
  void (*gate_gelu)(const float* gate, const float* up, size_t n, float* y);
  void (*add)(float* x, const float* y, size_t n);   // x += y
  void (*to_f16)(const float* x, size_t n, f16* y);  // round to nearest even
  void (*to_f32)(const f16* x, size_t n, float* y);
  // p[i] = exp(x[i] - shift); returns the sum as a float reduction. p may be x.
  float (*exp_sum)(const float* x, float shift, size_t n, float* p);
};

// The tables of this build that this CPU can run, fastest first; the last is scalar. Asking changes nothing: what a
// table needs from the operating system (AMX on Linux) is requested by find_kernels.
struct KernelList {
  const Kernels* const* tables;
  size_t count;
};
KernelList available_kernels();

// The table of that name, ready for use; null if this build or this CPU does not have it, if the operating system
// refuses what it needs, or if it fails its self-check (self_check.h), which is made once. An empty or null name means
// the fastest that can be used.
const Kernels* find_kernels(const char* name);

// Whether the table of that name was tried and failed its self-check.
bool is_distrusted(const char* name);

// The fastest table that needs nothing from the operating system. Those that do have no faster float kernels.
const Kernels* find_unrequested_kernels();

// Every name this build knows, available or not, for messages: "avx2, sse41, sse2, scalar".
const char* kernel_names();

// The CPU's features that matter here, as one line of names separated by spaces.
const char* cpu_features();

}  // namespace bitnet
