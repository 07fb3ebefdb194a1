// SPDX-License-Identifier: MIT
#include "verify/lossless.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <span>

#include "terminal.h"
#include "verify/products.h"
#include "verify/reference.h"

namespace bitnet::program {

namespace {

using Tokens = std::vector<bitnet_token>;

constexpr size_t kGroupTokens = 512;  // that the reference takes at a time, so that weights are unpacked seldom
// A margin is the sum of what two logits move by, and activations that round the other way move some by far more than
// others.
constexpr double kMostNoise = 8;

double root_mean_square(std::span<const float> a, std::span<const float> b) {
  double squares = 0;
  for (size_t i = 0; i < a.size(); ++i) squares += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
  return std::sqrt(squares / static_cast<double>(a.size()));
}

// The experiment after the texts are there: what the reference makes of them.
class Judge {
 public:
  Judge(const bitnet::Model& model, const Kernels& kernels, const std::vector<Tokens>& prompts,
        const std::vector<Tokens>& texts)
      : reference_(model), products_(model, kernels), layers_(model.hyper.layers), prompts_(prompts), texts_(texts) {}

  // Of each text its first difference, if it has one.
  void compare() {
    std::vector<size_t> numbers(texts_.size());
    std::iota(numbers.begin(), numbers.end(), size_t{0});
    evaluate("reference", numbers, std::nullopt, [this](size_t number, size_t position, Logits logits) {
      if (!found_.empty() && found_.back().prompt == number) return;
      const bitnet_token ours = texts_[number][position + 1];
      const auto best = std::ranges::max_element(logits);
      const auto reference = static_cast<bitnet_token>(best - logits.begin());
      if (ours == reference) return;
      found_.push_back({.prompt = number,
                        .token = position + 1 - prompts_[number].size(),
                        .ours = ours,
                        .reference = reference,
                        .margin = double{*best} - logits[static_cast<size_t>(ours)],
                        .noise = 0,
                        .cause = Difference::Cause::fault});
      logits_.emplace_back(logits.begin(), logits.end());
    });
  }

  // The same texts once more with the cache's rounding: what that does not change is not caused by it.
  void explain(KvType cache) {
    std::vector<size_t> numbers;
    for (const Difference& difference : found_) numbers.push_back(difference.prompt);
    evaluate("rounded reference", numbers, cache, [this](size_t number, size_t position, Logits logits) {
      const auto at = std::ranges::find(found_, number, &Difference::prompt);
      if (position + 1 != prompts_[number].size() + at->token) return;
      at->noise = root_mean_square(logits, logits_[static_cast<size_t>(at - found_.begin())]);
      if (std::ranges::max_element(logits) - logits.begin() == at->ours) {
        at->cause = Difference::Cause::cache;
      } else if (at->margin <= kMostNoise * at->noise) {
        at->cause = Difference::Cause::sums;
      }
    });
  }

  const std::vector<Difference>& differences() const { return found_; }
  const ProductCounts& products() const { return products_.counts(); }

 private:
  using Logits = std::span<const float>;

  // The texts whose numbers are given. Products of the first of them are checked where nothing is rounded.
  template <typename See>
  void evaluate(const char* bar, const std::vector<size_t>& numbers, std::optional<KvType> cache, const See& see) {
    ProgressBar progress(bar, ProgressBar::Unit::texts);
    for (size_t begin = 0, end = 0; begin < numbers.size(); begin = end) {
      std::vector<Reference::Text> group;
      for (size_t tokens = 0; end < numbers.size() && tokens < kGroupTokens; ++end) {
        group.push_back(text(numbers[end]));
        tokens += group.back().tokens.size();
      }
      ReferenceOptions options;
      options.cache = cache;
      if (begin == 0 && !cache) options.product = [this](const SeenProduct& seen) { products_.check(seen); };
      options.progress = [&](uint32_t layer) {
        return ProgressBar::callback(&progress, begin + (end - begin) * layer / layers_, numbers.size()) == 0;
      };
      reference_.run(group, options,
                     [&](size_t i, size_t position, Logits logits) { see(numbers[begin + i], position, logits); });
    }
  }

  // The last token of a text is chosen, and nothing after it.
  Reference::Text text(size_t number) const {
    return {std::span(texts_[number]).first(texts_[number].size() - 1), prompts_[number].size() - 1};
  }

  const Reference reference_;
  ProductCheck products_;
  const size_t layers_;
  const std::vector<Tokens>&prompts_, &texts_;
  std::vector<Difference> found_;
  std::vector<std::vector<float>> logits_;  // of the reference, where it differs
};

}  // namespace

const char* cause_name(Difference::Cause cause) {
  switch (cause) {
    case Difference::Cause::cache:
      return "rounding of the KV cache";
    case Difference::Cause::sums:
      return "order of sums";
    case Difference::Cause::fault:
      return "FAULT";
  }
  return "";
}

size_t LosslessReport::count(Difference::Cause cause) const {
  return static_cast<size_t>(std::ranges::count(differences, cause, &Difference::cause));
}

LosslessReport judge(const bitnet::Model& model, const Kernels& kernels, KvType cache,
                     const std::vector<Tokens>& prompts, const std::vector<Tokens>& texts) {
  Judge judge(model, kernels, prompts, texts);
  judge.compare();
  judge.explain(cache);
  return {prompts.size(), judge.differences(), judge.products()};
}

}  // namespace bitnet::program
