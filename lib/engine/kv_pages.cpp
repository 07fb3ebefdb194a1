// SPDX-License-Identifier: MIT
#include "engine/kv_pages.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/pages.h"

namespace bitnet {

KvLayout::KvLayout(const HyperParameters& hyper, KvType type)
    : type(type),
      layer_heads(hyper.kv_heads),
      heads(layer_heads * hyper.layers),
      dim(hyper.head_dim),
      key_block(key_block_bytes(type, hyper.head_dim)),
      value_block(value_block_bytes(type, hyper.head_dim)),
      tokens(heads * (key_block + value_block)) {
  const size_t unit = system_page_bytes();
  bytes = (tokens + kKvBlock * sizeof(Token) + unit - 1) / unit * unit;
}

// Neighbouring pages. What describes a page is made when the page is first used, so that a chunk takes no memory.
struct KvPages::Chunk {
  Chunk(Kind& kind, size_t count)
      : kind(&kind), count(count), memory(bytes(count, kind.layout.bytes)), pages(bytes(count, sizeof(Page))) {}
  static size_t bytes(size_t count, size_t each) {
    if (count > std::numeric_limits<ptrdiff_t>::max() / each) throw std::bad_alloc();
    return count * each;
  }

  Kind* kind;
  size_t count;
  Buffer memory, pages;
  size_t begun = 0;  // have been used
  size_t used = 0;
  Page* unused = nullptr;  // of those that have been used
};

KvPages::Kind::Kind(const HyperParameters& hyper, KvType type) : layout(hyper, type) {}
KvPages::Kind::~Kind() = default;

KvPages::KvPages(const HyperParameters& hyper, const KvBudget& budget)
    : budget_(budget), kinds_{{{hyper, KvType::f16}, {hyper, KvType::int8}, {hyper, KvType::int16}}} {}

KvPages::~KvPages() = default;

// ----------------------------------------------------------------------------------------------------------- capacity

// Pages that tables or prefixes may need at a time.
size_t KvPages::wanted(const Kind& kind) const {
  const size_t most = kind.reserved + (kind.prefixes ? budget_.prefix_bytes / kind.layout.bytes : 0);
  return std::min<uint64_t>(most, budget_.bytes / kind.layout.bytes);
}

void KvPages::reserve(KvType type, size_t pages, bool prefixes) {
  const std::lock_guard lock(mutex_);
  Kind& kind = kinds_[index(type)];
  const uint64_t bytes = pages * uint64_t{kind.layout.bytes}, taken = budget_.overcommit ? 0 : reserved_bytes_;
  require(bytes <= budget_.bytes - taken, BITNET_ERROR_MEMORY, "cannot reserve ", size_text(bytes),
          " for the keys and values of a session: the engine's kv_bytes allow ", size_text(budget_.bytes),
          taken != 0 ? ", of which other sessions have reserved " + size_text(taken) : "",
          "; make sessions with a smaller context, free some, or give the engine more",
          budget_.overcommit ? "" : " or let it overcommit");
  const bool before = std::exchange(kind.prefixes, kind.prefixes || prefixes);
  kind.reserved += pages;
  try {
    const size_t target = std::max(wanted(kind), kind.capacity);
    std::list<Chunk> added;
    if (target > kind.capacity) added.emplace_back(kind, target - kind.capacity);
    if (kind.prefixes) reserve_buckets(target - kind.capacity);
    kind.chunks.splice(kind.chunks.end(), added);
    kind.capacity = target;
    reserved_bytes_ += bytes;
  } catch (...) {
    kind.reserved -= pages;
    kind.prefixes = before;
    throw;
  }
}

// As many as pages that could be kept, with `more` of them.
void KvPages::reserve_buckets(size_t more) {
  for (const Kind& kind : kinds_) more += kind.capacity;
  if (more <= buckets_.size()) return;
  const std::vector<Page*> old = std::exchange(buckets_, std::vector<Page*>(std::max(more, 2 * buckets_.size())));
  for (Page* page : old) {
    while (page != nullptr) {
      Page*& first = bucket(page->hash);
      Page* const next = std::exchange(page->next, first);
      first = page;
      page = next;
    }
  }
}

void KvPages::give_up(KvType type, size_t pages) noexcept {
  const std::lock_guard lock(mutex_);
  Kind& kind = kinds_[index(type)];
  kind.reserved -= pages;
  reserved_bytes_ -= pages * uint64_t{kind.layout.bytes};
  for (; kind.reserved == 0 && kind.warm_count != 0; kind.warm_count--) {
    cool(*std::exchange(kind.warm, kind.warm->next));
  }
  drop_chunks(kind);
}

// Those that nothing is in and nobody will need.
void KvPages::drop_chunks(Kind& kind) noexcept {
  std::erase_if(kind.chunks, [&](const Chunk& chunk) {
    if (chunk.used != 0 || kind.capacity - chunk.count < wanted(kind)) return false;
    kind.capacity -= chunk.count;
    return true;
  });
}

// -------------------------------------------------------------------------------------------------------------- pages

// Null: the budget has no room.
KvPages::Page* KvPages::take(Kind& kind) {
  if (Page* const page = kind.warm; page != nullptr) {
    kind.warm = page->next;
    kind.warm_count--;
    return new (page) Page{.data = page->data, .chunk = page->chunk, .users = 1};
  }
  if (!make_room(kind.layout.bytes)) return nullptr;
  held_bytes_ += kind.layout.bytes;
  for (Chunk& chunk : kind.chunks) {
    if (chunk.used == chunk.count) continue;
    chunk.used++;
    Page* page = chunk.unused;
    std::byte* data;
    if (page != nullptr) {
      chunk.unused = page->next;
      data = page->data;
    } else {
      page = chunk.pages.as<Page>() + chunk.begun;
      data = chunk.memory.data() + chunk.begun++ * kind.layout.bytes;
    }
    return new (page) Page{.data = data, .chunk = &chunk, .users = 1};
  }
  fail(BITNET_ERROR_INTERNAL, "there is no page left for keys and values, though it was reserved");
}

bool KvPages::take(KvType type, std::span<Page*> pages) {
  const std::lock_guard lock(mutex_);
  Kind& kind = kinds_[index(type)];
  uint64_t room = budget_.bytes - held_bytes_ + resting_bytes_;
  for (const Kind& other : kinds_) room += other.warm_count * other.layout.bytes;
  if (pages.size() > room / kind.layout.bytes) return false;
  for (Page*& page : pages) page = take(kind);
  return true;
}

// Within the budget, for a page that is to hold memory.
bool KvPages::make_room(uint64_t bytes) noexcept {
  while (bytes > budget_.bytes - held_bytes_) {
    Page* const page = unneeded();
    if (page == nullptr) return false;
    cool(*page);
  }
  return true;
}

// A page that holds memory and is in no table, a prefix last. It is nobody's any more. Null: there is none.
KvPages::Page* KvPages::unneeded() noexcept {
  for (Kind& kind : kinds_) {
    if (kind.warm == nullptr) continue;
    kind.warm_count--;
    return std::exchange(kind.warm, kind.warm->next);
  }
  Page* const page = oldest_;
  if (page == nullptr) return nullptr;
  wake(*page);
  forget(*page);
  return page;
}

void KvPages::cool(Page& page) noexcept {
  discard_pages(page.data, page.chunk->kind->layout.bytes);
  free(page);
}

uint64_t KvPages::held_bytes() {
  const std::lock_guard lock(mutex_);
  return held_bytes_;
}

uint64_t KvPages::trim() noexcept {
  const std::lock_guard lock(mutex_);
  const uint64_t before = held_bytes_;
  while (Page* const page = unneeded()) cool(*page);
  for (Kind& kind : kinds_) drop_chunks(kind);
  return before - held_bytes_;
}

void KvPages::share(std::span<Page* const> pages) noexcept {
  const std::lock_guard lock(mutex_);
  for (Page* page : pages) page->users++;
}

// From the last one on, so that of those that are kept the earlier ones rest later.
void KvPages::release(std::span<Page* const> pages) noexcept {
  Page* gone = nullptr;
  {
    const std::lock_guard lock(mutex_);
    for (size_t i = pages.size(); i-- > 0;) leave(*pages[i], gone);
    trim(gone);
  }
  dispose(gone);
}

KvPages::Page* KvPages::writable(Page* page) {
  const std::lock_guard lock(mutex_);
  if (page->users != 1) return take(*page->chunk->kind);
  if (!page->kept) return page;
  Kind& kind = *page->chunk->kind;
  if (kind.layout.bytes <= budget_.prefix_bytes) {
    if (Page* const other = take(kind); other != nullptr) return other;
  }
  forget(*page);  // it could not rest, or is needed more; no page after it rests
  return page;
}

// Adds the page to those that are gone, if no table has it any more and it is not kept.
void KvPages::leave(Page& page, Page*& gone) noexcept {
  if (--page.users != 0) return;
  if (page.kept) return rest(page);
  page.next = std::exchange(gone, &page);
}

// Kept pages beyond what may rest are gone as well.
void KvPages::trim(Page*& gone) noexcept {
  while (resting_bytes_ > budget_.prefix_bytes) {
    Page* const page = oldest_;
    wake(*page);
    forget(*page);
    page->next = std::exchange(gone, page);
  }
}

// Those that stay warm excepted, their memory goes back, while others may go on.
void KvPages::dispose(Page* gone) noexcept {
  if (gone == nullptr) return;
  Page* cold = nullptr;
  {
    const std::lock_guard lock(mutex_);
    while (gone != nullptr) {
      Page* const page = std::exchange(gone, gone->next);
      Kind& kind = *page->chunk->kind;
      const bool warm = kind.warm_count < kWarmPages;
      page->next = std::exchange(warm ? kind.warm : cold, page);
      if (warm) kind.warm_count++;
    }
  }
  for (const Page* page = cold; page != nullptr; page = page->next) {
    discard_pages(page->data, page->chunk->kind->layout.bytes);
  }
  const std::lock_guard lock(mutex_);
  while (cold != nullptr) free(*std::exchange(cold, cold->next));
}

void KvPages::free(Page& page) noexcept {
  page.next = std::exchange(page.chunk->unused, &page);
  page.chunk->used--;
  held_bytes_ -= page.chunk->kind->layout.bytes;
}

// ----------------------------------------------------------------------------------------------------------- prefixes

std::byte* KvPages::tokens_of(const Page& page) { return page.data + page.chunk->kind->layout.tokens; }

KvPages::Key KvPages::key(uint64_t scope, const Page* before, std::span<const Token> tokens) {
  const uint64_t parts[] = {scope, reinterpret_cast<uintptr_t>(before), hash(std::as_bytes(tokens))};
  return {scope, before, tokens, hash(std::as_bytes(std::span(parts)))};
}

KvPages::Page* KvPages::find(const Kind& kind, const Key& key) {
  for (Page* page = bucket(key.hash); page != nullptr; page = page->next) {
    if (page->hash == key.hash && page->scope == key.scope && page->before == key.before &&
        page->chunk->kind == &kind && std::memcmp(tokens_of(*page), key.tokens.data(), key.tokens.size_bytes()) == 0) {
      return page;
    }
  }
  return nullptr;
}

void KvPages::keep(uint64_t scope, std::span<const Token> tokens, std::span<Page*> pages) {
  Page* gone = nullptr;
  {
    const std::lock_guard lock(mutex_);
    const Page* before = nullptr;
    for (size_t i = 0; i < pages.size(); i++, before = pages[i - 1]) {
      const Key key = KvPages::key(scope, before, tokens.subspan(i * kKvBlock, kKvBlock));
      Page* const found = find(*pages[i]->chunk->kind, key);
      if (found == pages[i]) continue;
      if (found == nullptr) {
        insert(*pages[i], key);
      } else {
        join(*found);
        leave(*std::exchange(pages[i], found), gone);
      }
    }
  }
  dispose(gone);
}

size_t KvPages::find(KvType type, uint64_t scope, std::span<const Token> tokens, size_t held, std::span<Page*> pages) {
  const std::lock_guard lock(mutex_);
  const Page* before = held != 0 ? pages[held - 1] : nullptr;
  size_t i = held;
  for (; i < pages.size(); i++, before = pages[i - 1]) {
    Page* const found = find(kinds_[index(type)], key(scope, before, tokens.subspan(i * kKvBlock, kKvBlock)));
    if (found == nullptr) break;
    join(*found);
    pages[i] = found;
  }
  return i - held;
}

void KvPages::join(Page& page) noexcept {
  if (page.users++ == 0) wake(page);
}

void KvPages::insert(Page& page, const Key& key) {
  page.kept = true;
  page.scope = key.scope;
  page.before = key.before;
  page.hash = key.hash;
  std::memcpy(tokens_of(page), key.tokens.data(), key.tokens.size_bytes());
  page.next = std::exchange(bucket(key.hash), &page);
}

void KvPages::forget(Page& page) noexcept {
  Page** link = &bucket(page.hash);
  while (*link != &page) link = &(*link)->next;
  *link = page.next;
  page.kept = false;
}

// The page is in no table from now on, and the latest of those.
void KvPages::rest(Page& page) noexcept {
  page.older = newest_;
  page.newer = nullptr;
  (newest_ != nullptr ? newest_->newer : oldest_) = &page;
  newest_ = &page;
  resting_bytes_ += page.chunk->kind->layout.bytes;
}

void KvPages::wake(Page& page) noexcept {
  (page.newer != nullptr ? page.newer->older : newest_) = page.older;
  (page.older != nullptr ? page.older->newer : oldest_) = page.newer;
  resting_bytes_ -= page.chunk->kind->layout.bytes;
}

}  // namespace bitnet
