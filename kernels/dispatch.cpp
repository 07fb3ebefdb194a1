// SPDX-License-Identifier: MIT
#include <algorithm>
#include <string_view>
#include <utility>

#include "tables.h"

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif !defined(__aarch64__)
#error "libbitnet has kernels for x86-64 and Armv8-A"
#elif defined(__linux__)
#include <sys/auxv.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(_WIN32)
#include <windows.h>
#endif

namespace bitnet {
namespace {

struct Feature {
  const char* name;
  bool present;
};

#if defined(__x86_64__)

bool has_f16c() {
  unsigned eax, ebx, ecx, edx;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C);
}

bool has_avxvnni() {
  constexpr unsigned kAvxVnni = 1 << 4;
  unsigned eax, ebx, ecx, edx;
  return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && (eax & kAvxVnni);
}

#if defined(__linux__)
constexpr long kGetSupported = 0x1021, kRequestPermission = 0x1023;  // ARCH_GET_XCOMP_SUPP, ARCH_REQ_XCOMP_PERM
constexpr long kTileData = 18;                                       // XFEATURE_XTILE_DATA

// Whether the kernel grants tiles to those who request them.
bool grants_tiles() {
  uint64_t features = 0;
  return syscall(SYS_arch_prctl, kGetSupported, &features) == 0 && (features >> kTileData & 1) != 0;
}
// A process must request tiles before it uses them; the grant holds for all its threads, for good. Linux refuses if a
// thread has a signal stack that cannot hold the 8 KiB of tiles as well.
bool request_tiles() { return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0; }
#else
bool grants_tiles() { return false; }
bool request_tiles() { return false; }
#endif

bool has_amx() {
  constexpr unsigned kTile = 1 << 24, kInt8 = 1 << 25;
  unsigned eax, ebx, ecx, edx;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (edx & kTile) != 0 && (edx & kInt8) != 0 && grants_tiles();
}

const Kernels& avx512vbmi_kernels() {
  static const Kernels table = with_ternary(avx512vnni_kernels, "avx512vbmi", avx512vbmi_ternary);
  return table;
}
const Kernels& amx_kernels() {
  static const Kernels table = with_ternary(avx512vnni_kernels, "amx", amx_ternary);
  return table;
}

// __builtin_cpu_supports asks CPUID, and XGETBV whether the operating system saves the wide registers. It does not
// know f16c and avxvnni by name everywhere; they work on the registers of AVX and AVX2.
struct Cpu {
  bool sse41 = __builtin_cpu_supports("ssse3") && __builtin_cpu_supports("sse4.1");
  bool avx2 = __builtin_cpu_supports("avx2"), f16c = __builtin_cpu_supports("avx") && has_f16c();
  bool avxvnni = avx2 && has_avxvnni();
  bool avx512f = __builtin_cpu_supports("avx512f"), avx512bw = __builtin_cpu_supports("avx512bw");
  bool avx512vl = __builtin_cpu_supports("avx512vl"), avx512dq = __builtin_cpu_supports("avx512dq");
  bool avx512vnni = __builtin_cpu_supports("avx512vnni"), avx512vbmi = __builtin_cpu_supports("avx512vbmi");
  bool amx = has_amx();

  Feature features[12] = {{"sse2", true},
                          {"sse41", sse41},
                          {"avx2", avx2},
                          {"f16c", f16c},
                          {"avxvnni", avxvnni},
                          {"avx512f", avx512f},
                          {"avx512bw", avx512bw},
                          {"avx512vl", avx512vl},
                          {"avx512dq", avx512dq},
                          {"avx512vnni", avx512vnni},
                          {"avx512vbmi", avx512vbmi},
                          {"amx", amx}};

  bool runs_avx2 = avx2 && f16c;
  bool runs_avx512 = runs_avx2 && avx512f && avx512bw && avx512vl && avx512dq;
  // Fastest first.
  static constexpr size_t kChoices = 9;
  Choice choices[kChoices] = {{&amx_kernels(), runs_avx512&& avx512vnni&& avx512vbmi&& amx, request_tiles},
                              {&avx512vbmi_kernels(), runs_avx512&& avx512vnni&& avx512vbmi},
                              {&avx512vnni_kernels, runs_avx512&& avx512vnni},
                              {&avx512_kernels, runs_avx512},
                              {&avxvnni_kernels, runs_avx2&& avxvnni},
                              {&avx2_kernels, runs_avx2},
                              {&sse41_kernels, sse41},
                              {&sse2_kernels, true},
                              {&scalar_kernels, true}};

  // avx512vbmi multiplies prompts by permuting 16-bit words. AMD's CPUs do that in one operation; Intel's take two,
  // which compete for one port, and are less than half as fast so as with dot products (Sapphire Rapids).
  Cpu() {
    if (!__builtin_cpu_is("amd")) std::swap(choices[1], choices[2]);
  }
};

#else

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

struct Cpu {
  bool dotprod = has_dotprod(), i8mm = has_i8mm();

  Feature features[3] = {{"neon", true}, {"dotprod", dotprod}, {"i8mm", i8mm}};

  // Fastest first.
  static constexpr size_t kChoices = 4;
  Choice choices[kChoices] = {
      {&i8mm_kernels, dotprod&& i8mm}, {&dotprod_kernels, dotprod}, {&neon_kernels, true}, {&scalar_kernels, true}};
};

#endif

// Names in one line; there are few, and all are short.
class Line {
 public:
  void add(const char* separator, const char* name) {
    if (length_ > 0) append(separator);
    append(name);
  }
  const char* text() const { return text_; }

 private:
  void append(const char* part) {
    while (*part != '\0' && length_ + 1 < sizeof text_) text_[length_++] = *part++;
  }
  char text_[128] = {};
  size_t length_ = 0;
};

// What is known of this CPU once it has been asked.
struct Detected {
  Choice choices[Cpu::kChoices];
  const Kernels* tables[Cpu::kChoices] = {};
  size_t count = 0;
  Line known, features;

  Detected() {
    const Cpu cpu;
    std::ranges::copy(cpu.choices, choices);
    for (const Choice& choice : choices) {
      if (choice.runs) tables[count++] = choice.table;
      known.add(", ", choice.table->name);
    }
    for (const Feature& feature : cpu.features) {
      if (feature.present) features.add(" ", feature.name);
    }
  }
};

const Detected& detected() {
  static const Detected cpu;
  return cpu;
}

}  // namespace

Kernels with_ternary(const Kernels& table, const char* name, const TernaryKernels& ternary) {
  Kernels other = table;
  other.name = name;
  other.ternary = ternary;
  return other;
}

const Kernels* choose(std::span<const Choice> choices, std::string_view name) {
  const auto usable = [&](const Choice& choice) {
    return choice.runs && (name.empty() || name == choice.table->name) &&
           (choice.request == nullptr || choice.request());
  };
  const auto found = std::ranges::find_if(choices, usable);
  return found == choices.end() ? nullptr : found->table;
}

const Kernels* choose_unrequested(std::span<const Choice> choices) {
  const auto found =
      std::ranges::find_if(choices, [](const Choice& choice) { return choice.runs && choice.request == nullptr; });
  return found == choices.end() ? nullptr : found->table;
}

KernelList available_kernels() { return {detected().tables, detected().count}; }

const Kernels* find_kernels(const char* name) { return choose(detected().choices, name != nullptr ? name : ""); }

const Kernels* find_unrequested_kernels() { return choose_unrequested(detected().choices); }

const char* kernel_names() { return detected().known.text(); }

const char* cpu_features() { return detected().features.text(); }

}  // namespace bitnet
