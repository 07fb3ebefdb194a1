// SPDX-License-Identifier: MIT
#include "engine/kv_pages.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
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
      : kind(&kind), count(count), memory(count * kind.layout.bytes), pages(count * sizeof(Page)) {}

  Kind* kind;
  size_t count;
  Buffer memory, pages;
  size_t begun = 0;  // have been used
  size_t used = 0;
  Page* unused = nullptr;  // of those that have been used
};

KvPages::Kind::Kind(const HyperParameters& hyper, KvType type) : layout(hyper, type) {}
KvPages::Kind::~Kind() = default;

KvPages::KvPages(const HyperParameters& hyper, uint64_t prefix_bytes)
    : prefix_bytes_(prefix_bytes), kinds_{{{hyper, KvType::f16}, {hyper, KvType::int8}, {hyper, KvType::int16}}} {}

KvPages::~KvPages() = default;

// ----------------------------------------------------------------------------------------------------------- capacity

size_t KvPages::wanted(const Kind& kind) const {
  return kind.reserved + (kind.prefixes ? prefix_bytes_ / kind.layout.bytes : 0);
}

void KvPages::reserve(KvType type, size_t pages, bool prefixes) {
  const std::lock_guard lock(mutex_);
  Kind& kind = kinds_[index(type)];
  const bool before = std::exchange(kind.prefixes, kind.prefixes || prefixes);
  kind.reserved += pages;
  try {
    const size_t target = std::max(wanted(kind), kind.capacity);
    if (kind.prefixes) reserve_buckets(target - kind.capacity);
    if (target > kind.capacity) kind.chunks.emplace_back(kind, target - kind.capacity);
    kind.capacity = target;
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
  std::erase_if(kind.chunks, [&](const Chunk& chunk) {
    if (chunk.used != 0 || kind.capacity - chunk.count < wanted(kind)) return false;
    kind.capacity -= chunk.count;
    return true;
  });
}

// -------------------------------------------------------------------------------------------------------------- pages

KvPages::Page* KvPages::take(Kind& kind) {
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

void KvPages::take(KvType type, std::span<Page*> pages) {
  const std::lock_guard lock(mutex_);
  for (Page*& page : pages) page = take(kinds_[index(type)]);
}

void KvPages::share(std::span<Page* const> pages) noexcept {
  const std::lock_guard lock(mutex_);
  for (Page* page : pages) page->users++;
}

bool KvPages::owned(const Page& page) {
  const std::lock_guard lock(mutex_);
  return page.users == 1 && !page.kept;
}

// Pages go in `gone` from the last one on, so that of those that are kept the earlier ones rest later. Their memory
// goes back while others may go on.
void KvPages::release(std::span<Page* const> pages) noexcept {
  Page* gone = nullptr;
  {
    const std::lock_guard lock(mutex_);
    for (size_t i = pages.size(); i-- > 0;) leave(*pages[i], gone);
    trim(gone);
  }
  discard(gone);
  const std::lock_guard lock(mutex_);
  free(gone);
}

KvPages::Page* KvPages::writable(Page* page) {
  const std::lock_guard lock(mutex_);
  if (page->users == 1 && !page->kept) return page;
  Kind& kind = *page->chunk->kind;
  if (page->users == 1 && kind.layout.bytes > prefix_bytes_) {  // could not stay without this table
    forget(*page);
    return page;
  }
  Page* gone = nullptr;
  leave(*page, gone);
  trim(gone);  // others: this one has rested for the shortest time
  discard(gone);
  free(gone);
  Page* const copy = take(kind);
  std::memcpy(copy->data, page->data, kind.layout.tokens);
  return copy;
}

// Adds the page to those that are gone, if no table has it any more and it is not kept.
void KvPages::leave(Page& page, Page*& gone) noexcept {
  if (--page.users != 0) return;
  if (page.kept) return rest(page);
  page.next = std::exchange(gone, &page);
}

// Kept pages beyond what may rest are gone as well.
void KvPages::trim(Page*& gone) noexcept {
  while (resting_bytes_ > prefix_bytes_) {
    Page* const page = oldest_;
    wake(*page);
    forget(*page);
    page->next = std::exchange(gone, page);
  }
}

void KvPages::discard(const Page* gone) noexcept {
  for (; gone != nullptr; gone = gone->next) discard_pages(gone->data, gone->chunk->kind->layout.bytes);
}

void KvPages::free(Page* gone) noexcept {
  while (gone != nullptr) {
    Page* const next = std::exchange(gone->next, gone->chunk->unused);
    gone->chunk->unused = gone;
    gone->chunk->used--;
    gone = next;
  }
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
  discard(gone);
  const std::lock_guard lock(mutex_);
  free(gone);
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
