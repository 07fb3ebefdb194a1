// SPDX-License-Identifier: MIT
#include "base/cores.h"

#include <windows.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <thread>
#include <vector>

namespace bitnet {
namespace {

// Which CPUs this process may use. A process that is not held to some uses those of all groups.
class Allowed {
 public:
  Allowed() {
    USHORT count = 1;
    const BOOL one_group = GetProcessGroupAffinity(GetCurrentProcess(), &count, &group_);
    DWORD_PTR process = 0, system = 0;
    if (one_group && GetProcessAffinityMask(GetCurrentProcess(), &process, &system)) mask_ = process;
  }
  KAFFINITY of(const GROUP_AFFINITY& cpus) const {
    if (mask_ == 0) return cpus.Mask;
    return cpus.Group == group_ ? cpus.Mask & mask_ : 0;
  }

 private:
  USHORT group_ = 0;
  KAFFINITY mask_ = 0;  // 0: all
};

struct Count {
  uint32_t cpus = 0, cores = 0;
};

// Counts of what can be used; zero where the system does not say.
Count count() {
  DWORD size = 0;
  GetLogicalProcessorInformationEx(RelationProcessorCore, nullptr, &size);
  std::vector<std::byte> buffer(size);
  const auto at = [&](size_t i) {
    return reinterpret_cast<SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX*>(buffer.data() + i);
  };
  if (size == 0 || !GetLogicalProcessorInformationEx(RelationProcessorCore, at(0), &size)) return {};
  const Allowed allowed;
  Count count;
  for (DWORD i = 0; i < size; i += at(i)->Size) {
    const PROCESSOR_RELATIONSHIP& core = at(i)->Processor;
    uint32_t cpus = 0;
    for (WORD k = 0; k < core.GroupCount; k++) {
      cpus += static_cast<uint32_t>(std::popcount(static_cast<uint64_t>(allowed.of(core.GroupMask[k]))));
    }
    count.cpus += cpus;
    count.cores += cpus > 0;
  }
  return count;
}

uint32_t known(uint32_t count) { return std::max(1u, count == 0 ? std::thread::hardware_concurrency() : count); }

}  // namespace

uint32_t usable_cpus() { return known(count().cpus); }
uint32_t usable_cores() { return known(count().cores); }

uint64_t process_id() { return GetCurrentProcessId(); }

}  // namespace bitnet
