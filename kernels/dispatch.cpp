// SPDX-License-Identifier: MIT
#include <string_view>

#include "tables.h"

#if defined(__x86_64__)
#include <cpuid.h>
#elif !defined(__aarch64__)
#error "libbitnet has kernels for x86-64 and Armv8-A"
#endif

namespace bitnet {
namespace {

struct Feature {
  const char* name;
  bool present;
};

// A table of this build, and whether this CPU can run it.
struct Choice {
  const Kernels* table;
  bool runs;
};

#if defined(__x86_64__)

bool cpu_has_f16c() {
  unsigned eax, ebx, ecx, edx;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C);
}

// __builtin_cpu_supports asks CPUID, and XGETBV whether the operating system saves the wide registers. It does not
// know f16c by name everywhere; F16C works on the registers of AVX.
struct Cpu {
  bool avx2 = __builtin_cpu_supports("avx2"), f16c = __builtin_cpu_supports("avx") && cpu_has_f16c();
  bool avx512f = __builtin_cpu_supports("avx512f"), avx512bw = __builtin_cpu_supports("avx512bw");
  bool avx512vl = __builtin_cpu_supports("avx512vl"), avx512dq = __builtin_cpu_supports("avx512dq");
  bool avx512vnni = __builtin_cpu_supports("avx512vnni"), avx512vbmi = __builtin_cpu_supports("avx512vbmi");

  Feature features[9] = {{"sse2", true},
                         {"avx2", avx2},
                         {"f16c", f16c},
                         {"avx512f", avx512f},
                         {"avx512bw", avx512bw},
                         {"avx512vl", avx512vl},
                         {"avx512dq", avx512dq},
                         {"avx512vnni", avx512vnni},
                         {"avx512vbmi", avx512vbmi}};

  bool runs_avx2 = avx2 && f16c;
  bool runs_avx512 = runs_avx2 && avx512f && avx512bw && avx512vl && avx512dq;
  // Fastest first.
  static constexpr size_t kChoices = 6;
  Choice choices[kChoices] = {{&avx512vbmi_kernels, runs_avx512&& avx512vnni&& avx512vbmi},
                              {&avx512vnni_kernels, runs_avx512&& avx512vnni},
                              {&avx512_kernels, runs_avx512},
                              {&avx2_kernels, runs_avx2},
                              {&sse2_kernels, true},
                              {&scalar_kernels, true}};
};

#else

struct Cpu {
  Feature features[1] = {{"neon", true}};
  static constexpr size_t kChoices = 2;
  Choice choices[kChoices] = {{&neon_kernels, true}, {&scalar_kernels, true}};
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
  const Kernels* tables[Cpu::kChoices] = {};
  size_t count = 0;
  Line known, features;

  Detected() {
    const Cpu cpu;
    for (const Choice& choice : cpu.choices) {
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

KernelList available_kernels() { return {detected().tables, detected().count}; }

const Kernels* find_kernels(const char* name) {
  const Detected& cpu = detected();
  if (name == nullptr || *name == '\0') return cpu.tables[0];
  for (size_t i = 0; i < cpu.count; ++i) {
    if (std::string_view(name) == cpu.tables[i]->name) return cpu.tables[i];
  }
  return nullptr;
}

const char* kernel_names() { return detected().known.text(); }

const char* cpu_features() { return detected().features.text(); }

}  // namespace bitnet
