// SPDX-License-Identifier: MIT
#include <algorithm>
#include <string_view>

#include "base/control_group.h"
#include "base/memory.h"

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
