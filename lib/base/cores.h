// SPDX-License-Identifier: MIT
// How many threads can compute at a time.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace bitnet {

// CPUs that the calling thread may run on, no more than its control group's share of CPU time amounts to; at least one.
uint32_t usable_cpus();
// The same with the hyperthreads of a core counted once: they share its vector units and its way to the memory.
uint32_t usable_cores();

// The number of this process, by which a child of fork() can be told.
uint64_t process_id();

// The parts of it; `root` stands before /sys and /proc.
// How many cores the CPUs of these numbers belong to.
uint32_t count_cores(std::span<const uint32_t> cpus, const std::string& root = {});
// The number of CPUs whose whole time the control groups of this process allow, rounded up; 0: no limit.
uint32_t cpu_quota(const std::string& root = {});

}  // namespace bitnet
