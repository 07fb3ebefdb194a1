// SPDX-License-Identifier: MIT
// The output head: hidden states to logits, all of them or just the largest.
//
// The largest come cheaper where the model has a screen, a copy of its F16 head in a third of the bytes with a proven
// bound for each row (planes_quantizer.h): |screened - exact| <= bound * |x|. Let the k rows with the largest screened
// logits have exact logits of at least t. Then at least k rows reach t, so the k-th largest logit is at least t, and a
// row with screened + bound * |x| < t is not among the k largest, nor equal to any of them. All others are computed
// exactly, by the kernel that computes the whole head: the same bits.
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

class Head {
 public:
  static constexpr uint32_t kRows = 16;  // hidden states that are multiplied in one pass over the head

  // Takes all the memory it will ever use, but for the answers of find_largest().
  Head(const Model& model, const Kernels& kernels, ThreadPool& threads);

  static uint64_t bytes(const Model& model, uint32_t threads);

  // out[i] = the logits of hidden state i, for at most kRows of them, end to end in x.
  void logits(const float* x, std::span<float* const> out);

  bool has_screen() const { return model_.screen.data != nullptr; }

  // Stores the exact logits of a set of tokens that holds those of `also` and the `count` largest, ties included; in
  // the order of tokens. Returns false if that cannot be promised or would be no quicker than logits(), NaN among the
  // reasons.
  bool find_largest(const float* x, size_t count, std::span<const Token> also, std::vector<TokenLogit>& found);

 private:
  struct Layout {
    Layout(const Model& model, uint32_t threads);
    size_t activations;             // of a head of groups: kRows of them
    size_t scratch, scratch_bytes;  // of the kernels, for each thread
    size_t values;                  // kRows rows of logits, padded to chunks
    size_t maxima;                  // the largest value of each chunk
    size_t total;
  };

  uint32_t chunks() const;
  Activations activations();
  void multiply(const Matrix& matrix, const float* x, uint32_t tokens, size_t row_begin, size_t row_end,
                uint32_t worker);
  void screen(const float* x);
  std::vector<Token> largest_screened(size_t count) const;
  // Replaces the values of rows that can reach `threshold` by their exact logits; the others' are below it. maxima_ are
  // then of the former only. Returns false if these are too many.
  bool rescore(const float* x, double norm, float threshold);

  const Model& model_;
  const Kernels& kernels_;
  ThreadPool& threads_;
  const Layout layout_;
  Buffer memory_;
  float *values_, *maxima_;
};

}  // namespace bitnet
