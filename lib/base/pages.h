// SPDX-License-Identifier: MIT
// Memory straight from the system, a page at a time as it is touched, which goes back there. It is zero at first.
#pragma once

#include <cstddef>

namespace bitnet {

constexpr size_t kHugePage = size_t{2} << 20;

// Throw std::bad_alloc. The second one's memory begins on a huge page and asks for huge pages, where the system has
// them.
std::byte* allocate_pages(size_t size);
std::byte* allocate_huge_pages(size_t size);
// Gives the memory of all whole pages between the two ends back, but not the addresses. What they hold is lost.
void discard_pages(std::byte* begin, size_t size) noexcept;
size_t system_page_bytes();
// Either's, with the size that was asked for.
void free_pages(std::byte* pages, size_t size) noexcept;

}  // namespace bitnet
