// SPDX-License-Identifier: MIT
// Splitting independent work over the CPU's cores. For loading and converting; the forward pass has its own threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "base/cores.h"

namespace bitnet {

// Calls work(i) once for each i < count, on several threads. If a call throws, no further one starts and the first
// exception is thrown to the caller.
template <typename Work>
void parallel_for(size_t count, const Work& work) {
  std::atomic<size_t> next{0};
  std::exception_ptr failure;
  std::mutex mutex;
  const auto fail = [&] {
    next = count;
    const std::lock_guard lock(mutex);
    if (!failure) failure = std::current_exception();
  };
  const auto run = [&]() noexcept {
    try {
      for (size_t i; (i = next.fetch_add(1)) < count;) work(i);
    } catch (...) {
      fail();
    }
  };
  const size_t cores = std::min<size_t>(usable_cpus(), 16);
  std::vector<std::thread> helpers;  // not std::jthread, which the C++ library of Android and Apple lacks
  helpers.reserve(cores);
  try {
    for (size_t i = 1; i < std::min(cores, count); ++i) helpers.emplace_back(run);
  } catch (const std::system_error&) {
    // A system that grants no more threads still has this one.
  } catch (...) {
    fail();
  }
  run();
  for (std::thread& helper : helpers) helper.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace bitnet
