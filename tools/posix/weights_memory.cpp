// SPDX-License-Identifier: MIT
#include "bench/weights_memory.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <string_view>

namespace bitnet::program {

namespace {

// "AnonHugePages:      2048 kB" adds to `bytes`, if that is the line's key.
void add_value(std::string_view line, std::string_view key, uint64_t& bytes) {
  if (!line.starts_with(key)) return;
  line.remove_prefix(std::min(line.find_first_not_of(' ', key.size()), line.size()));
  uint64_t kibibytes = 0;
  std::from_chars(line.data(), line.data() + line.size(), kibibytes);
  bytes += kibibytes << 10;
}

// "7f0000000000-7f0000001000 r--s 00000000 fd:00 42  /path", which lines with keys and values follow.
bool is_mapping(std::string_view line) { return line.find('-') < line.find(' '); }

}  // namespace

std::optional<WeightsMemory> weights_memory(const std::string& path, bool copied) {
  std::ifstream maps("/proc/self/smaps");
  if (!maps) return {};
  std::error_code ignored;
  const std::string file = " " + std::filesystem::canonical(path, ignored).string();
  bool inside = false;
  uint64_t huge_mapped = 0, huge_copied = 0;
  for (std::string line; std::getline(maps, line);) {
    if (is_mapping(line)) inside = line.ends_with(file);
    if (inside) add_value(line, "FilePmdMapped:", huge_mapped);
    add_value(line, "AnonHugePages:", huge_copied);
  }
  return WeightsMemory{!copied, static_cast<uint64_t>(sysconf(_SC_PAGESIZE)), copied ? huge_copied : huge_mapped};
}

}  // namespace bitnet::program
