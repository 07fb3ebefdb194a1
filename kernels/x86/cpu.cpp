// SPDX-License-Identifier: MIT
#include <cpuid.h>

#include "x86/cpuid.h"
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace bitnet {
namespace {

#if defined(__linux__)
constexpr long kGetSupported = 0x1021, kRequestPermission = 0x1023;  // ARCH_GET_XCOMP_SUPP, ARCH_REQ_XCOMP_PERM
constexpr long kTileData = 18;                                       // XFEATURE_XTILE_DATA

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

constexpr bool bit(uint64_t bits, unsigned i) { return (bits >> i & 1) != 0; }

uint64_t registers_saved() {
  uint32_t low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

Cpuid cpuid() {
  constexpr unsigned kOsXsave = 27;  // of ecx of leaf 1: there is XGETBV
  Cpuid id;
  unsigned eax, ebx, ecx, edx;
  id.amd = __builtin_cpu_is("amd");
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx)) id.ecx1 = ecx;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) {
    id.ebx7 = ebx;
    id.ecx7 = ecx;
    id.edx7 = edx;
  }
  if (__get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx)) id.eax7_1 = eax;
  if (bit(id.ecx1, kOsXsave)) id.saved = registers_saved();
  id.grants_tiles = grants_tiles();
  return id;
}

}  // namespace

Cpu x86_cpu(const Cpuid& id) {
  constexpr uint64_t kYmm = 0x6, kZmm = 0xe6;  // with all that they are part of
  const bool ymm = (id.saved & kYmm) == kYmm, zmm = (id.saved & kZmm) == kZmm;
  const bool sse41 = bit(id.ecx1, 9) && bit(id.ecx1, 19);
  const bool f16c = ymm && bit(id.ecx1, 29), fma = ymm && bit(id.ecx1, 12), avx2 = ymm && bit(id.ebx7, 5),
             avxvnni = avx2 && bit(id.eax7_1, 4);
  const bool avx512f = zmm && bit(id.ebx7, 16), avx512dq = zmm && bit(id.ebx7, 17), avx512bw = zmm && bit(id.ebx7, 30),
             avx512vl = zmm && bit(id.ebx7, 31), avx512vnni = zmm && bit(id.ecx7, 11),
             avx512vbmi = zmm && bit(id.ecx7, 1);
  const bool amx = bit(id.edx7, 24) && bit(id.edx7, 25) && id.grants_tiles;

  const bool runs_avx2 = avx2 && f16c, runs_fma = runs_avx2 && fma;
  const bool runs_avx512 = runs_fma && avx512f && avx512bw && avx512vl && avx512dq;
  const bool runs_vnni = runs_avx512 && avx512vnni;
  // A hypervisor may promise what its host lacks, and such an instruction ends the program (self_check.h). VBMI is
  // believed where the CPU has what came with it in every CPU that has VNNI, too: VBMI2 and BITALG. Beyond such
  // contradictions nothing can be told without trying.
  const bool runs_vbmi = runs_vnni && avx512vbmi && bit(id.ecx7, 6) && bit(id.ecx7, 12);
  // avx512vbmi multiplies prompts by permuting 16-bit words. AMD's CPUs do that in one operation; Intel's take two,
  // which compete for one port, and are less than half as fast as with dot products (Sapphire Rapids).
  const InstructionSet vbmi = {&avx512vbmi_layer, runs_vbmi}, vnni = {&avx512vnni_layer, runs_vnni};
  return {.sets = {{&amx_layer, runs_vbmi && amx, request_tiles},
                   id.amd ? vbmi : vnni,
                   id.amd ? vnni : vbmi,
                   {&avx512_layer, runs_avx512},
                   {&avxvnni_layer, runs_fma && avxvnni},
                   {&fma_layer, runs_fma},
                   {&avx2_layer, runs_avx2},
                   {&sse41_layer, sse41},
                   {&sse2_layer, true}},
          .features = {{"sse2", true},
                       {"sse41", sse41},
                       {"avx2", avx2},
                       {"f16c", f16c},
                       {"fma", fma},
                       {"avxvnni", avxvnni},
                       {"avx512f", avx512f},
                       {"avx512bw", avx512bw},
                       {"avx512vl", avx512vl},
                       {"avx512dq", avx512dq},
                       {"avx512vnni", avx512vnni},
                       {"avx512vbmi", avx512vbmi},
                       {"amx", amx}}};
}

Cpu this_cpu() { return x86_cpu(cpuid()); }

}  // namespace bitnet
