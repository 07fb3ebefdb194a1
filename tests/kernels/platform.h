// SPDX-License-Identifier: MIT
// What the checks of kernels ask of the system: posix/ and windows/ know the answers.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

namespace bitnet {

size_t page_size();

enum class Access { none, read, write };
enum class PageSize { small, huge };

// Whole pages. Throw std::bad_alloc. Pages for reading and writing are of the size that is asked for where the system
// gives it.
void* map_pages(size_t bytes, Access access, PageSize size = PageSize::small);
void protect_pages(void* pages, size_t bytes, Access access);
void unmap_pages(void* pages, size_t bytes);

// Runs the body. If it touches an inaccessible page, or runs into an instruction that this CPU lacks, that is returned
// in words, and what it held is lost; otherwise "". Where a program cannot go on after such a fault, `last_words` is
// called with them instead, and the program fails.
std::string fault_in(const std::function<void()>& body, const std::function<void(const std::string&)>& last_words);

}  // namespace bitnet
