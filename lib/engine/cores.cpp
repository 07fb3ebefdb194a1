// SPDX-License-Identifier: MIT
#include "engine/cores.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <string_view>
#include <thread>
#include <vector>

#ifdef __linux__
#include <sched.h>
#endif

namespace bitnet {
namespace {

// The CPUs that the calling thread may run on; empty where the system does not say.
std::vector<uint32_t> allowed_cpus() {
  std::vector<uint32_t> cpus;
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return {};
  for (uint32_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
#endif
  return cpus;
}

// The beginning of a small file, "" if there is none. No stream: those depend on the host's locale.
std::string_view read_file(const std::string& path, char (&buffer)[4096]) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  const ssize_t length = read(fd, buffer, sizeof buffer);
  close(fd);
  return {buffer, static_cast<size_t>(std::max<ssize_t>(length, 0))};
}

// Takes a whole number off the front of the text, and the character after it.
bool take_number(std::string_view& text, uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return false;
  text.remove_prefix(std::min<size_t>(end - text.data() + 1, text.size()));
  return true;
}

// The path of this process's control group, "" for the topmost.
std::string control_group(const std::string& root) {
  char buffer[4096];
  std::string_view text = read_file(root + "/proc/self/cgroup", buffer);
  while (!text.empty() && !text.starts_with("0::/")) {
    text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  }
  const std::string_view path = text.substr(std::min<size_t>(3, text.size()), text.find('\n') - 3);
  return path == "/" ? "" : std::string(path);
}

// cpu.max is "max 100000" or "150000 100000": microseconds of CPU time in a period of so many.
uint32_t group_quota(const std::string& folder) {
  char buffer[4096];
  std::string_view text = read_file(folder + "/cpu.max", buffer);
  uint64_t quota = 0, period = 0;
  if (!take_number(text, quota) || !take_number(text, period) || quota == 0 || period == 0) return 0;
  return static_cast<uint32_t>(std::min<uint64_t>((quota - 1) / period + 1, UINT32_MAX));
}

uint32_t within_quota(uint32_t count) {
  const uint32_t quota = cpu_quota();
  return std::max(1u, quota == 0 ? count : std::min(count, quota));
}

}  // namespace

uint32_t count_cores(std::span<const uint32_t> cpus, const std::string& root) {
  std::vector<uint64_t> cores;
  cores.reserve(cpus.size());
  for (const uint32_t cpu : cpus) {
    // "0,64" or "0-1": the CPUs of its core, the first of which names it.
    std::string path = root;
    path.append("/sys/devices/system/cpu/cpu").append(std::to_string(cpu)).append("/topology/thread_siblings_list");
    char buffer[4096];
    std::string_view siblings = read_file(path, buffer);
    uint64_t first = cpu;
    take_number(siblings, first);
    cores.push_back(first);
  }
  std::ranges::sort(cores);
  return static_cast<uint32_t>(std::unique(cores.begin(), cores.end()) - cores.begin());
}

uint32_t cpu_quota(const std::string& root) {
  uint32_t least = 0;
  for (std::string group = control_group(root);; group.erase(group.rfind('/'))) {
    const uint32_t quota = group_quota(std::string(root).append("/sys/fs/cgroup").append(group));
    if (quota != 0) least = least == 0 ? quota : std::min(least, quota);
    if (group.empty()) return least;
  }
}

uint32_t usable_cpus() {
  const auto cpus = static_cast<uint32_t>(allowed_cpus().size());
  return within_quota(cpus == 0 ? std::thread::hardware_concurrency() : cpus);
}

uint32_t usable_cores() {
  const std::vector<uint32_t> cpus = allowed_cpus();
  return within_quota(cpus.empty() ? std::thread::hardware_concurrency() : count_cores(cpus));
}

}  // namespace bitnet
