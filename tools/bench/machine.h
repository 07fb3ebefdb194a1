// SPDX-License-Identifier: MIT
// The machine and the build that figures belong to, and what may have spoiled them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace bitnet::program {

struct Machine {
  std::string cpu, system;       // as they name themselves; "" if they do not
  uint32_t cpus = 0, cores = 0;  // that this process may use
  uint32_t cpu_quota = 0;        // CPUs whose whole time a control group allows; 0: no limit
  uint64_t memory_bytes = 0;     // that this process may have; 0: not known
  std::string governor, driver;  // of the CPU's frequency
  std::string huge_pages;        // "always", "madvise" or "never"; "" if not known
};
Machine this_machine();

struct Build {
  std::string version, compiler;
  bool optimized, assertions, sanitized;
};
Build this_build();

struct ProcessMemory {
  uint64_t peak, current, reserved;  // bytes: resident at most, resident now, of addresses
};
// Empty where the system does not say. The peak is since reset_peak(), where the system lets it be reset.
std::optional<ProcessMemory> process_memory();
void reset_peak();

// Counters whose growth tells what else happened.
struct Activity {
  double wall = 0, busy = 0, stolen = 0, own = 0;  // seconds; of all CPUs, of other guests, of this process
  uint64_t hot = 0, over_quota = 0;                // times that a CPU was too hot, that the quota was used up
};
// Empty where the system does not say.
std::optional<Activity> activity();

// In words, each a sentence.
std::vector<std::string> warnings_of(const Machine& machine, const Build& build, const std::optional<Activity>& before,
                                     const std::optional<Activity>& after);

}  // namespace bitnet::program
