// SPDX-License-Identifier: MIT
#include "base/buffer.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <new>

namespace bitnet {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kPage = size_t{64} << 10;  // the largest small page that a system has
constexpr std::align_val_t kSmallAlignment{64};

// From this size on memory is mapped, and unmapped at the end. An allocator would do so at first; once it has seen such
// memory come and go it keeps the next, and a process that closes its sessions would not get smaller. A sanitizer sees
// the borders of what is allocated.
#ifdef BITNET_SANITIZED
constexpr size_t kMapped = kHugePage;
#else
constexpr size_t kMapped = size_t{128} << 10;
#endif

size_t round_up(size_t size) { return (size + kPage - 1) / kPage * kPage; }

std::byte* map(size_t size) {
  void* const mapping = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) throw std::bad_alloc();
  return static_cast<std::byte*>(mapping);
}

// Maps a huge page more than asked for and cuts both ends off, so that the rest is aligned. What follows the last whole
// huge page stays in small ones: a model has hundreds of buffers, and half a huge page wasted in each would show.
std::byte* map_aligned(size_t size) {
  std::byte* const begin = map(size + kHugePage);
  const size_t head = (kHugePage - reinterpret_cast<uintptr_t>(begin) % kHugePage) % kHugePage;
  if (head != 0) munmap(begin, head);
  munmap(begin + head + size, kHugePage - head);
#ifdef MADV_HUGEPAGE
  madvise(begin + head, size / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
  return begin + head;
}

}  // namespace

Buffer::Buffer(size_t size) : size_(size) {
  if (size == 0) return;
  if (size > std::numeric_limits<ptrdiff_t>::max() - 2 * kHugePage) throw std::bad_alloc();
  if (size >= kHugePage) {
    data_ = map_aligned(round_up(size));
  } else if (size >= kMapped) {
    data_ = map(round_up(size));
  } else {
    data_ = static_cast<std::byte*>(operator new(size, kSmallAlignment));
    std::memset(data_, 0, size);
  }
}

Buffer::~Buffer() {
  if (size_ >= kMapped) {
    munmap(data_, round_up(size_));
  } else if (data_ != nullptr) {
    operator delete(data_, kSmallAlignment);
  }
}

}  // namespace bitnet
