// SPDX-License-Identifier: MIT
// The state of a sequence on the CPU, keys and values of its tokens: a table of pages, in which each layer and KV head
// has its own blocks, laid out for attention to read straight through (kernels.h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/buffer.h"
#include "engine/backend.h"
#include "engine/kv_pages.h"
#include "kernels.h"
#include "model/model.h"

namespace bitnet {

class KvCache final : public SequenceState {
 public:
  // Takes address space for `context` positions. `prefixes`: whether find() and keep() will be called.
  KvCache(KvPages& pages, KvType type, uint32_t context, bool prefixes);
  ~KvCache() override;

  // What that comes to when it is full.
  static uint64_t bytes(const HyperParameters& hyper, KvType type, uint32_t context) {
    return pages_for(context) * KvLayout(hyper, type).bytes;
  }

  KvType type() const override { return layout_.type; }
  uint32_t context() const override { return context_; }

  // The KV heads of all layers are counted through.
  size_t heads() const { return layout_.heads; }
  size_t head(uint32_t layer, uint32_t head) const { return layer * layout_.layer_heads + head; }

  // The blocks of keys and values of one split, which begins at `position`, for Attention.
  struct Split {
    std::array<const void*, kKvSplit / kKvBlock + 1> keys, values;
  };
  Split split(size_t head, size_t position) const;

  // The key or value of one position by itself, row_bytes() long: head_dim float16 numbers, or as many codes and then
  // their step. A position that is stored to has been prepared, and begin_row(head, position) called before; several
  // threads may do so at once for different heads.
  size_t row_bytes() const override { return row_bytes(layout_.type, layout_.dim); }
  static size_t row_bytes(KvType type, size_t head_dim) {
    return head_dim * code_bytes(type) + (has_codes(type) ? sizeof(float) : 0);
  }
  void begin_row(size_t head, size_t position);
  void store_key(size_t head, size_t position, const std::byte* row);
  void store_value(size_t head, size_t position, const std::byte* row);
  void load_key(size_t head, size_t position, std::byte* row) const;
  void load_value(size_t head, size_t position, std::byte* row) const;

  // As a SequenceState. The page that the cache ends in may be half a copy from prepare() on.
  bool prepare(size_t begin, size_t end) override;
  bool renew(size_t end) override;
  void settle() override;
  void truncate(size_t position) override;
  void share(const SequenceState& other, size_t positions) override;
  // Whole pages. What find() is told to be held is whole pages that are kept.
  void keep(uint64_t scope, std::span<const Token> tokens) override;
  size_t find(uint64_t scope, std::span<const Token> tokens, size_t held) override;
  size_t parts() const override { return 2 * heads(); }
  void read(size_t part, size_t positions, std::byte* rows) const override;
  void write(size_t part, size_t positions, const std::byte* rows) override;

 private:
  static size_t blocks(size_t positions) { return (positions + kKvBlock - 1) / kKvBlock; }
  // With one more, because for a time there are both a page that is shared and its copy.
  static size_t pages_for(uint32_t context) { return blocks(context) + 1; }
  std::byte* key_block(size_t head, size_t block) const {
    return table_[block]->data + head * (layout_.key_block + layout_.value_block);
  }
  std::byte* value_block(size_t head, size_t block) const { return key_block(head, block) + layout_.key_block; }

  template <typename Copy>
  void each_key_part(size_t position, const Copy& copy) const;
  template <typename Copy>
  void each_value_part(size_t position, const Copy& copy) const;

  KvPages& pages_;
  const KvLayout& layout_;
  uint32_t context_;
  Buffer table_memory_;
  std::span<KvPages::Page*> table_;
  size_t count_ = 0;  // of pages in the table
  // While a copy takes the place of a shared page: that page. Its blocks are copied before they are first stored to.
  KvPages::Page* original_ = nullptr;
  size_t copied_at_ = 0;  // the position that is stored to first
};

}  // namespace bitnet
