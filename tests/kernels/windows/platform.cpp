// SPDX-License-Identifier: MIT
#include "platform.h"

#include <windows.h>

#include <new>

namespace bitnet {
namespace {

DWORD protection(Access access) {
  switch (access) {
    case Access::none:
      return PAGE_NOACCESS;
    case Access::read:
      return PAGE_READONLY;
    case Access::write:
      break;
  }
  return PAGE_READWRITE;
}

const std::function<void(const std::string&)>* on_fault = nullptr;

struct Forget {
  ~Forget() { on_fault = nullptr; }
};

LONG CALLBACK fault(EXCEPTION_POINTERS* exception) {
  if (on_fault == nullptr) return EXCEPTION_CONTINUE_SEARCH;
  const char* what = nullptr;
  switch (exception->ExceptionRecord->ExceptionCode) {
    case EXCEPTION_ACCESS_VIOLATION:
    case EXCEPTION_IN_PAGE_ERROR:
      what = "a byte outside of its buffers, or one that is not aligned";
      break;
    case EXCEPTION_ILLEGAL_INSTRUCTION:
      what = "an instruction that this CPU lacks";
      break;
    default:
      return EXCEPTION_CONTINUE_SEARCH;
  }
  (*on_fault)(what);
  TerminateProcess(GetCurrentProcess(), 1);
  return EXCEPTION_CONTINUE_SEARCH;
}

}  // namespace

size_t page_size() {
  SYSTEM_INFO info;
  GetSystemInfo(&info);
  return info.dwPageSize;
}

void* map_pages(size_t bytes, Access access, PageSize) {
  void* const pages = VirtualAlloc(nullptr, bytes, MEM_RESERVE | MEM_COMMIT, protection(access));
  if (pages == nullptr) throw std::bad_alloc();
  return pages;
}

void protect_pages(void* pages, size_t bytes, Access access) {
  DWORD before = 0;
  if (!VirtualProtect(pages, bytes, protection(access), &before)) throw std::bad_alloc();
}

void unmap_pages(void* pages, size_t) { VirtualFree(pages, 0, MEM_RELEASE); }

// An exception of the system cannot be left by a jump: its handler has the last word.
std::string fault_in(const std::function<void()>& body, const std::function<void(const std::string&)>& last_words) {
  static const auto handler = AddVectoredExceptionHandler(1, fault);
  if (handler == nullptr) throw std::bad_alloc();
  const Forget forget;
  on_fault = &last_words;
  body();
  return "";
}

}  // namespace bitnet
