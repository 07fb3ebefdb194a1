// SPDX-License-Identifier: MIT
// Memory of whole pages, of the size that is asked for where the system gives it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "platform.h"

namespace bitnet {

template <typename T>
class Pages {
 public:
  explicit Pages(size_t n, PageSize size = PageSize::huge) : mapped_(n * sizeof(T) + 2 * kHuge) {
    map_ = map_pages(mapped_, Access::write, size);
    data_ = reinterpret_cast<T*>((reinterpret_cast<uintptr_t>(map_) + kHuge - 1) / kHuge * kHuge);
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  ~Pages() { unmap_pages(map_, mapped_); }

  T* data() { return data_; }
  T& operator[](size_t i) { return data_[i]; }

 private:
  static constexpr size_t kHuge = size_t{2} << 20;
  void* map_;
  size_t mapped_;
  T* data_;
};

}  // namespace bitnet
