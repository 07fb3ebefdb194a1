// SPDX-License-Identifier: MIT
// How well models predict windows of tokens; and how far they are from the first of them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "options.h"
#include "perplexity/corpus.h"

namespace bitnet::program {

struct Score {
  double loss = 0, squares = 0;  // sums over the tokens: negative log likelihood in nats, and its square
  uint64_t tokens = 0, windows = 0;

  double mean() const { return loss / static_cast<double>(tokens); }
  double perplexity() const;
  // Of the mean and of the perplexity, taking tokens as independent draws.
  double mean_error() const;
  double error() const { return perplexity() * mean_error(); }
};

// Of a model to the first: divergences from what that predicts, over the same tokens.
struct Distance {
  double divergence = 0, largest = 0;  // Kullback-Leibler, in nats: sum, and largest of a token
  uint64_t tokens = 0, equal_tops = 0;

  double mean_divergence() const { return divergence / static_cast<double>(tokens); }
  double equal_share() const { return static_cast<double>(equal_tops) / static_cast<double>(tokens); }
};

struct Variant {
  std::string name;
  Model model;
  SessionOptions session;
};

class Evaluation {
 public:
  // For windows of at most so many tokens.
  Evaluation(std::span<const Variant> variants, uint32_t length);
  void add(const Window& window);

  const Score& score(size_t variant) const { return judges_[variant].score; }
  const Distance& distance(size_t variant) const { return judges_[variant].distance; }

 private:
  struct Judge {
    Session session;
    Score score = {};
    Distance distance = {};
  };
  void add_token(bitnet_token expected, size_t index);

  uint32_t vocabulary_;
  std::vector<Judge> judges_;
};

}  // namespace bitnet::program
