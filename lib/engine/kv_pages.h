// SPDX-License-Identifier: MIT
// The memory of an engine's KV caches. A page holds keys and values of kKvBlock positions, those of all layers and KV
// heads. A cache is a table of pages, which tables share until one of them writes.
//
// Whoever makes a cache reserves as many pages as its table may hold. That takes address space, in a chunk of pages,
// and from then on no page is ever missing: pages that differ are no more than places in tables. A page takes memory
// when it is used, and gives it back when it stands in no table any more, but for a few (kWarmPages): to take memory
// takes much longer than to write it. Pages are used from the first chunk on, so that those in use lie side by side in
// huge pages, whichever caches they belong to.
//
// Pages that hold memory never exceed the budget. What is reserved does not either, unless the budget is overcommitted:
// then a page may be missing. In both cases pages that no table needs go first.
//
// Full pages may also be kept for caches that begin with the same tokens (prefixes). What is kept is a tree: each page
// knows the one before, so that it stands for all tokens up to its end. A cache has the pages that it shares with the
// tree from the first on. So a page that is in no table has none after it that is in one, and the page that has been in
// no table for longest can go first: none depends on it. Tokens are compared, never just their hashes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <span>
#include <vector>

#include "base/buffer.h"
#include "kernels.h"
#include "model/model.h"

namespace bitnet {

constexpr size_t kKvTypes = 3;
constexpr size_t kWarmPages = 2;  // of a type, while there are caches

struct KvBudget {
  uint64_t bytes = UINT64_MAX;  // as many: none
  bool overcommit = false;
  uint64_t prefix_bytes = 0;  // what kept pages that are in no table may take of it
};

// Where things lie in a page: for each layer and KV head a block of keys, then one of values; then the page's tokens,
// which are set only if it is kept.
struct KvLayout {
  KvLayout(const HyperParameters& hyper, KvType type);

  KvType type;
  size_t layer_heads, heads;  // of a layer, of all
  size_t dim;                 // of a head
  size_t key_block, value_block;
  size_t tokens;  // where they begin
  size_t bytes;   // of a page: whole pages of the system's
};

class KvPages {
 public:
  struct Chunk;
  struct Page {
    std::byte* data;
    Chunk* chunk;
    uint32_t users = 0;  // tables that it is in
    bool kept = false;
    Page* next = nullptr;  // unused ones: of its chunk; kept ones: of the same bucket
    // Of a kept page:
    uint64_t scope = 0;
    const Page* before = nullptr;  // null: it is the first
    uint64_t hash = 0;
    Page *older = nullptr, *newer = nullptr;  // of those in no table
  };

  KvPages(const HyperParameters& hyper, const KvBudget& budget);
  ~KvPages();
  KvPages(const KvPages&) = delete;
  KvPages& operator=(const KvPages&) = delete;

  const KvLayout& layout(KvType type) const { return kinds_[index(type)].layout; }

  const KvBudget& budget() const { return budget_; }

  // Throws std::bad_alloc; Error beyond the budget. `prefixes`: kept pages of this type are to be expected.
  void reserve(KvType type, size_t pages, bool prefixes);
  void give_up(KvType type, size_t pages) noexcept;

  // What follows allocates nothing, and any thread may call it. Tables never hold more than is reserved for them.

  // Unused pages, for a table that writes them. False: there are not so many, and none has been taken.
  bool take(KvType type, std::span<Page*> pages);
  // They are in a further table.
  void share(std::span<Page* const> pages) noexcept;
  // Neighbours, of one type, that leave a table.
  void release(std::span<Page* const> pages) noexcept;
  // The page, if nobody else has it, so that it may be written to. Otherwise an unused one that may take its place;
  // null if there is none.
  Page* writable(Page* page);

  // The full pages of a table, and their tokens, in a scope: they are kept. For those that are kept already the table
  // gets the kept ones.
  void keep(uint64_t scope, std::span<const Token> tokens, std::span<Page*> pages);
  // Fills in a table from `held` on with kept pages of these tokens. Returns how many it has found. The first `held`
  // are in the table and kept.
  size_t find(KvType type, uint64_t scope, std::span<const Token> tokens, size_t held, std::span<Page*> pages);
  // Gives the memory of all pages back that are in no table. Returns how much.
  uint64_t trim() noexcept;
  // What pages hold.
  uint64_t held_bytes();

 private:
  struct Kind {
    Kind(const HyperParameters& hyper, KvType type);
    ~Kind();
    const KvLayout layout;
    size_t reserved = 0, capacity = 0;  // pages
    Page* warm = nullptr;               // unused ones that have kept their memory; chunks count them as used
    size_t warm_count = 0;
    bool prefixes = false;
    std::list<Chunk> chunks;
  };
  // What a kept page is found by.
  struct Key {
    uint64_t scope;
    const Page* before;
    std::span<const Token> tokens;
    uint64_t hash;
  };

  static size_t index(KvType type) { return static_cast<size_t>(type); }
  size_t wanted(const Kind& kind) const;
  void reserve_buckets(size_t more);
  void drop_chunks(Kind& kind) noexcept;
  Page* take(Kind& kind);
  bool make_room(uint64_t bytes) noexcept;
  Page* unneeded() noexcept;
  void cool(Page& page) noexcept;
  void leave(Page& page, Page*& gone) noexcept;
  void trim(Page*& gone) noexcept;
  void dispose(Page* gone) noexcept;
  void free(Page& page) noexcept;

  static std::byte* tokens_of(const Page& page);
  static Key key(uint64_t scope, const Page* before, std::span<const Token> tokens);
  Page*& bucket(uint64_t hash) { return buckets_[hash % buckets_.size()]; }
  Page* find(const Kind& kind, const Key& key);
  void join(Page& page) noexcept;
  void insert(Page& page, const Key& key);
  void forget(Page& page) noexcept;
  void rest(Page& page) noexcept;
  void wake(Page& page) noexcept;

  const KvBudget budget_;
  std::mutex mutex_;  // guards what follows
  std::array<Kind, kKvTypes> kinds_;
  uint64_t reserved_bytes_ = 0;                 // for tables
  uint64_t held_bytes_ = 0;                     // of pages that hold memory
  std::vector<Page*> buckets_;                  // of kept pages, by their hashes
  Page *newest_ = nullptr, *oldest_ = nullptr;  // of kept pages in no table
  uint64_t resting_bytes_ = 0;                  // theirs
};

}  // namespace bitnet
