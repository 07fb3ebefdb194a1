// SPDX-License-Identifier: MIT
#include "engine/kv_cache.h"

#include <cstring>

namespace bitnet {

KvCache::KvCache(const HyperParameters& hyper, KvType type, uint32_t context)
    : type_(type),
      heads_(size_t{hyper.layers} * hyper.kv_heads),
      layer_heads_(hyper.kv_heads),
      dim_(hyper.head_dim),
      key_block_(key_block_bytes(type, dim_)),
      value_block_(value_block_bytes(type, dim_)),
      blocks_(blocks(context)),
      context_(context),
      data_(bytes(hyper, type, context)) {}

uint64_t KvCache::bytes(const HyperParameters& hyper, KvType type, uint32_t context) {
  return uint64_t{hyper.layers} * hyper.kv_heads * blocks(context) *
         (key_block_bytes(type, hyper.head_dim) + value_block_bytes(type, hyper.head_dim));
}

KvCache::Split KvCache::split(size_t head, size_t position) const {
  Split split;
  for (size_t i = 0; i < split.keys.size(); i++) {
    split.keys[i] = keys(head, position) + i * key_block_;
    split.values[i] = values(head, position) + i * value_block_;
  }
  return split;
}

// Calls copy(offset in the block, offset in the row, size) for each piece of a row.
template <typename Copy>
void KvCache::each_key_part(size_t position, const Copy& copy) const {
  const size_t within = position % kKvBlock;
  if (!has_codes(type_)) {
    for (size_t d = 0; d < dim_; d++) copy((d * kKvBlock + within) * sizeof(f16), d * sizeof(f16), sizeof(f16));
    return;
  }
  const size_t words = key_words(type_, dim_), size = code_bytes(type_);
  for (size_t d = 0; d < dim_; d++) {
    copy((d % words * kKvBlock + within) * sizeof(uint32_t) + d / words * size, d * size, size);
  }
  copy(key_steps_at(type_, dim_) + within * sizeof(float), dim_ * size, sizeof(float));
}

template <typename Copy>
void KvCache::each_value_part(size_t position, const Copy& copy) const {
  const size_t within = position % kKvBlock, stride = value_stride(dim_);
  if (!has_codes(type_)) return copy(within * stride * sizeof(f16), 0, dim_ * sizeof(f16));
  const size_t word = within % value_words(type_), place = within / value_words(type_), size = code_bytes(type_);
  for (size_t d = 0; d < dim_; d++) copy((word * stride + d) * sizeof(uint32_t) + place * size, d * size, size);
  copy(value_steps_at(type_, dim_) + within * sizeof(float), dim_ * size, sizeof(float));
}

void KvCache::store_key(size_t head, size_t position, const std::byte* row) {
  std::byte* const block = key_block(head, position);
  each_key_part(position, [&](size_t to, size_t from, size_t size) { std::memcpy(block + to, row + from, size); });
}

void KvCache::store_value(size_t head, size_t position, const std::byte* row) {
  std::byte* const block = value_block(head, position);
  each_value_part(position, [&](size_t to, size_t from, size_t size) { std::memcpy(block + to, row + from, size); });
}

void KvCache::load_key(size_t head, size_t position, std::byte* row) const {
  const std::byte* const block = keys(head, position);
  each_key_part(position, [&](size_t from, size_t to, size_t size) { std::memcpy(row + to, block + from, size); });
}

void KvCache::load_value(size_t head, size_t position, std::byte* row) const {
  const std::byte* const block = values(head, position);
  each_value_part(position, [&](size_t from, size_t to, size_t size) { std::memcpy(row + to, block + from, size); });
}

void KvCache::copy(const KvCache& other, size_t positions) {
  for (size_t head = 0; head < heads_; head++) {
    std::memcpy(key_block(head, 0), other.keys(head, 0), blocks(positions) * key_block_);
    std::memcpy(value_block(head, 0), other.values(head, 0), blocks(positions) * value_block_);
  }
}

}  // namespace bitnet
