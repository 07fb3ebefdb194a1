// SPDX-License-Identifier: MIT
#include "sample/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/error.h"

namespace bitnet {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kMost = std::numeric_limits<float>::max();

void check(float value, float low, float high, const char* knob) {
  require(value >= low && value <= high, BITNET_ERROR_ARGUMENT, "sampler option ", knob, " is ", value,
          "; it must lie between ", low, " and ", high);
}

}  // namespace

Sampler::Sampler(SamplerOptions options)
    : options_(std::move(options)), random_(options_.seed), kernels_(*find_kernels(nullptr)) {
  check(options_.temperature, 0, 1000, "temperature");
  check(options_.top_p, 0, 1, "top_p");
  check(options_.min_p, 0, 1, "min_p");
  check(options_.repetition_penalty, 0.01f, 100, "repetition_penalty");
  check(options_.frequency_penalty, -100, 100, "frequency_penalty");
  check(options_.presence_penalty, -100, 100, "presence_penalty");
  for (const LogitBias& b : options_.logit_bias) {
    require(b.token >= 0 && b.bias < kInfinity, BITNET_ERROR_ARGUMENT,
            "logit_bias has a negative token, or a bias that is neither finite nor -infinity");
  }
}

Token Sampler::sample(std::span<const float> logits, std::span<const Token> recent) {
  take_logits(logits);
  penalize(recent.last(std::min<size_t>(recent.size(), options_.penalty_window)));
  const Candidate best = *std::min_element(candidates_.begin(), candidates_.end(), before);
  require(best.logit > -kInfinity, BITNET_ERROR_ARGUMENT,
          "no token can be drawn: every logit is -infinity or not a number");
  if (options_.temperature == 0) return best.token;
  keep_top_k();
  const float sum = weigh(best.logit);
  keep_top_p(sum);
  keep_min_p();
  return draw();
}

void Sampler::take_logits(std::span<const float> logits) {
  require(!logits.empty(), BITNET_ERROR_ARGUMENT, "there are no logits to draw a token from");
  candidates_.resize(logits.size());
  for (size_t i = 0; i < logits.size(); i++) {
    const float logit = std::isnan(logits[i]) ? -kInfinity : std::min(logits[i], kMost);
    candidates_[i] = {logit, 0, static_cast<Token>(i)};
  }
  for (const LogitBias& b : options_.logit_bias) {
    require(static_cast<size_t>(b.token) < logits.size(), BITNET_ERROR_ARGUMENT, "logit_bias names token ", b.token,
            ", but there are only ", logits.size());
    Candidate& c = candidates_[b.token];
    c.logit = std::min(c.logit + b.bias, kMost);
  }
}

// Repetition penalty: Keskar et al., "CTRL", arXiv 1909.05858; frequency and presence: as OpenAI's API documents them.
void Sampler::penalize(std::span<const Token> recent) {
  if (options_.repetition_penalty == 1 && options_.frequency_penalty == 0 && options_.presence_penalty == 0) return;
  recent_.assign(recent.begin(), recent.end());
  std::sort(recent_.begin(), recent_.end());
  for (auto first = recent_.begin(); first != recent_.end();) {
    const auto last = std::upper_bound(first, recent_.end(), *first);
    const auto count = static_cast<float>(last - first);
    const Token token = *std::exchange(first, last);
    if (token < 0 || static_cast<size_t>(token) >= candidates_.size()) continue;
    float& logit = candidates_[token].logit;
    logit = logit > 0 ? logit / options_.repetition_penalty : logit * options_.repetition_penalty;
    logit = std::min(logit - (count * options_.frequency_penalty + options_.presence_penalty), kMost);
  }
}

void Sampler::keep_top_k() {
  if (options_.top_k == 0 || options_.top_k >= candidates_.size()) return;
  std::partial_sort(candidates_.begin(), candidates_.begin() + options_.top_k, candidates_.end(), before);
  candidates_.resize(options_.top_k);
}

// Fills in the weights and returns their sum.
float Sampler::weigh(float largest) {
  weights_.resize(candidates_.size());
  for (size_t i = 0; i < candidates_.size(); i++) {
    weights_[i] = (candidates_[i].logit - largest) / options_.temperature;
  }
  const float sum = kernels_.exp_sum(weights_.data(), 0, weights_.size(), weights_.data());
  for (size_t i = 0; i < candidates_.size(); i++) candidates_[i].weight = weights_[i];
  return sum;
}

// Nucleus sampling (Holtzman et al., arXiv 1904.09751). A heap gives the most likely tokens in turn without sorting the
// rest, most of a vocabulary.
void Sampler::keep_top_p(float sum) {
  if (options_.top_p == 0 || options_.top_p == 1) return;
  auto after = [](const Candidate& a, const Candidate& b) { return before(b, a); };
  std::make_heap(candidates_.begin(), candidates_.end(), after);
  const double enough = double{options_.top_p} * sum;
  double kept = 0;
  auto end = candidates_.end();
  while (end != candidates_.begin() && kept < enough) {
    std::pop_heap(candidates_.begin(), end, after);
    kept += (--end)->weight;
  }
  candidates_.erase(candidates_.begin(), end);
  std::reverse(candidates_.begin(), candidates_.end());
}

// Nguyen et al., arXiv 2407.01082. The most likely token has weight 1.
void Sampler::keep_min_p() {
  if (options_.min_p == 0) return;
  std::erase_if(candidates_, [this](const Candidate& c) { return c.weight < options_.min_p; });
}

Token Sampler::draw() {
  double sum = 0;
  for (const Candidate& c : candidates_) sum += c.weight;
  double left = random_.uniform() * sum;
  for (const Candidate& c : candidates_) {
    left -= c.weight;
    if (left < 0) return c.token;
  }
  // Rounding may leave a trace of `left`: then it is the last token that can be drawn.
  return std::find_if(candidates_.rbegin(), candidates_.rend(), [](const Candidate& c) { return c.weight > 0; })->token;
}

}  // namespace bitnet
