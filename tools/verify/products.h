// SPDX-License-Identifier: MIT
// Holds the kernels' products with a model's weights to those of the reference.
#pragma once

#include "kernels.h"
#include "model/model.h"
#include "verify/lossless.h"
#include "verify/reference.h"

namespace bitnet::program {

// Ternary products with int8 activations are whole numbers times their scales, so the reference has the same bits. Of
// others the order of sums is defined (kernels.h), and the scalar kernels have it.
class ProductCheck {
 public:
  ProductCheck(const bitnet::Model& model, const Kernels& kernels) : model_(model), kernels_(kernels) {}

  void check(const SeenProduct& seen);
  const ProductCounts& counts() const { return counts_; }

 private:
  const bitnet::Model& model_;
  const Kernels& kernels_;
  ProductCounts counts_;
};

}  // namespace bitnet::program
