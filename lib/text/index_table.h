// SPDX-License-Identifier: MIT
// A hash table of indices to keys that lie elsewhere, so that a vocabulary of 128k strings is indexed in a few
// milliseconds without a copy of them. Open addressing with linear probing; a slot keeps half of the hash beside the
// index, so that a key is read only where it very likely matches.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace bitnet {

class IndexTable {
 public:
  static constexpr uint32_t kAbsent = std::numeric_limits<uint32_t>::max();

  explicit IndexTable(size_t keys) : slots_(std::bit_ceil(keys + keys / 2 + 1), Slot{0, kAbsent}) {}

  // `equal(index)` says whether the key at that index is the one sought.
  template <typename Equal>
  uint32_t find(uint64_t hash, Equal equal) const {
    return slots_[seek(hash, equal)].index;
  }

  // Of equal keys the first stays. Not for more keys than the table was made for.
  template <typename Equal>
  void insert(uint64_t hash, uint32_t index, Equal equal) {
    Slot& slot = slots_[seek(hash, equal)];
    if (slot.index == kAbsent) slot = {tag(hash), index};
  }

 private:
  struct Slot {
    uint32_t tag;
    uint32_t index;
  };

  static uint32_t tag(uint64_t hash) { return static_cast<uint32_t>(hash >> 32); }

  template <typename Equal>
  size_t seek(uint64_t hash, Equal& equal) const {
    const size_t mask = slots_.size() - 1;
    size_t at = hash & mask;
    while (slots_[at].index != kAbsent && !(slots_[at].tag == tag(hash) && equal(slots_[at].index))) {
      at = (at + 1) & mask;
    }
    return at;
  }

  std::vector<Slot> slots_;
};

}  // namespace bitnet
