// SPDX-License-Identifier: MIT
#include "engine/head.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <span>

#include "base/error.h"
#include "base/float_environment.h"

namespace bitnet {
namespace {

// Rows that a thread takes at a time: enough bytes to read straight on, few enough to balance.
constexpr uint32_t kChunk = 512;
static_assert(kChunk % kTileRows == 0);
// Rescoring this part of the rows, read here and there, costs as much as is saved.
constexpr uint32_t kMostRescored = 4;
// For |x| in this range no product or sum of either kernel overflows, and what underflows is below kTrace in all.
constexpr double kSmallest = 1e-12, kLargest = 1e12;
constexpr float kTrace = 1e-29f;
// Rows whose screened logits are looked at together: most such have none that can be among the largest.
constexpr uint32_t kLookedAt = 32;
// Rows that are rescored at a time: they lie here and there, so all are asked for before the first is computed.
constexpr uint32_t kTogether = 8;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

constexpr size_t round_up(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

double norm_of(const float* x, size_t n) {
  double squares = 0;
  for (size_t i = 0; i < n; i++) squares += double{x[i]} * x[i];
  return std::sqrt(squares);
}

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
    case Numbers::g128:
    case Numbers::g64:
      return group_bytes(row, matrix.cols, *group_of(matrix.numbers));
    case Numbers::i2:
    case Numbers::t5:
      break;
  }
  fail(BITNET_ERROR_INTERNAL, "numbers ", static_cast<int>(matrix.numbers), " are none of a head");
}

// Some rows as a matrix of their own. Where rows lie in tiles, `begin` is a multiple of the tile's.
Matrix part_of(const Matrix& matrix, uint32_t begin, uint32_t end) {
  Matrix part = matrix;
  part.rows = end - begin;
  part.data = static_cast<const std::byte*>(matrix.data) + bytes_before(matrix, begin);
  if (matrix.row_scales) part.scales += begin;
  return part;
}

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

void fetch(const Matrix& row) {
  constexpr size_t kCacheLine = 64;
  const auto* begin = static_cast<const std::byte*>(row.data);
  for (size_t i = 0; i < row.stride * sizeof(f16); i += kCacheLine) __builtin_prefetch(begin + i, 0, 2);
}

}  // namespace

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
    const Matrix part = part_of(matrix, begin, end);
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

void Head::prepare(Screened& screened) const {
  screened.values.resize(model_.head.rows);
  screened.maxima.resize(chunks());
}

void Head::screen(const float* x, std::span<Screened* const> out) {
  for (size_t i = 0; i < out.size(); i += kRows) {
    screen_together(x + i * model_.head.cols, out.subspan(i, std::min<size_t>(kRows, out.size() - i)));
  }
}

void Head::screen_together(const float* x, std::span<Screened* const> out) {
  for (size_t i = 0; i < out.size(); i++) {
    prepare(*out[i]);
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

// Where the largest values of the chunks are at least v, the largest of all are: all but a few chunks are passed over.
std::vector<TokenLogit> Head::largest_screened(const Screened& screened, size_t count) const {
  float least = -kInfinity;
  if (count <= chunks()) {
    std::vector<float> maxima = screened.maxima;
    std::nth_element(maxima.begin(), maxima.begin() + (count - 1), maxima.end(), std::greater<>());
    least = maxima[count - 1];
  }
  std::vector<TokenLogit> tokens;
  for (uint32_t chunk = 0; chunk < chunks(); chunk++) {
    if (screened.maxima[chunk] < least) continue;
    const uint32_t begin = chunk * kChunk, end = std::min(begin + kChunk, model_.head.rows);
    for (uint32_t row = begin; row < end; row++) {
      if (screened.values[row] >= least) tokens.push_back({static_cast<Token>(row), screened.values[row]});
    }
  }
  if (tokens.size() > count) {
    std::nth_element(tokens.begin(), tokens.begin() + (count - 1), tokens.end(),
                     [](const TokenLogit& a, const TokenLogit& b) { return a.logit > b.logit; });
    tokens.resize(count);
  }
  return tokens;
}

// The rows that can reach the threshold, their logits yet to be computed. Returns false if these are too many.
bool Head::find_candidates(const Screened& screened, float threshold, std::vector<TokenLogit>& candidates) const {
  // A little more than |x|, for what norm_of and the two roundings of the bound lose. The sum with the value may round
  // freely: a sum that reaches the threshold, a float, still does when it is rounded.
  const auto norm = static_cast<float>(screened.norm * (1 + 1e-6));
  const float* const values = screened.values.data();
  const float* const bounds = model_.screen.bounds;
  const auto reaches = [&](uint32_t row) { return !(values[row] + (norm * bounds[row] + kTrace) < threshold); };
  for (uint32_t begin = 0; begin < model_.head.rows; begin += kLookedAt) {
    const uint32_t end = std::min(begin + kLookedAt, model_.head.rows);
    int some = 0;  // not a bool, so that compilers look at several rows in one instruction
    for (uint32_t row = begin; row < end; row++) some |= reaches(row);
    if (some == 0) continue;
    for (uint32_t row = begin; row < end; row++) {
      if (!reaches(row)) continue;
      if (candidates.size() == model_.head.rows / kMostRescored) return false;
      candidates.push_back({static_cast<Token>(row), 0});
    }
  }
  return true;
}

// Computes their exact logits.
void Head::rescore(const float* x, std::span<TokenLogit> tokens, ThreadPool* threads) const {
  const auto row = [&](const TokenLogit& t) {
    return part_of(model_.head, static_cast<uint32_t>(t.token), static_cast<uint32_t>(t.token) + 1);
  };
  const auto rescore_piece = [&](uint32_t piece, uint32_t) {
    const size_t begin = size_t{piece} * kTogether;
    const auto together = tokens.subspan(begin, std::min<size_t>(kTogether, tokens.size() - begin));
    for (const TokenLogit& t : together) fetch(row(t));
    for (TokenLogit& t : together) multiply_rows(kernels_, row(t), x, 1, &t.logit, nullptr);
  };
  const auto pieces = static_cast<uint32_t>((tokens.size() + kTogether - 1) / kTogether);
  if (threads != nullptr) return threads->each_in_runs(pieces, rescore_piece);
  for (uint32_t piece = 0; piece < pieces; piece++) rescore_piece(piece, 0);
}

bool Head::find_largest(const Screened& screened, const float* x, size_t count, std::span<const Token> also,
                        std::vector<TokenLogit>& found, ThreadPool* threads) const {
  if (count == 0 || count > model_.head.rows / kMostRescored) return false;
  if (!(screened.norm >= kSmallest && screened.norm <= kLargest)) return false;
  const DefaultFloatEnvironment environment;
  found = largest_screened(screened, count);
  rescore(x, found, threads);
  float threshold = kInfinity;
  for (const TokenLogit& t : found) {
    if (std::isnan(t.logit)) return false;
    threshold = std::min(threshold, t.logit);
  }
  std::vector<TokenLogit> candidates;
  if (!find_candidates(screened, threshold, candidates)) return false;
  rescore(x, candidates, threads);
  std::erase_if(candidates, [&](const TokenLogit& t) { return !(t.logit >= threshold); });

  std::vector<TokenLogit> named;
  for (const Token token : also) named.push_back({token, 0});
  rescore(x, named, threads);
  found.insert(found.end(), candidates.begin(), candidates.end());
  found.insert(found.end(), named.begin(), named.end());
  std::ranges::sort(found, {}, &TokenLogit::token);
  const auto same_token = [](const TokenLogit& a, const TokenLogit& b) { return a.token == b.token; };
  found.erase(std::unique(found.begin(), found.end(), same_token), found.end());
  return true;
}

}  // namespace bitnet
