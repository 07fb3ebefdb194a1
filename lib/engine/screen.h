// SPDX-License-Identifier: MIT
// The largest logits without all of them. A model may have a screen: a copy of its F16 head in a third of the bytes,
// with a proven bound for each row (planes_quantizer.h): |screened - exact| <= bound * |x|. Let the k rows with the
// largest screened logits have exact logits of at least t. Then at least k rows reach t, so the k-th largest logit is
// at least t, and a row with screened + bound * |x| < t is not among the k largest, nor equal to any of them. All
// others are computed exactly, by the kernel that computes the whole head: the same bits.
//
// Screening is a backend's work, for many hidden states together (head.h). Finding the largest reads little, and
// changes nothing but its answer: any thread does it for any session.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/thread_pool.h"
#include "kernels.h"
#include "model/model.h"
#include "sample/sampler.h"

namespace bitnet {

// What the screen says of the logits of one hidden state. Takes its memory when it is first filled.
struct Screened {
  std::vector<float> values;  // one for each row of the head; infinite where it would be NaN
  std::vector<float> maxima;  // the largest value of each kScreenChunk rows
  double norm = 0;            // |x|
};
constexpr uint32_t kScreenChunk = 512;

class Screen {
 public:
  // The model's, if it has one.
  Screen(const Model& model, const Kernels& kernels) : model_(model), kernels_(kernels) {}

  // Takes its memory, so that whoever fills it need not.
  void prepare(Screened& screened) const;

  // Of one hidden state and what was screened of it: stores the exact logits of a set of tokens that holds those of
  // `also` and the `count` largest, ties included; in the order of tokens. Returns false if that cannot be promised or
  // would be no quicker than all logits, NaN among the reasons. Uses the threads, if there are any, or the calling one
  // alone; by the latter way at any time, whatever others do.
  bool find_largest(const Screened& screened, const float* x, size_t count, std::span<const Token> also,
                    std::vector<TokenLogit>& found, ThreadPool* threads = nullptr) const;

 private:
  uint32_t chunks() const;
  std::vector<TokenLogit> largest_screened(const Screened& screened, size_t count) const;
  bool find_candidates(const Screened& screened, float threshold, std::vector<TokenLogit>& candidates) const;
  void rescore(const float* x, std::span<TokenLogit> tokens, ThreadPool* threads) const;

  const Model& model_;
  const Kernels& kernels_;
};

}  // namespace bitnet
