// SPDX-License-Identifier: MIT
// XXH3, 64 bits: the checksum of everything this library writes. It finds damage, not forgery.
#pragma once

#include <xxhash.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <string_view>

namespace bitnet {

inline uint64_t hash(std::span<const std::byte> bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

// The same of bytes that come piece by piece.
class Hasher {
 public:
  Hasher() : state_(XXH3_createState()) {
    if (!state_) throw std::bad_alloc();
    XXH3_64bits_reset(state_.get());
  }
  void add(std::span<const std::byte> bytes) { XXH3_64bits_update(state_.get(), bytes.data(), bytes.size()); }
  // A text is added with its length, so that "ab", "c" differs from "a", "bc".
  void add(std::string_view text) {
    add_value(uint64_t{text.size()});
    add(std::as_bytes(std::span(text)));
  }
  template <typename Number>
  void add_value(Number value) {
    add(std::as_bytes(std::span(&value, 1)));
  }
  uint64_t digest() const { return XXH3_64bits_digest(state_.get()); }

 private:
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> state_;
};

}  // namespace bitnet
