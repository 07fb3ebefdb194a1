// SPDX-License-Identifier: MIT
#include "engine/kv_cache.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

namespace bitnet {

KvCache::KvCache(KvPages& pages, KvType type, uint32_t context, bool prefixes)
    : pages_(pages),
      layout_(pages.layout(type)),
      context_(context),
      table_memory_(blocks(context) * sizeof(KvPages::Page*)),
      table_(table_memory_.as<KvPages::Page*>(), blocks(context)) {
  pages_.reserve(type, pages_for(context), prefixes);
}

KvCache::~KvCache() {
  truncate(0);
  pages_.give_up(type(), pages_for(context_));
}

// Behind the last page comes the first one again: no matter.
KvCache::Split KvCache::split(size_t head, size_t position) const {
  Split split;
  const size_t first = position / kKvBlock;
  for (size_t i = 0; i < split.keys.size(); i++) {
    const size_t block = first + i < count_ ? first + i : first;
    split.keys[i] = key_block(head, block);
    split.values[i] = value_block(head, block);
  }
  return split;
}

bool KvCache::prepare(size_t begin, size_t end) {
  if (begin % kKvBlock != 0) {
    KvPages::Page*& page = table_[begin / kKvBlock];
    KvPages::Page* const own = pages_.writable(page);
    if (own == nullptr) return false;
    if (own != page) original_ = std::exchange(page, own);
    copied_at_ = begin;
  }
  if (blocks(end) <= count_) return true;
  if (!pages_.take(type(), table_.subspan(count_, blocks(end) - count_))) {
    truncate(begin);
    return false;
  }
  count_ = blocks(end);
  return true;
}

bool KvCache::renew(size_t end) {
  std::vector<KvPages::Page*> fresh(blocks(end));
  if (!pages_.budget().overcommit) truncate(0);
  if (!pages_.take(type(), fresh)) return false;
  truncate(0);
  std::ranges::copy(fresh, table_.begin());
  count_ = fresh.size();
  return true;
}

void KvCache::settle() {
  if (original_ != nullptr) pages_.release({&original_, 1});
  original_ = nullptr;
}

void KvCache::truncate(size_t position) {
  if (original_ != nullptr) std::swap(original_, table_[copied_at_ / kKvBlock]);
  settle();
  const size_t kept = blocks(position);
  if (kept >= count_) return;
  pages_.release(table_.subspan(kept, count_ - kept));
  count_ = kept;
}

void KvCache::share(const SequenceState& other, size_t positions) {
  count_ = blocks(positions);
  std::ranges::copy(static_cast<const KvCache&>(other).table_.first(count_), table_.begin());
  pages_.share(table_.first(count_));
}

void KvCache::keep(uint64_t scope, std::span<const Token> tokens) {
  pages_.keep(scope, tokens, table_.first(tokens.size() / kKvBlock));
}

size_t KvCache::find(uint64_t scope, std::span<const Token> tokens, size_t held) {
  const size_t found = pages_.find(type(), scope, tokens, held / kKvBlock, table_.first(tokens.size() / kKvBlock));
  count_ += found;
  return found * kKvBlock;
}

// Calls copy(offset in the block, offset in the row, size) for each piece of a row.
template <typename Copy>
void KvCache::each_key_part(size_t position, const Copy& copy) const {
  const KvType type = layout_.type;
  const size_t dim = layout_.dim;
  const size_t within = position % kKvBlock;
  if (!has_codes(type)) {
    for (size_t d = 0; d < dim; d++) copy((d * kKvBlock + within) * sizeof(f16), d * sizeof(f16), sizeof(f16));
    return;
  }
  const size_t words = key_words(type, dim), size = code_bytes(type);
  for (size_t d = 0; d < dim; d++) {
    copy((d % words * kKvBlock + within) * sizeof(uint32_t) + d / words * size, d * size, size);
  }
  copy(key_steps_at(type, dim) + within * sizeof(float), dim * size, sizeof(float));
}

template <typename Copy>
void KvCache::each_value_part(size_t position, const Copy& copy) const {
  const KvType type = layout_.type;
  const size_t dim = layout_.dim;
  const size_t within = position % kKvBlock, stride = value_stride(dim);
  if (!has_codes(type)) return copy(within * stride * sizeof(f16), 0, dim * sizeof(f16));
  const size_t word = within % value_words(type), place = within / value_words(type), size = code_bytes(type);
  for (size_t d = 0; d < dim; d++) copy((word * stride + d) * sizeof(uint32_t) + place * size, d * size, size);
  copy(value_steps_at(type, dim) + within * sizeof(float), dim * size, sizeof(float));
}

void KvCache::begin_row(size_t head, size_t position) {
  if (original_ == nullptr || position != copied_at_) return;
  const size_t bytes = layout_.key_block + layout_.value_block;
  std::memcpy(key_block(head, position / kKvBlock), original_->data + head * bytes, bytes);
}

void KvCache::store_key(size_t head, size_t position, const std::byte* row) {
  std::byte* const block = key_block(head, position / kKvBlock);
  each_key_part(position, [&](size_t to, size_t from, size_t size) { std::memcpy(block + to, row + from, size); });
}

void KvCache::store_value(size_t head, size_t position, const std::byte* row) {
  std::byte* const block = value_block(head, position / kKvBlock);
  each_value_part(position, [&](size_t to, size_t from, size_t size) { std::memcpy(block + to, row + from, size); });
}

// A head's keys, then its values.
void KvCache::read(size_t part, size_t positions, std::byte* rows) const {
  const auto load = part % 2 == 0 ? &KvCache::load_key : &KvCache::load_value;
  for (size_t i = 0; i < positions; i++) (this->*load)(part / 2, i, rows + i * row_bytes());
}

void KvCache::write(size_t part, size_t positions, const std::byte* rows) {
  const auto store = part % 2 == 0 ? &KvCache::store_key : &KvCache::store_value;
  for (size_t i = 0; i < positions; i++) (this->*store)(part / 2, i, rows + i * row_bytes());
}

void KvCache::load_key(size_t head, size_t position, std::byte* row) const {
  const std::byte* const block = key_block(head, position / kKvBlock);
  each_key_part(position, [&](size_t from, size_t to, size_t size) { std::memcpy(row + to, block + from, size); });
}

void KvCache::load_value(size_t head, size_t position, std::byte* row) const {
  const std::byte* const block = value_block(head, position / kKvBlock);
  each_value_part(position, [&](size_t from, size_t to, size_t size) { std::memcpy(row + to, block + from, size); });
}

}  // namespace bitnet
