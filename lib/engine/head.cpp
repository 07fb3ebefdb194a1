// SPDX-License-Identifier: MIT
#include "engine/head.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>

#include "base/error.h"
#include "base/round_up.h"

namespace bitnet {
namespace {

// Rows that a thread takes at a time: enough bytes to read straight on, few enough to balance.
constexpr uint32_t kChunk = kScreenChunk;
static_assert(kChunk % kTileRows == 0);
constexpr float kInfinity = std::numeric_limits<float>::infinity();

double norm_of(const float* x, size_t n) {
  double squares = 0;
  for (size_t i = 0; i < n; i++) squares += double{x[i]} * x[i];
  return std::sqrt(squares);
}

}  // namespace

void multiply_rows(const Kernels& kernels, const Matrix& matrix, const float* x, uint32_t tokens, float* out,
                   void* scratch) {
  row_kernel(kernels, matrix.numbers, false)({
      .weights = matrix.data,
      .scales = matrix.scales,
      .cols = matrix.cols,
      .stride = matrix.stride,
      .row_begin = 0,
      .row_end = matrix.rows,
      .x = x,
      .x_stride = matrix.cols,
      .tokens = tokens,
      .out = out,
      .out_stride = matrix.rows,
      .scratch = scratch,
  });
}

Head::Layout::Layout(const Model& model, uint32_t threads) : activations(0) {
  const size_t hidden = model.hyper.hidden, planes = kPlanesScratch * kRows * round_up(hidden, kTileCols);
  const size_t dense = model.head.numbers == Numbers::f32 ? kDenseScratchBytes : 0;
  scratch = group_of(model.head.numbers) ? kRows * round_up(group_activation_bytes(hidden), 64) : 0;
  scratch_bytes = round_up(std::max(planes, dense), 64);
  values = scratch + threads * scratch_bytes;
  values_bytes = kRows * kChunk * sizeof(float);
  total = values + threads * values_bytes;
}

uint64_t Head::bytes(const Model& model, uint32_t threads) { return Layout(model, threads).total; }

Head::Head(const Model& model, const Kernels& kernels, ThreadPool& threads)
    : model_(model), kernels_(kernels), threads_(threads), layout_(model, threads.threads()), memory_(layout_.total) {}

uint32_t Head::chunks() const { return (model_.head.rows + kChunk - 1) / kChunk; }

// Of a head of groups, which are made once for all rows.
Activations Head::activations() {
  const Numbers numbers = model_.head.numbers;
  return {numbers, model_.head.cols, round_up(Activations::bytes(numbers, model_.head.cols), 64),
          memory_.data() + layout_.activations, nullptr};
}

// The matrix times `tokens` hidden states, at most kRows. Calls take(chunk, token, values), on any thread, for the
// products of each chunk of rows.
template <typename Function>
void Head::multiply(const Matrix& matrix, const float* x, uint32_t tokens, const Function& take) {
  threads_.each_in_runs(chunks(), [&](uint32_t chunk, uint32_t worker) {
    const uint32_t begin = chunk * kChunk, end = std::min(begin + kChunk, matrix.rows);
    const Matrix part = rows_of(matrix, begin, end - begin);
    auto* const values = reinterpret_cast<float*>(memory_.data() + layout_.values + worker * layout_.values_bytes);
    if (group_of(matrix.numbers)) {
      multiply_piece(kernels_, activations(), {part, 0, part.rows, 0, tokens, values}, nullptr);
    } else {
      multiply_rows(kernels_, part, x, tokens, values,
                    memory_.data() + layout_.scratch + worker * layout_.scratch_bytes);
    }
    for (uint32_t t = 0; t < tokens; t++) take(chunk, t, std::span(values + size_t{t} * part.rows, part.rows));
  });
}

void Head::logits(const float* x, std::span<float* const> out) {
  if (group_of(model_.head.numbers)) {
    for (uint32_t i = 0; i < out.size(); i++) activations().store(kernels_, i, x + size_t{i} * model_.head.cols);
  }
  multiply(model_.head, x, static_cast<uint32_t>(out.size()),
           [&](uint32_t chunk, uint32_t t, std::span<const float> values) {
             std::ranges::copy(values, out[t] + size_t{chunk} * kChunk);
           });
}

void Head::screen(const float* x, std::span<Screened* const> out) {
  for (size_t i = 0; i < out.size(); i += kRows) {
    screen_together(x + i * model_.head.cols, out.subspan(i, std::min<size_t>(kRows, out.size() - i)));
  }
}

void Head::screen_together(const float* x, std::span<Screened* const> out) {
  for (size_t i = 0; i < out.size(); i++) {
    Screen(model_, kernels_).prepare(*out[i]);
    out[i]->norm = norm_of(x + i * model_.head.cols, model_.head.cols);
  }
  multiply(model_.screen, x, static_cast<uint32_t>(out.size()),
           [&](uint32_t chunk, uint32_t t, std::span<float> values) {
             // A scale near the largest float may make NaN; infinity, too, has the row rescored, and can be compared.
             std::ranges::replace_if(
                 values, [](float v) { return v != v; }, kInfinity);
             out[t]->maxima[chunk] = *std::ranges::max_element(values);
             std::ranges::copy(values, out[t]->values.begin() + size_t{chunk} * kChunk);
           });
}

}  // namespace bitnet
