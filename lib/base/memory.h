// SPDX-License-Identifier: MIT
// Running out of memory with an answer: how much was needed, for what, and what takes less.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>

namespace bitnet {

// "5.2 GiB"
std::string size_text(uint64_t bytes);

// The file's name with its size, if that can be had: "model.gguf (1.1 GiB)".
std::string file_with_size(const std::string& path);

struct MemoryNeed {
  uint64_t bytes;       // 0: not known
  std::string purpose;  // "the KV cache", where bytes are known; else "opening a file"
  std::string advice;   // "a smaller context takes less"
};

// Throw Error with BITNET_ERROR_MEMORY.
[[noreturn]] void fail_memory(const MemoryNeed& need);
// If the need, with what is `taken` already, is more than `limit`.
void require_memory(const MemoryNeed& need, uint64_t taken, uint64_t limit);

// The most bytes that this process's control groups allow it, swap included; UINT64_MAX if nothing is known. Beyond
// it no allocation fails: the system ends the process. `root` stands before /proc and /sys.
uint64_t memory_limit(const std::string& root = {});

// The same as it was less than a second ago: to look takes longer than to make a session. Thread-safe.
class RecentMemoryLimit {
 public:
  uint64_t get();

 private:
  std::mutex mutex_;
  std::chrono::steady_clock::time_point read_{};  // when; 0: not yet
  uint64_t bytes_ = 0;
};

// Runs the body. An allocation that fails there becomes an Error that tells need(), a MemoryNeed.
template <typename Need, typename Body>
auto with_memory(const Need& need, const Body& body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    fail_memory(need());
  } catch (const std::length_error&) {  // more than can be addressed
    fail_memory(need());
  }
}

}  // namespace bitnet
