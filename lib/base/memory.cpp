// SPDX-License-Identifier: MIT
#include "base/memory.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>

#include "base/control_group.h"
#include "base/error.h"

namespace bitnet {
namespace {

constexpr uint64_t kUnlimited = UINT64_MAX;

uint64_t sum(uint64_t a, uint64_t b) { return a > kUnlimited - b ? kUnlimited : a + b; }

// A file that holds a number of bytes; "max", or no file, is no limit.
uint64_t read_limit(const std::string& path) {
  const std::string text = read_system_file(path);
  std::string_view rest = text;
  uint64_t bytes = 0;
  return take_number(rest, bytes) ? bytes : kUnlimited;
}

uint64_t total_swap(const std::string& root) {
  constexpr std::string_view kKey = "SwapTotal:";
  const std::string text = read_system_file(root + "/proc/meminfo");
  const size_t at = text.find(kKey);
  if (at == text.npos) return 0;
  std::string_view rest = std::string_view(text).substr(at + kKey.size());
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  uint64_t kib = 0;
  return take_number(rest, kib) ? kib << 10 : 0;
}

}  // namespace

std::string file_with_size(const std::string& path) {
  std::error_code unknown;
  const uint64_t size = std::filesystem::file_size(path, unknown);
  return unknown ? path : path + " (" + size_text(size) + ")";
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
  if (sum(need.bytes, taken) <= limit) return;
  fail(BITNET_ERROR_MEMORY, "cannot allocate ", size_text(need.bytes), " for ", need.purpose,
       ": the control group of this process allows it ", size_text(limit),
       need.bytes <= limit ? ", of which " + size_text(taken) + " are taken" : "", "; ", need.advice);
}

uint64_t memory_limit(const std::string& root) {
  const std::vector<ControlGroup> groups = control_groups("memory", root);
  if (groups.empty()) return kUnlimited;
  const uint64_t swap = total_swap(root);
  uint64_t least = kUnlimited;
  for (const auto& [folder, version] : groups) {
    if (version == 2) {
      least = std::min(
          least, sum(read_limit(folder + "/memory.max"), std::min(swap, read_limit(folder + "/memory.swap.max"))));
    } else {
      least = std::min({least, sum(read_limit(folder + "/memory.limit_in_bytes"), swap),
                        read_limit(folder + "/memory.memsw.limit_in_bytes")});
    }
  }
  return least;
}

}  // namespace bitnet
