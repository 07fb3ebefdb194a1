// SPDX-License-Identifier: MIT
#include "cpu.h"

#if defined(__linux__)
#include <sys/auxv.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(_WIN32)
#include <windows.h>
#endif

namespace bitnet {
namespace {

#if defined(__linux__)

// The bits of the kernel's documented interface; older headers lack their names.
bool has_dotprod() { return getauxval(AT_HWCAP) & (1UL << 20); }
bool has_i8mm() { return getauxval(AT_HWCAP2) & (1UL << 13); }

#elif defined(__APPLE__)

bool has(const char* feature) {
  int value = 0;
  size_t size = sizeof value;
  return sysctlbyname(feature, &value, &size, nullptr, 0) == 0 && value != 0;
}
bool has_dotprod() { return has("hw.optional.arm.FEAT_DotProd"); }
bool has_i8mm() { return has("hw.optional.arm.FEAT_I8MM"); }

#elif defined(_WIN32)

// PF_ARM_V82_DP_INSTRUCTIONS_AVAILABLE and PF_ARM_V82_I8MM_INSTRUCTIONS_AVAILABLE; older headers lack their names.
bool has_dotprod() { return IsProcessorFeaturePresent(43); }
bool has_i8mm() { return IsProcessorFeaturePresent(66); }

#else

bool has_dotprod() { return false; }
bool has_i8mm() { return false; }

#endif

}  // namespace

Cpu this_cpu() {
  const bool dotprod = has_dotprod(), i8mm = has_i8mm();
  return {.sets = {{&i8mm_layer, dotprod && i8mm}, {&dotprod_layer, dotprod}, {&neon_layer, true}},
          .features = {{"neon", true}, {"dotprod", dotprod}, {"i8mm", i8mm}}};
}

}  // namespace bitnet
