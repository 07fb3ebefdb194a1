// SPDX-License-Identifier: MIT
#include "engine/linear.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/round_up.h"

namespace bitnet {
namespace {

// What a thread takes of a product at a time. With few tokens: some rows, few enough to balance the threads and to stay
// in a core's own cache. At or above TernaryKernel::prepared tokens: some tokens, in whole tiles, and all rows if there
// are tiles for every thread. Tables cost the same for any number of rows, unpacked weights the same for any number of
// tokens.
constexpr uint32_t kFewRows = 128;
constexpr uint32_t kInt8Tokens = 16;  // for which the kernel of int8 rows rounds activations at a time

size_t bytes_before(const Matrix& matrix, uint32_t row) {
  switch (matrix.numbers) {
    case Numbers::f32:
      return row * matrix.stride * sizeof(float);
    case Numbers::f16:
      return row * matrix.stride * sizeof(f16);
    case Numbers::int8:
      return row * matrix.stride;
    case Numbers::q5:
      return planes_bytes(Planes::q5, row, matrix.cols);
    case Numbers::q6:
      return planes_bytes(Planes::q6, row, matrix.cols);
    case Numbers::i2:
    case Numbers::t5:
      return packed_bytes(*packing_of(matrix.numbers), row, matrix.cols);
    case Numbers::g128:
    case Numbers::g64:
      return group_bytes(row, matrix.cols, *group_of(matrix.numbers));
  }
  return 0;
}

}  // namespace

RowKernel row_kernel(const Kernels& kernels, Numbers numbers, bool rounded) {
  switch (numbers) {
    case Numbers::f32:
      return kernels.dense_f32;
    case Numbers::f16:
      return rounded ? kernels.dense_f16 : kernels.head_f16;
    case Numbers::int8:
      return kernels.head_int8;
    case Numbers::q5:
      return kernels.head_q5;
    case Numbers::q6:
      return kernels.head_q6;
    case Numbers::i2:
    case Numbers::t5:
    case Numbers::g128:
    case Numbers::g64:
      break;
  }
  fail(BITNET_ERROR_INTERNAL, "numbers ", static_cast<int>(numbers), " are no rows of plain numbers");
}

size_t Activations::bytes(Numbers numbers, size_t cols) {
  if (const auto packing = packing_of(numbers)) return padded_cols(*packing, cols);
  if (group_of(numbers)) return group_activation_bytes(cols);
  return round_up(cols * sizeof(float), 64);
}

void Activations::store(const Kernels& kernels, uint32_t token, const float* x) const {
  std::byte* const row = data + token * stride;
  if (const auto packing = packing_of(numbers)) {
    steps[token] = kernels.quantize(*packing, x, cols, reinterpret_cast<int8_t*>(row));
  } else if (const auto group = group_of(numbers)) {
    kernels.quantize_groups(x, cols, *group, row);
  } else if (numbers == Numbers::f16) {
    kernels.round_activations(x, cols, reinterpret_cast<float*>(row));
  } else {
    std::memcpy(row, x, cols * sizeof(float));
  }
}

void Activations::copy(uint32_t from, uint32_t to) const {
  std::memcpy(data + to * stride, data + from * stride, bytes(numbers, cols));
  if (packing_of(numbers)) steps[to] = steps[from];
}

Activations Activations::from(uint32_t token) const {
  Activations rest = *this;
  rest.data += token * stride;
  rest.steps += token;
  return rest;
}

void read_row(const Kernels& kernels, const Matrix& m, size_t row, float* out) {
  switch (m.numbers) {
    case Numbers::f32:
      std::memcpy(out, static_cast<const float*>(m.data) + row * m.stride, m.cols * sizeof(float));
      return;
    case Numbers::f16:
      return kernels.to_f32(static_cast<const f16*>(m.data) + row * m.stride, m.cols, out);
    case Numbers::g128:
    case Numbers::g64:
      return kernels.groups_to_f32(static_cast<const uint8_t*>(m.data), m.cols, *group_of(m.numbers), row,
                                   m.scales[m.row_scales ? row : 0], out);
    case Numbers::int8:
    case Numbers::q5:
    case Numbers::q6:
    case Numbers::i2:
    case Numbers::t5:
      break;
  }
  fail(BITNET_ERROR_INTERNAL, "numbers ", static_cast<int>(m.numbers), " are none of an embedding");
}

Matrix rows_of(const Matrix& matrix, uint32_t begin, uint32_t rows) {
  Matrix part = matrix;
  part.rows = rows;
  part.data = static_cast<const std::byte*>(matrix.data) + bytes_before(matrix, begin);
  if (matrix.row_scales) part.scales += begin;
  return part;
}

size_t product_scratch_bytes(Numbers numbers, size_t cols) {
  switch (numbers) {
    case Numbers::i2:
    case Numbers::t5:
      return kTernaryScratchBytes;
    case Numbers::int8:
      return 2 * kInt8Tokens * round_up(cols, 64);
    case Numbers::f32:
    case Numbers::f16:
      return kDenseScratchBytes;
    case Numbers::g128:
    case Numbers::g64:
      return 0;
    case Numbers::q5:
    case Numbers::q6:
      break;
  }
  fail(BITNET_ERROR_INTERNAL, "numbers ", static_cast<int>(numbers), " are none of a layer");
}

void multiply_piece(const Kernels& kernels, const Activations& a, const Piece& piece, void* scratch) {
  const Matrix& m = piece.matrix;
  const std::byte* const activations = a.data + piece.token * a.stride;
  float* const out = piece.out + size_t{piece.token} * m.rows;
  if (const auto packing = packing_of(m.numbers)) {
    kernels.ternary.of(*packing).multiply({
        .weights = static_cast<const uint8_t*>(m.data),
        .blocks = blocks_per_row(*packing, m.cols),
        .row_begin = piece.row_begin,
        .row_end = piece.row_end,
        .scales = m.scales,
        .row_scales = m.row_scales,
        .activations = reinterpret_cast<const int8_t*>(activations),
        .steps = a.steps + piece.token,
        .tokens = piece.tokens,
        .out = out,
        .out_stride = m.rows,
        .scratch = scratch,
    });
  } else if (const auto group = group_of(m.numbers)) {
    kernels.multiply_groups({
        .weights = static_cast<const uint8_t*>(m.data),
        .cols = m.cols,
        .group = *group,
        .row_begin = piece.row_begin,
        .row_end = piece.row_end,
        .scales = m.scales,
        .row_scales = m.row_scales,
        .activations = activations,
        .activation_stride = a.stride,
        .tokens = piece.tokens,
        .out = out,
        .out_stride = m.rows,
    });
  } else {
    row_kernel(kernels, m.numbers, true)({
        .weights = m.data,
        .scales = m.scales,
        .cols = m.cols,
        .stride = m.stride,
        .row_begin = piece.row_begin,
        .row_end = piece.row_end,
        .x = reinterpret_cast<const float*>(activations),
        .x_stride = a.stride / sizeof(float),
        .tokens = piece.tokens,
        .out = out,
        .out_stride = m.rows,
        .scratch = scratch,
    });
  }
}

Multiplier::Multiplier(const Kernels& kernels, ThreadPool& threads, const Activations& activations, uint32_t tokens)
    : kernels_(kernels), threads_(threads), activations_(activations), tokens_(tokens), tiles_(tokens) {
  const auto packing = packing_of(activations.numbers);
  prepares_ = packing && tokens >= kernels.ternary.of(*packing).prepared;
  waits_for_memory_ = !prepares_;
  if (!packing) return;
  tile_ = static_cast<uint32_t>(kernels.ternary.tile_tokens);
  tiles_ = (tokens + tile_ - 1) / tile_;
  const uint32_t tiles_at_a_time = static_cast<uint32_t>(kernels.ternary.tokens_at_a_time) / tile_;
  parts_ = (tiles_ + tiles_at_a_time - 1) / tiles_at_a_time;
  if (parts_ > threads.width()) parts_ = round_up(parts_, threads.width());
}

uint32_t Multiplier::rows_at_once(const Matrix& matrix) const {
  if (!prepares_) return kFewRows;
  const uint32_t row_parts = (threads_.width() + parts_ - 1) / parts_;
  const uint32_t rows = (matrix.rows + row_parts - 1) / row_parts;
  return std::max(kFewRows, round_up(rows, kGroupRows));
}

uint32_t Multiplier::pieces(const Matrix& matrix) const {
  const uint32_t rows = rows_at_once(matrix);
  return (matrix.rows + rows - 1) / rows * parts_;
}

uint32_t Multiplier::part_begin(uint32_t part) const { return std::min(tiles_ * part / parts_ * tile_, tokens_); }

void Multiplier::multiply(const Product& product, uint32_t index, void* scratch) const {
  const Matrix& m = product.linear.weights;
  const uint32_t begin = index / parts_ * rows_at_once(m), end = std::min(begin + rows_at_once(m), m.rows);
  const uint32_t token = part_begin(index % parts_), tokens = part_begin(index % parts_ + 1) - token;
  multiply_piece(kernels_, activations_, {m, begin, end, token, tokens, product.out}, scratch);
  if (product.linear.bias == nullptr) return;
  for (uint32_t t = token; t < token + tokens; ++t) {
    kernels_.add(product.out + size_t{t} * m.rows + begin, product.linear.bias + begin, end - begin);
  }
}

}  // namespace bitnet
