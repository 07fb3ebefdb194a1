// SPDX-License-Identifier: MIT
// Sleep until an atomic changes. std::atomic's own wait() does that where the system has such a call. Where it has not,
// as on Windows, libstdc++ 12 checks and falls asleep in two steps, and misses a change in between.
#pragma once

#include <atomic>

namespace bitnet {

#ifdef _WIN32
namespace waiting {
// Returns once stays(context) is false. That is asked first, and whenever wake() has been called for the address.
void wait(const void* address, bool (*stays)(const void* context), const void* context);
void wake(const void* address);
}  // namespace waiting
#endif

// Returns once the atomic is seen to hold something else than `old`.
template <typename T>
void wait_while(const std::atomic<T>& atomic, T old) {
#ifdef _WIN32
  struct Context {
    const std::atomic<T>& atomic;
    T old;
  } const context{atomic, old};
  const auto stays = [](const void* data) {
    const auto& c = *static_cast<const Context*>(data);
    return c.atomic.load(std::memory_order_acquire) == c.old;
  };
  waiting::wait(&atomic, stays, &context);
#else
  atomic.wait(old, std::memory_order_acquire);
#endif
}

// After a change: wakes one of those that wait, or all.
template <typename T>
void wake_one(std::atomic<T>& atomic) {
#ifdef _WIN32
  waiting::wake(&atomic);
#else
  atomic.notify_one();
#endif
}

template <typename T>
void wake_all(std::atomic<T>& atomic) {
#ifdef _WIN32
  waiting::wake(&atomic);
#else
  atomic.notify_all();
#endif
}

}  // namespace bitnet
