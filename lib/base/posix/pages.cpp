// SPDX-License-Identifier: MIT
#include "base/pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <new>

namespace bitnet {
namespace {

constexpr size_t kPage = size_t{64} << 10;  // the largest small page that a system has

size_t round_up(size_t size) { return (size + kPage - 1) / kPage * kPage; }

std::byte* map(size_t size) {
  void* const mapping = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) throw std::bad_alloc();
  return static_cast<std::byte*>(mapping);
}

}  // namespace

std::byte* allocate_pages(size_t size) { return map(round_up(size)); }

// Maps a huge page more than asked for and cuts both ends off, so that the rest is aligned. What follows the last whole
// huge page stays in small ones: a model has hundreds of buffers, and half a huge page wasted in each would show.
std::byte* allocate_huge_pages(size_t size) {
  size = round_up(size);
  std::byte* const begin = map(size + kHugePage);
  const size_t head = (kHugePage - reinterpret_cast<uintptr_t>(begin) % kHugePage) % kHugePage;
  if (head != 0) munmap(begin, head);
  munmap(begin + head + size, kHugePage - head);
#ifdef MADV_HUGEPAGE
  madvise(begin + head, size / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
  return begin + head;
}

void discard_pages(std::byte* begin, size_t size) noexcept {
  const size_t page = system_page_bytes(), head = (page - reinterpret_cast<uintptr_t>(begin) % page) % page;
  if (size < head + page) return;
#ifdef __linux__
  madvise(begin + head, (size - head) / page * page, MADV_DONTNEED);
#else
  madvise(begin + head, (size - head) / page * page, MADV_FREE);
#endif
}

size_t system_page_bytes() {
  static const auto bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

void free_pages(std::byte* pages, size_t size) noexcept { munmap(pages, round_up(size)); }

}  // namespace bitnet
