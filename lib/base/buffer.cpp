// SPDX-License-Identifier: MIT
#include "base/buffer.h"

#include <cstring>
#include <limits>
#include <new>

#include "base/pages.h"

namespace bitnet {
namespace {

constexpr std::align_val_t kSmallAlignment{64};

// From this size on memory is the system's own pages, and goes back at the end. An allocator would do so at first; once
// it has seen such memory come and go it keeps the next, and a process that closes its sessions would not get smaller.
// A sanitizer sees the borders of what is allocated.
#ifdef BITNET_SANITIZED
constexpr size_t kPages = kHugePage;
#else
constexpr size_t kPages = size_t{32} << 10;
#endif

}  // namespace

Buffer::Buffer(size_t size) : size_(size) {
  if (size == 0) return;
  if (size > std::numeric_limits<ptrdiff_t>::max() - 2 * kHugePage) throw std::bad_alloc();
  if (size >= kHugePage) {
    data_ = allocate_huge_pages(size);
  } else if (size >= kPages) {
    data_ = allocate_pages(size);
  } else {
    data_ = static_cast<std::byte*>(operator new(size, kSmallAlignment));
    std::memset(data_, 0, size);
  }
}

Buffer::~Buffer() {
  if (size_ >= kPages) {
    free_pages(data_, size_);
  } else if (data_ != nullptr) {
    operator delete(data_, kSmallAlignment);
  }
}

}  // namespace bitnet
