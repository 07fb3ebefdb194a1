// SPDX-License-Identifier: MIT
#include "perplexity/evaluation.h"

#include <algorithm>
#include <cmath>

#include "terminal.h"

namespace bitnet::program {

namespace {

using Logits = std::span<const float>;

// The logarithm of the sum of the exponentials.
double log_sum(Logits logits) {
  const float largest = std::ranges::max(logits);
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - largest);
  return std::log(sum) + largest;
}

double divergence(Logits from, Logits to) {
  const double from_sum = log_sum(from), to_sum = log_sum(to);
  double sum = 0;
  for (size_t i = 0; i < from.size(); ++i) {
    const double p = from[i] - from_sum, q = to[i] - to_sum;
    sum += std::exp(p) * (p - q);
  }
  return std::max(0.0, sum);
}

Logits logits_of(bitnet_session* session, size_t index, uint32_t vocabulary) {
  const float* logits = nullptr;
  check(bitnet_session_logits(session, index, &logits));
  return {logits, vocabulary};
}

}  // namespace

double Score::perplexity() const { return std::exp(mean()); }

double Score::mean_error() const {
  const auto n = static_cast<double>(tokens);
  return std::sqrt(std::max(0.0, squares / n - mean() * mean()) / n);
}

Evaluation::Evaluation(std::span<const Variant> variants, uint32_t length)
    : vocabulary_(model_info(variants.front().model.get()).vocabulary) {
  for (const Variant& variant : variants) {
    if (model_info(variant.model.get()).vocabulary != vocabulary_) {
      throw Stop(kUsage, variant.name + ": a model with another vocabulary cannot be compared token by token");
    }
    judges_.push_back({make_session(variant.model.get(), length, variant.session)});
  }
}

void Evaluation::add(const Window& window) {
  const size_t count = window.tokens.size();
  if (window.first >= count) return;
  constexpr size_t step = 64;  // bounds the memory for logits
  size_t at = window.first - 1;
  for (const Judge& judge : judges_) {
    check(bitnet_session_rewind(judge.session.get(), 0));
    if (at > 0) check(bitnet_eval(judge.session.get(), window.tokens.data(), at, BITNET_LOGITS_NONE));
  }
  for (; at + 1 < count; at += step) {
    const size_t tokens = std::min(step, count - 1 - at);
    for (const Judge& judge : judges_) {
      check(bitnet_eval(judge.session.get(), window.tokens.data() + at, tokens, BITNET_LOGITS_ALL));
    }
    for (size_t i = 0; i < tokens; ++i) add_token(window.tokens[at + i + 1], i);
  }
  for (Judge& judge : judges_) ++judge.score.windows;
}

void Evaluation::add_token(bitnet_token expected, size_t index) {
  if (expected < 0 || static_cast<uint32_t>(expected) >= vocabulary_) {
    throw Stop(kFailure, formatted("token %d is not among the model's %u", expected, vocabulary_));
  }
  const Logits first = logits_of(judges_.front().session.get(), index, vocabulary_);
  for (Judge& judge : judges_) {
    const Logits logits = logits_of(judge.session.get(), index, vocabulary_);
    const double loss = log_sum(logits) - logits[static_cast<size_t>(expected)];
    judge.score.loss += loss;
    judge.score.squares += loss * loss;
    ++judge.score.tokens;
    if (&judge == &judges_.front()) continue;
    const double distance = divergence(first, logits);
    judge.distance.divergence += distance;
    judge.distance.largest = std::max(judge.distance.largest, distance);
    judge.distance.equal_tops +=
        std::ranges::max_element(first) - first.begin() == std::ranges::max_element(logits) - logits.begin();
    ++judge.distance.tokens;
  }
}

}  // namespace bitnet::program
