// SPDX-License-Identifier: MIT
#include "base/waiting.h"

#include <windows.h>

#include <array>
#include <cstddef>
#include <cstdint>

namespace bitnet::waiting {
namespace {

// Where threads sleep. Addresses share beds: who is woken for another's sake asks again, and sleeps on.
struct Bed {
  SRWLOCK lock = SRWLOCK_INIT;
  CONDITION_VARIABLE changed = CONDITION_VARIABLE_INIT;
};

Bed& bed_of(const void* address) {
  static std::array<Bed, 64> beds;
  return beds[reinterpret_cast<uintptr_t>(address) / sizeof(uint32_t) % beds.size()];
}

}  // namespace

void wait(const void* address, bool (*stays)(const void* context), const void* context) {
  Bed& bed = bed_of(address);
  AcquireSRWLockExclusive(&bed.lock);
  while (stays(context)) SleepConditionVariableSRW(&bed.changed, &bed.lock, INFINITE, 0);
  ReleaseSRWLockExclusive(&bed.lock);
}

// Whoever has asked before the change sleeps by the time that the lock is free.
void wake(const void* address) {
  Bed& bed = bed_of(address);
  AcquireSRWLockExclusive(&bed.lock);
  ReleaseSRWLockExclusive(&bed.lock);
  WakeAllConditionVariable(&bed.changed);
}

}  // namespace bitnet::waiting
