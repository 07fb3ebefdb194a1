// SPDX-License-Identifier: MIT
// Logits to a token: the knobs of bitnet_sampler_options, in the order that it states.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels.h"
#include "sample/random.h"
#include "text/vocabulary.h"

namespace bitnet {

struct LogitBias {
  Token token;
  float bias;
};

struct SamplerOptions {
  uint64_t seed = 0;
  float temperature = 0;
  uint32_t top_k = 0;
  float top_p = 1;
  float min_p = 0;
  float repetition_penalty = 1;
  float frequency_penalty = 0;
  float presence_penalty = 0;
  uint32_t penalty_window = 64;
  std::vector<LogitBias> logit_bias;
};

struct TokenLogit {
  Token token;
  float logit;
};

class Sampler {
 public:
  // Throws Error for a knob out of its range.
  explicit Sampler(SamplerOptions options);

  // Throws Error if a biased token is beyond the vocabulary.
  void check_tokens(size_t vocabulary) const;

  void reseed(uint64_t seed) { random_ = Random(seed); }

  // Draws a token with these kernels; the last penalty_window of `recent` count as recent. NaN logits count as
  // -infinity. Throws Error if no token is possible, or if a biased token is beyond the logits.
  Token sample(std::span<const float> logits, std::span<const Token> recent, const Kernels& kernels);

  // Greedy and top-k sampling come down to the k tokens that are first after biases and penalties. A token that is
  // neither biased nor penalized is among them only if fewer than k others of its kind are before it, and of the tokens
  // before it at most the adjusted ones are of the other kind. So the logits of the adjusted tokens, and the largest
  // k + the number of those, hold all that can be drawn, and the k first among them are the k first of all.
  // Returns that count, 0 where all logits are needed, and leaves the adjusted tokens in adjusted().
  size_t count_needed(size_t vocabulary, std::span<const Token> recent);
  std::span<const Token> adjusted() const { return adjusted_; }
  // Draws the token that sample(logits, recent) would, from such logits in the order of tokens.
  Token sample(std::span<const TokenLogit> largest, size_t vocabulary, std::span<const Token> recent,
               const Kernels& kernels);

 private:
  struct Candidate {
    float logit;
    float weight;  // exp((logit - largest) / temperature)
    Token token;
  };
  static bool before(const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
  }

  Token sample_candidates(std::span<const Token> recent, const Kernels& kernels);
  void take(size_t index, Token token, float logit);
  void add_biases();
  bool penalizes() const;
  std::span<const Token> latest(std::span<const Token> recent) const;
  Candidate& find(Token token);
  void penalize(std::span<const Token> recent);
  void keep_top_k();
  float weigh(float largest, const Kernels& kernels);
  void keep_top_p(float sum);
  void keep_min_p();
  Token draw();

  SamplerOptions options_;
  Random random_;
  std::vector<Candidate> candidates_;  // in the order of tokens, until a step sorts them
  size_t vocabulary_ = 0;
  std::vector<float> weights_;
  std::vector<Token> adjusted_;
  std::vector<Token> recent_;
};

}  // namespace bitnet
