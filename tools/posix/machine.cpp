// SPDX-License-Identifier: MIT
#include "bench/machine.h"

#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "base/control_group.h"
#include "base/cores.h"
#include "base/memory.h"

namespace bitnet::program {

namespace {

std::string without_space(std::string text) {
  const auto from = text.find_first_not_of(" \t\n"), to = text.find_last_not_of(" \t\n");
  return from == text.npos ? "" : text.substr(from, to - from + 1);
}

// "model name : Such a CPU" of /proc/cpuinfo.
std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name") || line.starts_with("Model")) {
      return without_space(line.substr(std::min(line.find(':') + 1, line.size())));
    }
  }
  return "";
}

std::string system_name() {
  utsname name{};
  return uname(&name) == 0 ? std::string(name.sysname) + " " + name.release + " " + name.machine : "";
}

// The word in brackets of "always [madvise] never".
std::string chosen(const std::string& text) {
  const auto from = text.find('['), to = text.find(']');
  return from == text.npos || to == text.npos ? "" : text.substr(from + 1, to - from - 1);
}

// A number after a key, in a file of lines of them.
uint64_t value_in(const std::string& text, std::string_view key) {
  const size_t at = text.find(key);
  if (at == text.npos) return 0;
  std::string_view rest = std::string_view(text).substr(at + key.size());
  rest.remove_prefix(std::min(rest.find_first_of("0123456789"), rest.size()));
  uint64_t number = 0;
  return take_number(rest, number) ? number : 0;
}

uint64_t times_too_hot() {
  uint64_t times = 0;
  const std::string folder = "/sys/devices/system/cpu/cpu";
  for (unsigned cpu = 0;; ++cpu) {
    const std::string text = read_system_file(folder + std::to_string(cpu) + "/thermal_throttle/core_throttle_count");
    if (text.empty()) return times;
    times += value_in(text, "");
  }
}

uint64_t times_over_quota() {
  uint64_t times = 0;
  for (const ControlGroup& group : control_groups("cpu")) {
    times += value_in(read_system_file(group.folder + "/cpu.stat"), "nr_throttled");
  }
  return times;
}

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

double own_seconds() {
  double seconds = 0;
  for (const int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage usage{};
    if (getrusage(who, &usage) == 0) seconds += seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  }
  return seconds;
}

}  // namespace

Machine this_machine() {
  Machine machine;
  machine.cpu = cpu_name();
  machine.system = system_name();
  machine.cpus = usable_cpus();
  machine.cores = usable_cores();
  machine.cpu_quota = cpu_quota();
  const auto pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  if (pages > 0 && page > 0) {
    machine.memory_bytes = std::min(static_cast<uint64_t>(pages) * static_cast<uint64_t>(page), memory_limit());
  }
  const std::string frequency = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_";
  machine.governor = without_space(read_system_file(frequency + "governor"));
  machine.driver = without_space(read_system_file(frequency + "driver"));
  machine.huge_pages = chosen(read_system_file("/sys/kernel/mm/transparent_hugepage/enabled"));
  return machine;
}

std::optional<ProcessMemory> process_memory() {
  const std::string status = read_system_file("/proc/self/status");
  if (status.empty()) return std::nullopt;
  return ProcessMemory{value_in(status, "VmHWM:") << 10, value_in(status, "VmRSS:") << 10,
                       value_in(status, "VmSize:") << 10};
}

void reset_peak() { std::ofstream("/proc/self/clear_refs") << "5"; }

std::optional<Activity> activity() {
  std::ifstream file("/proc/stat");
  std::string word;
  std::array<double, 8> ticks{};  // user nice system idle iowait irq softirq steal
  if (!(file >> word) || word != "cpu") return std::nullopt;
  for (double& value : ticks) file >> value;
  if (!file) return std::nullopt;
  const auto per_second = static_cast<double>(sysconf(_SC_CLK_TCK));
  Activity now;
  now.wall = std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  now.busy = (ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6]) / per_second;
  now.stolen = ticks[7] / per_second;
  now.own = own_seconds();
  now.hot = times_too_hot();
  now.over_quota = times_over_quota();
  return now;
}

}  // namespace bitnet::program
