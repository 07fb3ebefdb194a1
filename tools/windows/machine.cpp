// SPDX-License-Identifier: MIT
#include "bench/machine.h"

#include <windows.h>
// After windows.h:
#include <psapi.h>

#include "base/cores.h"
#include "system.h"

namespace bitnet::program {

Machine this_machine() {
  Machine machine;
  machine.cpu = environment("PROCESSOR_IDENTIFIER");
  machine.system = "Windows";
  machine.cpus = usable_cpus();
  machine.cores = usable_cores();
  MEMORYSTATUSEX status{};
  status.dwLength = sizeof status;
  if (GlobalMemoryStatusEx(&status)) machine.memory_bytes = status.ullTotalPhys;
  return machine;
}

std::optional<ProcessMemory> process_memory() {
  PROCESS_MEMORY_COUNTERS counters{};
  if (!K32GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof counters)) return std::nullopt;
  return ProcessMemory{counters.PeakWorkingSetSize, counters.WorkingSetSize, counters.PagefileUsage};
}

void reset_peak() {}  // the system does not let it be reset

std::optional<Activity> activity() { return std::nullopt; }

}  // namespace bitnet::program
