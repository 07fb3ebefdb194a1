// SPDX-License-Identifier: MIT
#include "engine/head.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <span>

namespace bitnet {
namespace {

// Rows that a thread takes at a time: enough bytes to read straight on, few enough to balance.
constexpr uint32_t kChunk = 512;
static_assert(kChunk % kTileRows == 0);
// Rescoring this part of the rows, read here and there, costs as much as is saved.
constexpr uint32_t kMostRescored = 4;
// For |x| in this range no product or sum of either kernel overflows, and what underflows is below kTrace in all.
constexpr double kSmallest = 1e-12, kLargest = 1e12;
constexpr double kTrace = 1e-30;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

constexpr size_t round_up(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

double norm_of(const float* x, size_t n) {
  double squares = 0;
  for (size_t i = 0; i < n; i++) squares += double{x[i]} * x[i];
  return std::sqrt(squares);
}

void fetch_row(const Matrix& matrix, size_t row) {
  constexpr size_t kCacheLine = 64;
  const size_t bytes = matrix.stride * sizeof(f16);
  const auto* begin = static_cast<const std::byte*>(matrix.data) + row * bytes;
  for (size_t i = 0; i < bytes; i += kCacheLine) __builtin_prefetch(begin + i, 0, 2);
}

}  // namespace

Head::Layout::Layout(const Model& model, uint32_t threads) : activations(0) {
  const HyperParameters& hyper = model.hyper;
  const size_t hidden = hyper.hidden, planes = kPlanesScratch * kRows * round_up(hidden, kTileCols);
  const size_t dense = model.head.numbers == Numbers::f32 ? kDenseScratchBytes : 0;
  scratch = group_of(model.head.numbers) ? kRows * round_up(group_activation_bytes(hidden), 64) : 0;
  scratch_bytes = round_up(std::max(planes, dense), 64);
  values = scratch + threads * scratch_bytes;
  maxima = values + round_up(kRows * size_t{hyper.vocabulary} * sizeof(float), 64);
  total = maxima + round_up(hyper.vocabulary / kChunk + 1, 16) * sizeof(float);
}

uint64_t Head::bytes(const Model& model, uint32_t threads) { return Layout(model, threads).total; }

Head::Head(const Model& model, const Kernels& kernels, ThreadPool& threads)
    : model_(model),
      kernels_(kernels),
      threads_(threads),
      layout_(model, threads.width()),
      memory_(layout_.total),
      values_(reinterpret_cast<float*>(memory_.data() + layout_.values)),
      maxima_(reinterpret_cast<float*>(memory_.data() + layout_.maxima)) {}

uint32_t Head::chunks() const { return (model_.head.rows + kChunk - 1) / kChunk; }

// Of a head of groups, which are made once for all rows.
Activations Head::activations() {
  const Numbers numbers = model_.head.numbers;
  return {numbers, model_.head.cols, round_up(Activations::bytes(numbers, model_.head.cols), 64),
          memory_.data() + layout_.activations, nullptr};
}

// values_ = these rows of the matrix times x.
void Head::multiply(const Matrix& matrix, const float* x, uint32_t tokens, size_t row_begin, size_t row_end,
                    uint32_t worker) {
  if (group_of(matrix.numbers)) {
    const Piece piece = {matrix, static_cast<uint32_t>(row_begin), static_cast<uint32_t>(row_end), 0, tokens, values_};
    return multiply_piece(kernels_, activations(), piece, nullptr);
  }
  row_kernel(kernels_, matrix.numbers, false)({
      .weights = matrix.data,
      .scales = matrix.scales,
      .cols = matrix.cols,
      .stride = matrix.stride,
      .row_begin = row_begin,
      .row_end = row_end,
      .x = x,
      .x_stride = matrix.cols,
      .tokens = tokens,
      .out = values_,
      .out_stride = matrix.rows,
      .scratch = memory_.data() + layout_.scratch + worker * layout_.scratch_bytes,
  });
}

void Head::logits(const float* x, std::span<float* const> out) {
  const size_t rows = model_.head.rows;
  if (group_of(model_.head.numbers)) {
    for (uint32_t i = 0; i < out.size(); i++) activations().store(kernels_, i, x + size_t{i} * model_.head.cols);
  }
  threads_.each_in_runs(chunks(), [&](uint32_t chunk, uint32_t worker) {
    const size_t begin = size_t{chunk} * kChunk, end = std::min<size_t>(begin + kChunk, rows);
    multiply(model_.head, x, static_cast<uint32_t>(out.size()), begin, end, worker);
    for (size_t i = 0; i < out.size(); i++) {
      std::memcpy(out[i] + begin, values_ + i * rows + begin, (end - begin) * sizeof(float));
    }
  });
}

void Head::screen(const float* x) {
  threads_.each_in_runs(chunks(), [&](uint32_t chunk, uint32_t worker) {
    const size_t begin = size_t{chunk} * kChunk, end = std::min<size_t>(begin + kChunk, model_.head.rows);
    multiply(model_.screen, x, 1, begin, end, worker);
    // A scale near the largest float may make NaN; infinity, too, has the row rescored, and can be compared.
    std::replace_if(
        values_ + begin, values_ + end, [](float v) { return v != v; }, kInfinity);
    maxima_[chunk] = *std::max_element(values_ + begin, values_ + end);
  });
}

// Where the largest values of the chunks are at least v, the largest of all are: all but a few chunks are passed over.
std::vector<Token> Head::largest_screened(size_t count) const {
  float least = -kInfinity;
  if (count <= chunks()) {
    std::vector<float> maxima(maxima_, maxima_ + chunks());
    std::nth_element(maxima.begin(), maxima.begin() + (count - 1), maxima.end(), std::greater<>());
    least = maxima[count - 1];
  }
  std::vector<Token> tokens;
  for (uint32_t chunk = 0; chunk < chunks(); chunk++) {
    if (maxima_[chunk] < least) continue;
    const uint32_t begin = chunk * kChunk, end = std::min(begin + kChunk, model_.head.rows);
    for (uint32_t row = begin; row < end; row++) {
      if (values_[row] >= least) tokens.push_back(static_cast<Token>(row));
    }
  }
  if (tokens.size() > count) {
    std::nth_element(tokens.begin(), tokens.begin() + (count - 1), tokens.end(),
                     [this](Token a, Token b) { return values_[a] > values_[b]; });
    tokens.resize(count);
  }
  return tokens;
}

// The rows of a chunk that remain are asked for together, before the first is computed: they lie here and there.
bool Head::rescore(const float* x, double norm, float threshold) {
  const uint32_t most = model_.head.rows / kMostRescored;
  std::atomic<uint32_t> rescored{0};
  threads_.each_in_runs(chunks(), [&](uint32_t chunk, uint32_t worker) {
    const uint32_t begin = chunk * kChunk, end = std::min(begin + kChunk, model_.head.rows);
    uint32_t rows[kChunk];
    uint32_t count = 0;
    for (uint32_t row = begin; row < end; row++) {
      if (values_[row] + (norm * model_.screen.bounds[row] + kTrace) < threshold) continue;
      rows[count++] = row;
      fetch_row(model_.head, row);
    }
    maxima_[chunk] = -kInfinity;
    if (rescored.fetch_add(count, std::memory_order_relaxed) + count > most) return;
    for (const uint32_t row : std::span(rows, count)) {
      multiply(model_.head, x, 1, row, row + 1, worker);
      maxima_[chunk] = std::max(maxima_[chunk], values_[row]);
    }
  });
  return rescored.load() <= most;
}

bool Head::find_largest(const float* x, size_t count, std::span<const Token> also, std::vector<TokenLogit>& found) {
  const Matrix& head = model_.head;
  // A little more than |x|, for what norm_of and the comparison lose by rounding.
  const double norm = norm_of(x, head.cols) * (1 + 1e-9);
  if (!has_screen() || count == 0 || count > head.rows / kMostRescored || !(norm >= kSmallest && norm <= kLargest)) {
    return false;
  }
  screen(x);
  const std::vector<Token> first = largest_screened(count);
  if (first.size() < count) return false;
  float threshold = kInfinity;
  threads_.each_in_runs(static_cast<uint32_t>(count), [&](uint32_t i, uint32_t worker) {
    multiply(head, x, 1, static_cast<size_t>(first[i]), static_cast<size_t>(first[i]) + 1, worker);
  });
  for (const Token token : first) {
    if (std::isnan(values_[token])) return false;
    threshold = std::min(threshold, values_[token]);
  }
  if (!rescore(x, norm, threshold)) return false;

  found.clear();
  for (uint32_t chunk = 0; chunk < chunks(); chunk++) {
    if (maxima_[chunk] < threshold) continue;
    const uint32_t begin = chunk * kChunk, end = std::min(begin + kChunk, head.rows);
    for (uint32_t row = begin; row < end; row++) {
      if (values_[row] >= threshold) found.push_back({static_cast<Token>(row), values_[row]});
    }
  }
  threads_.each_in_runs(static_cast<uint32_t>(also.size()), [&](uint32_t i, uint32_t worker) {
    multiply(head, x, 1, static_cast<size_t>(also[i]), static_cast<size_t>(also[i]) + 1, worker);
  });
  for (const Token token : also) found.push_back({token, values_[token]});
  const auto by_token = [](const TokenLogit& a, const TokenLogit& b) { return a.token < b.token; };
  const auto same_token = [](const TokenLogit& a, const TokenLogit& b) { return a.token == b.token; };
  std::sort(found.begin(), found.end(), by_token);
  found.erase(std::unique(found.begin(), found.end(), same_token), found.end());
  return true;
}

}  // namespace bitnet
