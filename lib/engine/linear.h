// SPDX-License-Identifier: MIT
// Products of matrices with the activations of some tokens, whatever the numbers: which form of activations a matrix
// takes, which kernel multiplies it, and how the work is cut into pieces for the threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "engine/thread_pool.h"
#include "kernels.h"
#include "model/model.h"

namespace bitnet {

// The activations of some tokens, in the form that matrices of `numbers` take.
struct Activations {
  Numbers numbers;
  uint32_t cols;
  size_t stride;    // bytes from one token to the next
  std::byte* data;  // aligned to 64
  float* steps;     // i2, t5: one for each token

  static size_t bytes(Numbers numbers, size_t cols);  // of a token
  void store(const Kernels& kernels, uint32_t token, const float* x) const;
  void copy(uint32_t from, uint32_t to) const;  // of a token
  Activations from(uint32_t token) const;       // those from it on
};

// One row of a matrix as floats; of f32, f16, g128 or g64.
void read_row(const Kernels& kernels, const Matrix& matrix, size_t row, float* out);

// A linear and where its product goes: rows floats for each token.
struct Product {
  const Linear& linear;
  float* out;
};

// Some rows of a matrix, as one. Where rows lie in groups or tiles, `begin` is a multiple of these.
Matrix rows_of(const Matrix& matrix, uint32_t begin, uint32_t rows);

// What the kernels need of memory while they multiply by a matrix, for each thread; aligned to 64.
size_t product_scratch_bytes(Numbers numbers, size_t cols);

// The kernel of rows of plain numbers. `rounded`: the activations are those of round_activations.
using RowKernel = void (*)(const HeadProduct&);
RowKernel row_kernel(const Kernels& kernels, Numbers numbers, bool rounded);

// Rows of a matrix times tokens of the activations, without a bias.
struct Piece {
  const Matrix& matrix;
  uint32_t row_begin, row_end;  // row_begin is a multiple of 16
  uint32_t token, tokens;       // from the first of the activations
  float* out;                   // of the first token that there is
};
void multiply_piece(const Kernels& kernels, const Activations& activations, const Piece& piece, void* scratch);

// All products, which share the activations, with their biases, on all threads. `scratch` gives each worker its own.
class Multiplier {
 public:
  Multiplier(const Kernels& kernels, ThreadPool& threads, const Activations& activations, uint32_t tokens);

  // Into how many pieces a product is cut, and one of them, for callers that have the threads take pieces of several.
  uint32_t pieces(const Matrix& matrix) const;
  void multiply(const Product& product, uint32_t piece, void* scratch) const;
  // Few tokens: what takes time is to read the matrices.
  bool waits_for_memory() const { return waits_for_memory_; }

  template <typename Scratch>
  void run(std::initializer_list<Product> products, const Scratch& scratch) const {
    uint32_t count = 0;
    for (const Product& product : products) count += pieces(product.linear.weights);
    const auto piece = [&](uint32_t i, uint32_t worker) {
      const Product* product = products.begin();
      for (; i >= pieces(product->linear.weights); product++) i -= pieces(product->linear.weights);
      multiply(*product, i, scratch(worker));
    };
    if (waits_for_memory_) {
      threads_.each_in_runs(count, piece);
    } else {
      threads_.each(count, piece);
    }
  }

 private:
  uint32_t rows_at_once(const Matrix& matrix) const;
  uint32_t part_begin(uint32_t part) const;

  const Kernels& kernels_;
  ThreadPool& threads_;
  const Activations activations_;
  const uint32_t tokens_;
  bool prepares_ = false;  // the kernel builds tables of the activations or unpacks the weights
  bool waits_for_memory_ = true;
  uint32_t tile_ = 1, tiles_, parts_ = 1;  // tokens in a tile, tiles, parts of the tiles of about the same length
};

}  // namespace bitnet
