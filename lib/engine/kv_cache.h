// SPDX-License-Identifier: MIT
// Keys and values of the tokens that a session has seen, as float16. Each layer and head has its own rows, one after
// the other, so that attention reads them straight through.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/buffer.h"
#include "kernels.h"
#include "model/model.h"

namespace bitnet {

class KvCache {
 public:
  KvCache(const HyperParameters& hyper, uint32_t context)
      : layers_(hyper.layers),
        heads_(hyper.kv_heads),
        dim_(hyper.head_dim),
        context_(context),
        data_(bytes(hyper, context)) {}

  static uint64_t bytes(const HyperParameters& hyper, uint32_t context) {
    return uint64_t{2} * hyper.layers * hyper.kv_heads * hyper.head_dim * context * sizeof(f16);
  }

  uint32_t context() const { return context_; }
  size_t row_bytes() const { return dim_ * sizeof(f16); }
  // Runs of rows that lie together: one for keys and one for values of each layer and head.
  size_t runs() const { return size_t{2} * layers_ * heads_; }
  f16* run(size_t index) { return base() + index * context_ * dim_; }
  const f16* run(size_t index) const { return base() + index * context_ * dim_; }

  f16* keys(uint32_t layer, uint32_t head) { return run(2 * (size_t{layer} * heads_ + head)); }
  f16* values(uint32_t layer, uint32_t head) { return run(2 * (size_t{layer} * heads_ + head) + 1); }

 private:
  f16* base() { return reinterpret_cast<f16*>(data_.data()); }
  const f16* base() const { return reinterpret_cast<const f16*>(data_.data()); }

  uint32_t layers_, heads_, dim_, context_;
  Buffer data_;
};

}  // namespace bitnet
