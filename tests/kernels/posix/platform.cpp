// SPDX-License-Identifier: MIT
#include "platform.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <new>

namespace bitnet {
namespace {

int protection(Access access) {
  switch (access) {
    case Access::none:
      return PROT_NONE;
    case Access::read:
      return PROT_READ;
    case Access::write:
      break;
  }
  return PROT_READ | PROT_WRITE;
}

sigjmp_buf* on_fault = nullptr;  // where to go on

struct Forget {
  ~Forget() { on_fault = nullptr; }
};

void fault(int signal) {
  if (on_fault == nullptr) {
    ::signal(signal, SIG_DFL);
    return;  // to the same instruction, which ends the program
  }
  siglongjmp(*on_fault, signal);
}

void catch_faults() {
  struct sigaction action = {};
  action.sa_handler = fault;
  for (int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE}) sigaction(signal, &action, nullptr);
}

const char* name_of(int signal) {
  return signal == SIGILL   ? "an instruction that this CPU lacks"
         : signal == SIGFPE ? "a floating-point exception"
                            : "a byte outside of its buffers";
}

}  // namespace

size_t page_size() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

void* map_pages(size_t bytes, Access access, PageSize size) {
  void* const pages = mmap(nullptr, bytes, protection(access), MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) throw std::bad_alloc();
  if (access == Access::write) madvise(pages, bytes, size == PageSize::huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  return pages;
}

void protect_pages(void* pages, size_t bytes, Access access) {
  if (mprotect(pages, bytes, protection(access)) != 0) throw std::bad_alloc();
}

void unmap_pages(void* pages, size_t bytes) { munmap(pages, bytes); }

std::string fault_in(const std::function<void()>& body, const std::function<void(const std::string&)>&) {
  catch_faults();
  const Forget forget;
  sigjmp_buf after_fault;
  on_fault = &after_fault;
  if (const int signal = sigsetjmp(after_fault, 1)) return name_of(signal);
  body();
  return "";
}

}  // namespace bitnet
