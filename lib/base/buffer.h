// SPDX-License-Identifier: MIT
// Zeroed, aligned memory that is given back by its owner's end.
#pragma once

#include <cstddef>
#include <span>
#include <utility>

namespace bitnet {

// Aligned to 64 bytes. From 32 KiB on it comes from the system a page at a time as it is touched, and goes back there.
// From 2 MiB on it is aligned to 2 MiB, too, and asks for huge pages, which make streaming weights up to half as fast
// again.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(size_t size);  // throws std::bad_alloc
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    Buffer(std::move(other)).swap(*this);
    return *this;
  }
  ~Buffer();

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  std::span<std::byte> bytes() { return {data_, size_}; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  template <typename T>
  T* as() {
    return reinterpret_cast<T*>(data_);
  }
  template <typename T>
  const T* as() const {
    return reinterpret_cast<const T*>(data_);
  }

 private:
  void swap(Buffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }

  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace bitnet
