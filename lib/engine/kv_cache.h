// SPDX-License-Identifier: MIT
// Keys and values of the tokens that a session has seen. Each layer and KV head has its own, laid out for attention to
// read straight through (kernels.h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/buffer.h"
#include "kernels.h"
#include "model/model.h"

namespace bitnet {

constexpr bool is_known(KvType type) {
  switch (type) {
    case KvType::f16:
    case KvType::int8:
    case KvType::int16:
      return true;
  }
  return false;
}

class KvCache {
 public:
  KvCache(const HyperParameters& hyper, KvType type, uint32_t context);

  static uint64_t bytes(const HyperParameters& hyper, KvType type, uint32_t context);

  KvType type() const { return type_; }
  uint32_t context() const { return context_; }

  // The KV heads of all layers are counted through.
  size_t heads() const { return heads_; }
  size_t head(uint32_t layer, uint32_t head) const { return layer * layer_heads_ + head; }

  // The blocks of keys and values of one split, which begins at `position`, for Attention.
  struct Split {
    std::array<const void*, kKvSplit / kKvBlock + 1> keys, values;
  };
  Split split(size_t head, size_t position) const;

  // Keys or values from `position` on, a multiple of kKvBlock.
  const std::byte* keys(size_t head, size_t position) const { return keys_of(head) + position / kKvBlock * key_block_; }
  const std::byte* values(size_t head, size_t position) const {
    return keys_of(head) + blocks_ * key_block_ + position / kKvBlock * value_block_;
  }

  // The key or value of one position by itself, row_bytes() long: head_dim float16 numbers, or as many codes and then
  // their step.
  size_t row_bytes() const { return row_bytes(type_, dim_); }
  static size_t row_bytes(KvType type, size_t head_dim) {
    return head_dim * code_bytes(type) + (has_codes(type) ? sizeof(float) : 0);
  }
  void store_key(size_t head, size_t position, const std::byte* row);
  void store_value(size_t head, size_t position, const std::byte* row);
  void load_key(size_t head, size_t position, std::byte* row) const;
  void load_value(size_t head, size_t position, std::byte* row) const;

  // Takes over the first `positions` of a cache of the same shape.
  void copy(const KvCache& other, size_t positions);

 private:
  static size_t blocks(size_t positions) { return (positions + kKvBlock - 1) / kKvBlock; }
  // All keys of a head, then all its values.
  const std::byte* keys_of(size_t head) const { return data_.data() + head * blocks_ * (key_block_ + value_block_); }
  std::byte* key_block(size_t head, size_t position) { return const_cast<std::byte*>(keys(head, position)); }
  std::byte* value_block(size_t head, size_t position) { return const_cast<std::byte*>(values(head, position)); }

  template <typename Copy>
  void each_key_part(size_t position, const Copy& copy) const;
  template <typename Copy>
  void each_value_part(size_t position, const Copy& copy) const;

  KvType type_;
  size_t heads_, layer_heads_, dim_, key_block_, value_block_, blocks_;
  uint32_t context_;
  Buffer data_;
};

}  // namespace bitnet
