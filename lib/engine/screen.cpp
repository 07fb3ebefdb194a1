// SPDX-License-Identifier: MIT
#include "engine/screen.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "base/float_environment.h"
#include "engine/head.h"

namespace bitnet {
namespace {

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

void fetch(const Matrix& row) {
  constexpr size_t kCacheLine = 64;
  const auto* begin = static_cast<const std::byte*>(row.data);
  for (size_t i = 0; i < row.stride * sizeof(f16); i += kCacheLine) __builtin_prefetch(begin + i, 0, 2);
}

}  // namespace

uint32_t Screen::chunks() const { return (model_.head.rows + kScreenChunk - 1) / kScreenChunk; }

void Screen::prepare(Screened& screened) const {
  screened.values.resize(model_.head.rows);
  screened.maxima.resize(chunks());
}

// Where the largest values of the chunks are at least v, the largest of all are: all but a few chunks are passed over.
std::vector<TokenLogit> Screen::largest_screened(const Screened& screened, size_t count) const {
  float least = -kInfinity;
  if (count <= chunks()) {
    std::vector<float> maxima = screened.maxima;
    std::nth_element(maxima.begin(), maxima.begin() + (count - 1), maxima.end(), std::greater<>());
    least = maxima[count - 1];
  }
  std::vector<TokenLogit> tokens;
  for (uint32_t chunk = 0; chunk < chunks(); chunk++) {
    if (screened.maxima[chunk] < least) continue;
    const uint32_t begin = chunk * kScreenChunk, end = std::min(begin + kScreenChunk, model_.head.rows);
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
bool Screen::find_candidates(const Screened& screened, float threshold, std::vector<TokenLogit>& candidates) const {
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
void Screen::rescore(const float* x, std::span<TokenLogit> tokens, ThreadPool* threads) const {
  const auto row = [&](const TokenLogit& t) { return rows_of(model_.head, static_cast<uint32_t>(t.token), 1); };
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

bool Screen::find_largest(const Screened& screened, const float* x, size_t count, std::span<const Token> also,
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
