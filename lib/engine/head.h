// SPDX-License-Identifier: MIT
// The output head: hidden states to logits, all of them or just the largest.
//
// The largest come cheaper where the model has a screen, a copy of its F16 head in a third of the bytes with a proven
// bound for each row (planes_quantizer.h): |screened - exact| <= bound * |x|. Let the k rows with the largest screened
// logits have exact logits of at least t. Then at least k rows reach t, so the k-th largest logit is at least t, and a
// row with screened + bound * |x| < t is not among the k largest, nor equal to any of them. All others are computed
// exactly, by the kernel that computes the whole head: the same bits.
//
// Screening is work for all threads, for many hidden states together. Finding the largest reads little, and changes
// nothing but its answer: any thread does it for any session.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/buffer.h"
#include "engine/linear.h"
#include "engine/thread_pool.h"
#include "kernels.h"
#include "model/model.h"
#include "sample/sampler.h"

namespace bitnet {

// What the screen says of the logits of one hidden state. Takes its memory when it is first filled.
struct Screened {
  std::vector<float> values;  // one for each row of the head; infinite where it would be NaN
  std::vector<float> maxima;  // the largest value of each chunk of rows
  double norm = 0;            // |x|
};

class Head {
 public:
  static constexpr uint32_t kRows = 16;  // hidden states that are multiplied in one pass over the head

  // Takes all the memory it will ever use, but for what it is asked to fill.
  Head(const Model& model, const Kernels& kernels, ThreadPool& threads);

  static uint64_t bytes(const Model& model, uint32_t threads);

  // out[i] = the logits of hidden state i, for at most kRows of them, end to end in x.
  void logits(const float* x, std::span<float* const> out);

  bool has_screen() const { return model_.screen.data != nullptr; }

  // Has it take its memory, so that screen() will not.
  void prepare(Screened& screened) const;
  // Fills out[i] for hidden state i, for any number of them, end to end in x. There is a screen.
  void screen(const float* x, std::span<Screened* const> out);

  // Of one hidden state and what was screened of it: stores the exact logits of a set of tokens that holds those of
  // `also` and the `count` largest, ties included; in the order of tokens. Returns false if that cannot be promised or
  // would be no quicker than logits(), NaN among the reasons. Uses the threads, if there are any, or the calling one
  // alone; by the latter way at any time, whatever other threads do with this head.
  bool find_largest(const Screened& screened, const float* x, size_t count, std::span<const Token> also,
                    std::vector<TokenLogit>& found, ThreadPool* threads = nullptr) const;

 private:
  struct Layout {
    Layout(const Model& model, uint32_t threads);
    size_t activations;             // of a head of groups: kRows of them
    size_t scratch, scratch_bytes;  // of the kernels, for each thread
    size_t values, values_bytes;    // for each thread: a chunk of kRows rows of logits
    size_t total;
  };

  uint32_t chunks() const;
  Activations activations();
  template <typename Function>
  void multiply(const Matrix& matrix, const float* x, uint32_t tokens, const Function& take);
  void screen_together(const float* x, std::span<Screened* const> out);
  std::vector<TokenLogit> largest_screened(const Screened& screened, size_t count) const;
  bool find_candidates(const Screened& screened, float threshold, std::vector<TokenLogit>& candidates) const;
  void rescore(const float* x, std::span<TokenLogit> tokens, ThreadPool* threads) const;

  const Model& model_;
  const Kernels& kernels_;
  ThreadPool& threads_;
  const Layout layout_;
  Buffer memory_;
};

}  // namespace bitnet
