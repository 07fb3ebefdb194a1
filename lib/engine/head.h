// SPDX-License-Identifier: MIT
// The output head: hidden states to logits, or to what its screen says of them (screen.h). Both are work for all
// threads, for many hidden states together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/buffer.h"
#include "engine/linear.h"
#include "engine/screen.h"
#include "engine/thread_pool.h"
#include "kernels.h"
#include "model/model.h"

namespace bitnet {

// All its rows times `tokens` hidden states.
void multiply_rows(const Kernels& kernels, const Matrix& matrix, const float* x, uint32_t tokens, float* out,
                   void* scratch);

class Head {
 public:
  static constexpr uint32_t kRows = 16;  // hidden states that are multiplied in one pass over the head

  // Takes all the memory it will ever use, but for what it is asked to fill.
  Head(const Model& model, const Kernels& kernels, ThreadPool& threads);

  static uint64_t bytes(const Model& model, uint32_t threads);

  // out[i] = the logits of hidden state i, for at most kRows of them, end to end in x.
  void logits(const float* x, std::span<float* const> out);

  // Fills out[i] for hidden state i, for any number of them, end to end in x. There is a screen.
  void screen(const float* x, std::span<Screened* const> out);

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

  const Model& model_;
  const Kernels& kernels_;
  ThreadPool& threads_;
  const Layout layout_;
  Buffer memory_;
};

}  // namespace bitnet
