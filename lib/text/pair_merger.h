// SPDX-License-Identifier: MIT
// The merging at the heart of byte-pair encoding: of all neighbours that may join, the best pair (and of equals the
// leftmost) is joined, until none is left. With a heap, n symbols take O(n log n).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "text/vocabulary.h"

namespace bitnet {

struct Symbol {
  std::string_view text;
  Token token = kNoToken;
};

struct Joined {
  double order;  // the lowest is joined first
  Token token;
};

// Keeps its buffers from one word to the next.
class PairMerger {
 public:
  void clear() { nodes_.clear(); }
  void add(Symbol symbol) { nodes_.push_back({symbol, static_cast<uint32_t>(nodes_.size() + 1), kNone}); }

  // `join(left, right)` says whether, and how early, two symbols join: std::optional<Joined>. The texts of
  // neighbouring symbols must be neighbours in memory.
  template <typename Join>
  void merge(Join join) {
    link();
    for (uint32_t i = 0; i + 1 < nodes_.size(); ++i) consider(i, join);
    while (!heap_.empty()) {
      const Pair pair = pop();
      if (outdated(pair)) continue;
      Node& left = nodes_[pair.left];
      const uint32_t right = left.next;
      left.symbol = {{left.symbol.text.data(), pair.size}, pair.token};
      left.next = nodes_[right].next;
      nodes_[right].symbol.text = {};
      if (left.next != kNone) {
        nodes_[left.next].previous = pair.left;
        consider(pair.left, join);
      }
      if (left.previous != kNone) consider(left.previous, join);
    }
  }

  // Calls `visit` for each symbol that is left, in the order of the text.
  template <typename Visit>
  void each(Visit visit) const {
    for (const Node& node : nodes_) {
      if (!node.symbol.text.empty()) visit(node.symbol);
    }
  }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  struct Node {
    Symbol symbol;  // an empty text: joined to the one before
    uint32_t next;
    uint32_t previous;
  };

  struct Pair {
    double order;
    uint32_t left, right;
    size_t size;  // of both texts
    Token token;
    bool operator<(const Pair& other) const {  // std heaps have the greatest on top
      return order != other.order ? order > other.order : left > other.left;
    }
  };

  void link() {
    for (uint32_t i = 0; i < nodes_.size(); ++i) nodes_[i].previous = i == 0 ? kNone : i - 1;
    if (!nodes_.empty()) nodes_.back().next = kNone;
    heap_.clear();
  }

  template <typename Join>
  void consider(uint32_t left, Join& join) {
    const Node& node = nodes_[left];
    const Node& next = nodes_[node.next];
    if (const std::optional<Joined> joined = join(node.symbol, next.symbol)) {
      const size_t size = node.symbol.text.size() + next.symbol.text.size();
      heap_.push_back({joined->order, left, node.next, size, joined->token});
      std::push_heap(heap_.begin(), heap_.end());
    }
  }

  Pair pop() {
    std::pop_heap(heap_.begin(), heap_.end());
    const Pair pair = heap_.back();
    heap_.pop_back();
    return pair;
  }

  // Where a symbol starts never changes; so if the two are still neighbours and together as long, they are the same.
  bool outdated(const Pair& pair) const {
    const Node& left = nodes_[pair.left];
    return left.symbol.text.empty() || left.next != pair.right ||
           left.symbol.text.size() + nodes_[pair.right].symbol.text.size() != pair.size;
  }

  std::vector<Node> nodes_;
  std::vector<Pair> heap_;
};

}  // namespace bitnet
