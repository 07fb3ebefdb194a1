// SPDX-License-Identifier: MIT
// Caches that share pages hold what they would hold alone.
#include "engine/kv_cache.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/hash.h"

namespace bitnet {
namespace {

constexpr uint32_t kContext = 4 * kKvBlock;
constexpr KvType kType = KvType::int16;

HyperParameters shape() {
  HyperParameters hyper;
  hyper.layers = 2;
  hyper.heads = hyper.kv_heads = 2;
  hyper.head_dim = 16;
  return hyper;
}

// A session without a model: what it stores for a position tells all tokens up to there.
class Cache {
 public:
  Cache(KvPages& pages, uint64_t scope)
      : scope_(scope), cache_(std::make_unique<KvCache>(pages, kType, kContext, scope != 0)) {}

  size_t size() const { return tokens_.size(); }
  const std::vector<Token>& tokens() const { return tokens_; }

  // Returns how many were taken over; kNoRoom if the budget has none, and all is as before.
  static constexpr size_t kNoRoom = SIZE_MAX;
  size_t append(std::span<const Token> tokens) {
    const size_t found = begin(tokens);
    if (found == kNoRoom) return kNoRoom;
    store(size() + found, size() + tokens.size(), tokens);
    cache_->settle();
    tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
    if (scope_ != 0) cache_->keep(scope_, tokens_);
    return found;
  }
  // The same, but given up when some has been stored.
  void append_and_cancel(std::span<const Token> tokens) {
    const size_t found = begin(tokens);
    if (found == kNoRoom) return;
    store(size() + found, size() + found + 1, tokens);
    cache_->truncate(size());
  }
  // In place of what it holds.
  bool renew(std::span<const Token> tokens) {
    if (!cache_->renew(tokens.size())) return false;
    tokens_.clear();
    store(0, tokens.size(), tokens);
    tokens_.assign(tokens.begin(), tokens.end());
    scope_ = 0;
    return true;
  }
  void truncate(size_t size) {
    tokens_.resize(size);
    cache_->truncate(size);
  }
  Cache fork(KvPages& pages) const {
    Cache fork(pages, scope_);
    fork.tokens_ = tokens_;
    fork.cache_->share(*cache_, size());
    return fork;
  }

  void check() const {
    std::vector<std::byte> row(cache_->row_bytes());
    for (size_t i = 0; i < size(); i++) {
      for (size_t head = 0; head < cache_->heads(); head++) {
        cache_->load_key(head, i, row.data());
        ASSERT_EQ(row, row_of(tokens_, i, head, 0)) << "key of position " << i << " of " << size();
        cache_->load_value(head, i, row.data());
        ASSERT_EQ(row, row_of(tokens_, i, head, 1)) << "value of position " << i << " of " << size();
      }
    }
  }

 private:
  size_t begin(std::span<const Token> tokens) {
    size_t found = 0;
    std::vector<Token> all = tokens_;
    all.insert(all.end(), tokens.begin(), tokens.end());
    if (scope_ != 0 && size() % kKvBlock == 0) found = cache_->find(scope_, all, size());
    found = std::min(found, tokens.size() - 1);
    if (cache_->prepare(size() + found, all.size())) return found;
    cache_->truncate(size());
    return kNoRoom;
  }
  void store(size_t begin, size_t end, std::span<const Token> tokens) {
    std::vector<Token> all = tokens_;
    all.insert(all.end(), tokens.begin(), tokens.end());
    for (size_t i = begin; i < end; i++) {
      for (size_t head = 0; head < cache_->heads(); head++) {
        cache_->begin_row(head, i);
        cache_->store_key(head, i, row_of(all, i, head, 0).data());
        cache_->store_value(head, i, row_of(all, i, head, 1).data());
      }
    }
  }
  std::vector<std::byte> row_of(const std::vector<Token>& tokens, size_t position, size_t head, uint64_t kind) const {
    const uint64_t parts[] = {hash(std::as_bytes(std::span(tokens).first(position + 1))), head, kind};
    const uint64_t value = hash(std::as_bytes(std::span(parts)));
    std::vector<std::byte> row(cache_->row_bytes());
    for (size_t i = 0; i < row.size(); i++) row[i] = static_cast<std::byte>(value >> i % 8 * 8);
    return row;
  }

  uint64_t scope_;
  std::unique_ptr<KvCache> cache_;
  std::vector<Token> tokens_;
};

size_t page_bytes() { return KvLayout(shape(), kType).bytes; }

std::vector<Token> tokens_of(size_t count, uint32_t seed) {
  std::minstd_rand random(seed);
  std::vector<Token> tokens(count);
  for (Token& token : tokens) token = static_cast<Token>(random() % 1000);
  return tokens;
}

TEST(KvCache, KeepsPrefixesUpToItsBytesAndForgetsTheOldestFirst) {
  KvPages pages(shape(), {.prefix_bytes = 3 * page_bytes()});
  const auto a = tokens_of(kContext, 1), b = tokens_of(kKvBlock, 2), c = tokens_of(kKvBlock, 3);
  const auto append = [&](const std::vector<Token>& tokens) { return Cache(pages, 7).append(tokens); };
  EXPECT_EQ(append(a), 0u);
  EXPECT_EQ(append(a), kContext - kKvBlock) << "of four pages the last had to go";
  EXPECT_EQ(append(b), 0u);
  EXPECT_EQ(append(c), 0u);
  EXPECT_EQ(append(a), kKvBlock) << "its first page";
  EXPECT_EQ(append(a), kContext - kKvBlock);
  EXPECT_EQ(append(b), 0u);
  EXPECT_EQ(append(b), kKvBlock - 1);
}

TEST(KvCache, PagesOfLiveCachesCostNothing) {
  for (const size_t bytes : {size_t{1}, 2 * page_bytes()}) {
    KvPages pages(shape(), {.prefix_bytes = bytes});
    std::vector<Cache> caches;
    for (uint32_t i = 0; i < 5; i++) {
      caches.emplace_back(pages, 7);
      EXPECT_EQ(caches.back().append(tokens_of(kContext, 1 + i)), 0u);
    }
    for (uint32_t i = 0; i < 5; i++) {
      Cache other(pages, 7);
      EXPECT_EQ(other.append(tokens_of(kContext, 1 + i)), kContext - 1);
      other.check();
    }
    for (const Cache& cache : caches) cache.check();
  }
}

TEST(KvCache, TheSamePagesComputedTwiceBecomeOne) {
  KvPages pages(shape(), {.prefix_bytes = page_bytes()});
  const auto tokens = tokens_of(kContext, 1);
  Cache first(pages, 7), second(pages, 7);
  // Both begin before either has a whole page.
  first.append(std::span(tokens).first(10));
  second.append(std::span(tokens).first(10));
  first.append(std::span(tokens).subspan(10));
  second.append(std::span(tokens).subspan(10));
  first.truncate(0);
  Cache third(pages, 7);
  EXPECT_EQ(third.append(tokens), kContext - 1) << "the second has them";
  second.check();
  third.check();
}

TEST(KvCache, MoreThanCanBeAddressedIsOutOfMemory) {
  KvPages pages(shape(), {.prefix_bytes = UINT64_MAX});
  EXPECT_THROW(KvCache(pages, kType, kContext, true), std::bad_alloc);
  KvCache cache(pages, kType, kContext, false);
  EXPECT_TRUE(cache.prepare(0, kContext));
}

constexpr size_t kPages = kContext / kKvBlock + 1;  // that a cache reserves

TEST(KvCache, WhatIsReservedStaysWithinTheBudget) {
  KvPages pages(shape(), {.bytes = 2 * kPages * page_bytes()});
  const Cache one(pages, 0);
  {
    const Cache two(pages, 0);
    EXPECT_THROW(Cache(pages, 0), Error);
  }
  const Cache two(pages, 0);
}

// Of this and another kind: the pages of both are counted.
TEST(KvCache, WhatIsKeptGoesWhenThereIsNoOtherRoom) {
  KvPages pages(shape(), {.bytes = 2 * kPages * page_bytes(), .prefix_bytes = UINT64_MAX / 4});
  const auto tokens = tokens_of(kContext, 1);
  Cache(pages, 7).append(tokens);
  EXPECT_EQ(pages.held_bytes(), (kPages - 1) * page_bytes());
  {
    Cache one(pages, 0), two(pages, 0);
    EXPECT_EQ(one.append(tokens), 0u);
    EXPECT_EQ(two.append(std::span(tokens).first(3 * kKvBlock)), 0u);
    EXPECT_EQ(pages.held_bytes(), 2 * kPages * page_bytes()) << "one had to go";
    one.check();
  }
  EXPECT_EQ(Cache(pages, 7).append(tokens), 3 * kKvBlock) << "the last one";
  KvCache other(pages, KvType::f16, kContext, false);
  EXPECT_TRUE(other.prepare(0, kContext));
  EXPECT_LE(pages.held_bytes(), 2 * kPages * page_bytes());
  EXPECT_EQ(pages.trim(), (kPages - 1) * page_bytes());
  EXPECT_EQ(Cache(pages, 7).append(tokens), 0u);
}

TEST(KvCache, AnOvercommittedBudgetRunsOut) {
  KvPages pages(shape(), {.bytes = kPages * page_bytes(), .overcommit = true, .prefix_bytes = 3 * page_bytes()});
  const auto tokens = tokens_of(kContext, 1);
  Cache one(pages, 7), two(pages, 0);
  EXPECT_EQ(one.append(std::span(tokens).first(3 * kKvBlock)), 0u);
  EXPECT_EQ(two.append(std::span(tokens).first(2 * kKvBlock)), 0u);
  EXPECT_EQ(two.append(std::span(tokens).first(1)), Cache::kNoRoom);
  EXPECT_FALSE(two.renew(std::span(tokens).first(1))) << "room for both is needed";
  EXPECT_EQ(one.append(std::span(tokens).subspan(3 * kKvBlock, 1)), Cache::kNoRoom);
  Cache fork = two.fork(pages);
  fork.truncate(kKvBlock + 5);
  EXPECT_EQ(fork.append(std::span(tokens).first(1)), Cache::kNoRoom) << "a copy takes a page";
  for (const Cache* each : {&one, &two, &fork}) each->check();
  one.truncate(0);  // its pages are kept, until somebody needs them
  EXPECT_EQ(fork.append(std::span(tokens).first(kKvBlock)), 0u);
  EXPECT_EQ(one.append(tokens), Cache::kNoRoom);
  EXPECT_EQ(one.append(std::span(tokens).first(kKvBlock)), kKvBlock - 1) << "the first is kept still, and not copied";
  EXPECT_EQ(pages.held_bytes(), kPages * page_bytes());
  for (const Cache* each : {&one, &two, &fork}) each->check();
}

void drive(KvPages& pages, uint32_t seed, int steps) {
  std::mt19937 random(seed);
  const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
  std::vector<Cache> caches;
  for (int i = 0; i < steps && !testing::Test::HasFatalFailure(); i++) {
    if (caches.size() < 2) caches.emplace_back(pages, below(3));
    const size_t at = below(static_cast<uint32_t>(caches.size()));
    Cache& cache = caches[at];
    // One of two tokens each 32: prefixes are the same by chance, and part by chance.
    std::vector<Token> tokens;
    const size_t room = kContext - cache.size();
    for (size_t n = room == 0 ? 0 : 1 + below(static_cast<uint32_t>(room)); tokens.size() < n;) {
      const bool same = (cache.size() + tokens.size()) % 32 != 0;
      tokens.push_back(same ? 5 : static_cast<Token>(below(2)));
    }
    switch (below(8)) {
      case 0:
        if (caches.size() < 6) caches.push_back(cache.fork(pages));
        break;
      case 1:
        std::swap(caches[at], caches.back());
        caches.pop_back();
        continue;
      case 2:
        cache.truncate(below(static_cast<uint32_t>(cache.size()) + 1));
        break;
      case 3:
        if (!tokens.empty()) cache.append_and_cancel(tokens);
        break;
      case 4:
        if (tokens.size() == kContext) cache.renew(tokens);
        if (below(4) == 0) pages.trim();
        break;
      default:
        if (tokens.empty()) {
          cache.truncate(0);
        } else {
          EXPECT_TRUE(cache.append(tokens) != Cache::kNoRoom || pages.budget().overcommit);
        }
    }
    EXPECT_LE(pages.held_bytes(), pages.budget().bytes);
    for (const Cache& each : caches) each.check();
  }
}

#ifdef BITNET_SANITIZED
constexpr int kSteps = 150;
#else
constexpr int kSteps = 1000;
#endif

TEST(KvCache, AnySharingLeavesWhatEachHolds) {
  const char* const given = std::getenv("BITNET_TEST_SEED");
  const uint32_t seed =
      given != nullptr ? static_cast<uint32_t>(std::strtoul(given, nullptr, 10)) : std::random_device()();
  SCOPED_TRACE("BITNET_TEST_SEED=" + std::to_string(seed));
  constexpr uint32_t kThreads = 3, kCaches = 6;
  for (const size_t kept : {0, 1, 3, 100}) {
    const KvBudget budgets[] = {
        {},
        {.bytes = kThreads * kCaches * kPages * page_bytes()},
        {.bytes = 12 * page_bytes(), .overcommit = true},
    };
    for (KvBudget budget : budgets) {
      budget.prefix_bytes = kept * page_bytes() + 1;
      KvPages pages(shape(), budget);
      std::vector<std::thread> threads;
      for (uint32_t i = 0; i < kThreads; i++) threads.emplace_back([&, i] { drive(pages, seed + i, kSteps / 12); });
      for (std::thread& thread : threads) thread.join();
      pages.trim();
      EXPECT_EQ(pages.held_bytes(), 0u);
    }
  }
}

}  // namespace
}  // namespace bitnet
