// SPDX-License-Identifier: MIT
#include "sample/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/error.h"
#include "base/float_environment.h"

namespace bitnet {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kMost = std::numeric_limits<float>::max();

// Not every NaN is printed as "nan": some have a sign.
float printed(float value) { return std::isnan(value) ? std::numeric_limits<float>::quiet_NaN() : value; }

void check(float value, float low, float high, const char* knob) {
  require(value >= low && value <= high, BITNET_ERROR_ARGUMENT, "sampler option ", knob, " is ", printed(value),
          "; it must lie between ", low, " and ", high);
}

}  // namespace

Sampler::Sampler(SamplerOptions options) : options_(std::move(options)), random_(options_.seed) {
  check(options_.temperature, 0, 1000, "temperature");
  check(options_.top_p, 0, 1, "top_p");
  check(options_.min_p, 0, 1, "min_p");
  check(options_.repetition_penalty, 0.01f, 100, "repetition_penalty");
  check(options_.frequency_penalty, -100, 100, "frequency_penalty");
  check(options_.presence_penalty, -100, 100, "presence_penalty");
  for (const LogitBias& b : options_.logit_bias) {
    require(b.token >= 0, BITNET_ERROR_ARGUMENT, "logit_bias names token ", b.token, "; tokens begin with 0");
    require(b.bias < kInfinity, BITNET_ERROR_ARGUMENT, "logit_bias of token ", b.token, " is ", printed(b.bias),
            "; it must be finite, or -infinity to forbid the token");
  }
}

void Sampler::check_tokens(size_t vocabulary) const {
  for (const LogitBias& b : options_.logit_bias) {
    require(static_cast<size_t>(b.token) < vocabulary, BITNET_ERROR_ARGUMENT, "logit_bias names token ", b.token,
            "; there are only ", vocabulary);
  }
}

Token Sampler::sample(std::span<const float> logits, std::span<const Token> recent, const Kernels& kernels) {
  require(!logits.empty(), BITNET_ERROR_ARGUMENT, "there are no logits to draw a token from");
  vocabulary_ = logits.size();
  candidates_.resize(logits.size());
  for (size_t i = 0; i < logits.size(); i++) take(i, static_cast<Token>(i), logits[i]);
  return sample_candidates(recent, kernels);
}

Token Sampler::sample(std::span<const TokenLogit> largest, size_t vocabulary, std::span<const Token> recent,
                      const Kernels& kernels) {
  vocabulary_ = vocabulary;
  candidates_.resize(largest.size());
  for (size_t i = 0; i < largest.size(); i++) take(i, largest[i].token, largest[i].logit);
  return sample_candidates(recent, kernels);
}

size_t Sampler::count_needed(size_t vocabulary, std::span<const Token> recent) {
  const size_t k = options_.temperature == 0 ? 1 : options_.top_k;
  if (k == 0 || k >= vocabulary) return 0;
  adjusted_.clear();
  const auto add = [&](Token token) {
    if (token >= 0 && static_cast<size_t>(token) < vocabulary) adjusted_.push_back(token);
  };
  for (const LogitBias& b : options_.logit_bias) add(b.token);
  if (penalizes()) std::ranges::for_each(latest(recent), add);
  std::sort(adjusted_.begin(), adjusted_.end());
  adjusted_.erase(std::unique(adjusted_.begin(), adjusted_.end()), adjusted_.end());
  return k + adjusted_.size();
}

Token Sampler::sample_candidates(std::span<const Token> recent, const Kernels& kernels) {
  const DefaultFloatEnvironment environment;
  check_tokens(vocabulary_);
  add_biases();
  penalize(latest(recent));
  const Candidate best = *std::min_element(candidates_.begin(), candidates_.end(), before);
  require(best.logit > -kInfinity, BITNET_ERROR_ARGUMENT,
          "no token can be drawn: every logit is -infinity or not a number");
  if (options_.temperature == 0) return best.token;
  keep_top_k();
  const float sum = weigh(best.logit, kernels);
  keep_top_p(sum);
  keep_min_p();
  return draw();
}

void Sampler::take(size_t index, Token token, float logit) {
  candidates_[index] = {std::isnan(logit) ? -kInfinity : std::min(logit, kMost), 0, token};
}

// The candidate of a token, one of them.
Sampler::Candidate& Sampler::find(Token token) {
  return *std::lower_bound(candidates_.begin(), candidates_.end(), token,
                           [](const Candidate& c, Token t) { return c.token < t; });
}

void Sampler::add_biases() {
  for (const LogitBias& b : options_.logit_bias) {
    Candidate& c = find(b.token);
    c.logit = std::min(c.logit + b.bias, kMost);
  }
}

bool Sampler::penalizes() const {
  return options_.repetition_penalty != 1 || options_.frequency_penalty != 0 || options_.presence_penalty != 0;
}

std::span<const Token> Sampler::latest(std::span<const Token> recent) const {
  return recent.last(std::min<size_t>(recent.size(), options_.penalty_window));
}

// Repetition penalty: Keskar et al., "CTRL", arXiv 1909.05858; frequency and presence: as OpenAI's API documents them.
void Sampler::penalize(std::span<const Token> recent) {
  if (!penalizes()) return;
  recent_.assign(recent.begin(), recent.end());
  std::sort(recent_.begin(), recent_.end());
  for (auto first = recent_.begin(); first != recent_.end();) {
    const auto last = std::upper_bound(first, recent_.end(), *first);
    const auto count = static_cast<float>(last - first);
    const Token token = *std::exchange(first, last);
    if (token < 0 || static_cast<size_t>(token) >= vocabulary_) continue;
    float& logit = find(token).logit;
    logit = logit > 0 ? logit / options_.repetition_penalty : logit * options_.repetition_penalty;
    logit = std::min(logit - (count * options_.frequency_penalty + options_.presence_penalty), kMost);
  }
}

void Sampler::keep_top_k() {
  if (options_.top_k == 0 || options_.top_k >= vocabulary_) return;
  std::partial_sort(candidates_.begin(), candidates_.begin() + options_.top_k, candidates_.end(), before);
  candidates_.resize(options_.top_k);
}

// Fills in the weights and returns their sum.
float Sampler::weigh(float largest, const Kernels& kernels) {
  weights_.resize(candidates_.size());
  for (size_t i = 0; i < candidates_.size(); i++) {
    weights_[i] = (candidates_[i].logit - largest) / options_.temperature;
  }
  const float sum = kernels.exp_sum(weights_.data(), 0, weights_.size(), weights_.data());
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
