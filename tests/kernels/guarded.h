// SPDX-License-Identifier: MIT
// An array between two inaccessible pages, so that touching one byte outside of it is a crash on one side and, on the
// other, where the array does not fill its last page, a changed byte that intact() sees.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <utility>

#include "platform.h"

namespace bitnet {

// Which end of an array made from now on lies directly at its inaccessible page.
enum class Edge { end, begin };
inline Edge guarded_edge = Edge::end;

template <typename T>
class Guarded {
 public:
  // `n` elements, every byte of them `fill`.
  explicit Guarded(size_t n, unsigned char fill = 0x5a) : size_(n) {
    const size_t page = page_size();
    usable_ = (n * sizeof(T) + page - 1) / page * page;
    mapped_ = usable_ + 2 * page;
    map_ = map_pages(mapped_, Access::none);
    begin_ = static_cast<unsigned char*>(map_) + page;
    protect(Access::write);
    const size_t slack = usable_ - n * sizeof(T);
    data_ = reinterpret_cast<T*>(begin_ + (guarded_edge == Edge::end ? slack : 0));
    if (usable_ != 0) std::memset(begin_, kCanary, usable_);
    if (n != 0) std::memset(data_, fill, n * sizeof(T));
  }
  explicit Guarded(std::span<const T> values) : Guarded(values.size()) {
    if (!values.empty()) std::memcpy(data_, values.data(), values.size_bytes());
  }
  Guarded(Guarded&& other) noexcept
      : map_(std::exchange(other.map_, nullptr)),
        mapped_(other.mapped_),
        usable_(other.usable_),
        begin_(other.begin_),
        data_(other.data_),
        size_(other.size_) {}
  Guarded& operator=(Guarded&&) = delete;
  ~Guarded() {
    if (map_ != nullptr) unmap_pages(map_, mapped_);
  }

  // From now on writing to it is a crash, too.
  void seal() { protect(Access::read); }
  // The same elements in an array that can be written to.
  Guarded copy() const { return Guarded(std::span(data(), size())); }

  // Whether all bytes around it, as far as they can be written to, are as they were.
  bool intact() const {
    const auto* data = reinterpret_cast<const unsigned char*>(data_);
    const auto untouched = [](unsigned char byte) { return byte == kCanary; };
    return std::all_of(static_cast<const unsigned char*>(begin_), data, untouched) &&
           std::all_of(data + size_ * sizeof(T), static_cast<const unsigned char*>(begin_) + usable_, untouched);
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  size_t size() const { return size_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }

 private:
  static constexpr unsigned char kCanary = 0xa5;

  void protect(Access access) {
    if (usable_ != 0) protect_pages(begin_, usable_, access);
  }

  void* map_;
  size_t mapped_, usable_;
  unsigned char* begin_;
  T* data_;
  size_t size_;
};

}  // namespace bitnet
