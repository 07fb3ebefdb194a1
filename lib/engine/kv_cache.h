// SPDX-License-Identifier: MIT
// Keys and values of the tokens that a session has seen, as float16. Each layer and KV head has its own, laid out for
// attention to read straight through (kernels.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/buffer.h"
#include "kernels.h"
#include "model/model.h"

namespace bitnet {

class KvCache {
 public:
  KvCache(const HyperParameters& hyper, uint32_t context)
      : heads_(size_t{hyper.layers} * hyper.kv_heads),
        layer_heads_(hyper.kv_heads),
        dim_(hyper.head_dim),
        context_(context),
        data_(bytes(hyper, context)) {}

  static uint64_t bytes(const HyperParameters& hyper, uint32_t context) {
    return uint64_t{hyper.layers} * hyper.kv_heads * rounded(context) *
           (hyper.head_dim + value_stride(hyper.head_dim)) * sizeof(f16);
  }

  uint32_t context() const { return context_; }
  size_t head_dim() const { return dim_; }

  // The KV heads of all layers are counted through.
  size_t heads() const { return heads_; }
  size_t head(uint32_t layer, uint32_t head) const { return layer * layer_heads_ + head; }

  // Keys from `position` on, a multiple of kKvBlock.
  const f16* keys(size_t head, size_t position) const { return halves() + keys_at(head) + position * dim_; }
  // Values from `position` on.
  const f16* values(size_t head, size_t position) const { return halves() + values_at(head, position); }
  f16* values(size_t head, size_t position) { return halves() + values_at(head, position); }

  // The key of one position, head_dim halves.
  void store_key(size_t head, size_t position, const f16* key) {
    f16* to = halves() + key_at(head, position);
    for (size_t d = 0; d < dim_; d++) to[d * kKvBlock] = key[d];
  }
  void load_key(size_t head, size_t position, f16* key) const {
    const f16* from = halves() + key_at(head, position);
    for (size_t d = 0; d < dim_; d++) key[d] = from[d * kKvBlock];
  }

  // Takes over the first `positions` of a cache of the same shape.
  void copy(const KvCache& other, size_t positions) {
    for (size_t head = 0; head < heads_; head++) {
      std::memcpy(halves() + keys_at(head), other.keys(head, 0), rounded(positions) * dim_ * sizeof(f16));
      std::memcpy(values(head, 0), other.values(head, 0), positions * value_stride(dim_) * sizeof(f16));
    }
  }

 private:
  static size_t rounded(size_t positions) { return (positions + kKvBlock - 1) / kKvBlock * kKvBlock; }

  // All keys of a head, then all its values.
  size_t keys_at(size_t head) const { return head * rounded(context_) * (dim_ + value_stride(dim_)); }
  size_t key_at(size_t head, size_t position) const {
    return keys_at(head) + position / kKvBlock * kKvBlock * dim_ + position % kKvBlock;
  }
  size_t values_at(size_t head, size_t position) const {
    return keys_at(head) + rounded(context_) * dim_ + position * value_stride(dim_);
  }
  f16* halves() { return data_.as<f16>(); }
  const f16* halves() const { return data_.as<const f16>(); }

  size_t heads_, layer_heads_, dim_;
  uint32_t context_;
  Buffer data_;
};

}  // namespace bitnet
