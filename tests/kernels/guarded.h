// SPDX-License-Identifier: MIT
// An array that ends where an inaccessible page begins, so that touching one byte beyond it is a crash.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <new>
#include <span>
#include <utility>

namespace bitnet {

template <typename T>
class Guarded {
 public:
  // `n` elements, every byte of them `fill`.
  explicit Guarded(size_t n, unsigned char fill = 0x5a) : size_(n) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t usable = (n * sizeof(T) + page - 1) / page * page;
    mapped_ = usable + 2 * page;
    map_ = mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map_ == MAP_FAILED) throw std::bad_alloc();
    char* begin = static_cast<char*>(map_) + page;
    if (usable != 0 && mprotect(begin, usable, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc();
    data_ = reinterpret_cast<T*>(begin + usable) - n;
    if (n != 0) std::memset(data_, fill, n * sizeof(T));
  }
  explicit Guarded(std::span<const T> values) : Guarded(values.size()) {
    std::memcpy(data_, values.data(), values.size_bytes());
  }
  Guarded(Guarded&& other) noexcept
      : map_(std::exchange(other.map_, nullptr)), mapped_(other.mapped_), data_(other.data_), size_(other.size_) {}
  Guarded& operator=(Guarded&&) = delete;
  ~Guarded() {
    if (map_ != nullptr) munmap(map_, mapped_);
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
  void* map_;
  size_t mapped_;
  T* data_;
  size_t size_;
};

}  // namespace bitnet
