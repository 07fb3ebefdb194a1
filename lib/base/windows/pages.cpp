// SPDX-License-Identifier: MIT
#include "base/pages.h"

#include <windows.h>

#include <cstdint>
#include <new>

namespace bitnet {
namespace {

std::byte* allocate(void* place, size_t size, DWORD kind) {
  void* const pages = VirtualAlloc(place, size, kind, PAGE_READWRITE);
  if (pages == nullptr) throw std::bad_alloc();
  return static_cast<std::byte*>(pages);
}

}  // namespace

std::byte* allocate_pages(size_t size) { return allocate(nullptr, size, MEM_RESERVE | MEM_COMMIT); }

// Addresses are reserved for a huge page more than asked for; memory is committed only to the aligned part of them.
// Pages stay small: large ones take a privilege that users do not have, and are never swapped out.
std::byte* allocate_huge_pages(size_t size) {
  std::byte* const begin = allocate(nullptr, size + kHugePage, MEM_RESERVE);
  const size_t head = (kHugePage - reinterpret_cast<uintptr_t>(begin) % kHugePage) % kHugePage;
  try {
    return allocate(begin + head, size, MEM_COMMIT);
  } catch (const std::bad_alloc&) {
    VirtualFree(begin, 0, MEM_RELEASE);
    throw;
  }
}

// What is reset is not written to the swap file, and unlocking what is not locked takes it out of the working set. It
// stays committed, so that it can be used again without fail.
void discard_pages(std::byte* begin, size_t size) noexcept {
  const size_t page = system_page_bytes(), head = (page - reinterpret_cast<uintptr_t>(begin) % page) % page;
  if (size < head + page) return;
  const size_t whole = (size - head) / page * page;
  VirtualAlloc(begin + head, whole, MEM_RESET, PAGE_READWRITE);
  VirtualUnlock(begin + head, whole);
}

size_t system_page_bytes() {
  SYSTEM_INFO info;
  GetSystemInfo(&info);
  return info.dwPageSize;
}

void free_pages(std::byte* pages, size_t) noexcept {
  MEMORY_BASIC_INFORMATION info;
  if (VirtualQuery(pages, &info, sizeof info) != 0) VirtualFree(info.AllocationBase, 0, MEM_RELEASE);
}

}  // namespace bitnet
