// SPDX-License-Identifier: MIT
#include "base/cores.h"

#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <thread>
#include <vector>

#include "base/control_group.h"

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

// "150000": microseconds, or a word or a negative number where there is no limit.
uint64_t read_microseconds(std::string_view& text) {
  uint64_t number = 0;
  return take_number(text, number) ? number : 0;
}

// How many CPUs the group allows, rounded up; 0: no limit.
uint32_t group_quota(const ControlGroup& group) {
  uint64_t quota = 0, period = 0;
  if (group.version == 2) {
    // "max 100000" or "150000 100000": the CPU time allowed in each period, and the length of a period.
    const std::string text = read_system_file(group.folder + "/cpu.max");
    std::string_view rest = text;
    quota = read_microseconds(rest);
    period = read_microseconds(rest);
  } else {
    const std::string quotas = read_system_file(group.folder + "/cpu.cfs_quota_us");
    const std::string periods = read_system_file(group.folder + "/cpu.cfs_period_us");
    std::string_view quota_text = quotas, period_text = periods;
    quota = read_microseconds(quota_text);
    period = read_microseconds(period_text);
  }
  if (quota == 0 || period == 0) return 0;
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
    const std::string text = read_system_file(path);
    std::string_view siblings = text;
    uint64_t first = cpu;
    take_number(siblings, first);
    cores.push_back(first);
  }
  std::ranges::sort(cores);
  return static_cast<uint32_t>(std::unique(cores.begin(), cores.end()) - cores.begin());
}

uint32_t cpu_quota(const std::string& root) {
  uint32_t least = 0;
  for (const ControlGroup& group : control_groups("cpu", root)) {
    const uint32_t quota = group_quota(group);
    if (quota != 0) least = least == 0 ? quota : std::min(least, quota);
  }
  return least;
}

uint32_t usable_cpus() {
  const auto cpus = static_cast<uint32_t>(allowed_cpus().size());
  return within_quota(cpus == 0 ? std::thread::hardware_concurrency() : cpus);
}

uint32_t usable_cores() {
  const std::vector<uint32_t> cpus = allowed_cpus();
  return within_quota(cpus.empty() ? std::thread::hardware_concurrency() : count_cores(cpus));
}

uint64_t process_id() { return static_cast<uint64_t>(getpid()); }

}  // namespace bitnet
