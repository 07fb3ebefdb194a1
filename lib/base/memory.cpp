// SPDX-License-Identifier: MIT
#include "base/memory.h"

#include <array>

#include "base/error.h"
#include "base/path.h"

namespace bitnet {

std::string file_with_size(const std::string& path) {
  const auto size = file_size(path);
  return size ? path + " (" + size_text(*size) + ")" : path;
}

std::string size_text(uint64_t bytes) {
  constexpr std::array kUnits = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return std::to_string(bytes) + " " + kUnits[0];
  size_t unit = 0;
  uint64_t tenths = bytes;
  while (tenths >= 1024 * 1024 && unit + 2 < kUnits.size()) {
    tenths /= 1024;
    unit++;
  }
  tenths = (tenths * 10 + 512) / 1024;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " " + kUnits[unit + 1];
}

void fail_memory(const MemoryNeed& need) {
  if (need.bytes == 0) fail(BITNET_ERROR_MEMORY, "out of memory while ", need.purpose, "; ", need.advice);
  fail(BITNET_ERROR_MEMORY, "cannot allocate ", size_text(need.bytes), " for ", need.purpose, ": out of memory; ",
       need.advice);
}

void require_memory(const MemoryNeed& need, uint64_t taken, uint64_t limit) {
  constexpr uint64_t kUnlimited = UINT64_MAX;
  if (limit == kUnlimited || (taken <= limit && need.bytes <= limit - taken)) return;
  fail(BITNET_ERROR_MEMORY, "cannot allocate ", size_text(need.bytes), " for ", need.purpose,
       ": the control group of this process allows it ", size_text(limit),
       need.bytes <= limit ? ", of which " + size_text(taken) + " are taken" : "", "; ", need.advice);
}

uint64_t RecentMemoryLimit::get() {
  using Clock = std::chrono::steady_clock;
  const std::lock_guard lock(mutex_);
  if (const auto now = Clock::now(); read_ == Clock::time_point{} || now - read_ >= std::chrono::seconds(1)) {
    bytes_ = memory_limit();
    read_ = now;
  }
  return bytes_;
}

}  // namespace bitnet
