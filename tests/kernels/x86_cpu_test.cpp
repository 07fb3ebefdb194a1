// SPDX-License-Identifier: MIT
// Which instruction sets are found on CPUs that say so and so.
#include <gtest/gtest.h>

#include <string>

#include "x86/cpuid.h"

namespace bitnet {
namespace {

constexpr uint32_t bits(std::initializer_list<int> places) {
  uint32_t all = 0;
  for (int place : places) all |= uint32_t{1} << place;
  return all;
}

// AMD, with AVX-512 to VBMI.
Cpuid zen4() {
  return {.amd = true,
          .ecx1 = bits({9, 12, 19, 28, 29}),  // SSSE3, FMA, SSE4.1, AVX, F16C
          .ebx7 = bits({5, 16, 17, 30, 31}),  // AVX2; AVX-512 F, DQ, BW, VL
          .ecx7 = bits({1, 6, 11, 12}),       // VBMI, VBMI2, VNNI, BITALG
          .edx7 = 0,
          .eax7_1 = 0,
          .saved = 0xe7,
          .grants_tiles = false};
}
// Intel, with AVX-VNNI and AMX as well.
Cpuid sapphire_rapids() {
  Cpuid id = zen4();
  id.amd = false;
  id.edx7 = bits({24, 25});
  id.eax7_1 = bits({4});
  id.saved = 0x602e7;
  id.grants_tiles = true;
  return id;
}

std::string sets_of(const Cpuid& id) {
  std::string names;
  for (const InstructionSet& set : x86_cpu(id).sets) {
    if (set.runs) names += (names.empty() ? "" : " ") + std::string(set.layer->kernels.name);
  }
  return names;
}

TEST(X86Cpu, HasWhatItSays) {
  EXPECT_EQ(sets_of(zen4()), "avx512vbmi avx512vnni avx512 fma avx2 sse41 sse2");
  EXPECT_EQ(sets_of(sapphire_rapids()), "amx avx512vnni avx512vbmi avx512 avxvnni fma avx2 sse41 sse2");
  EXPECT_EQ(sets_of({}), "sse2");
}

TEST(X86Cpu, NeedsAllOfASet) {
  Cpuid id = zen4();
  id.ebx7 &= ~bits({31});  // VL
  EXPECT_EQ(sets_of(id), "fma avx2 sse41 sse2");
  id = zen4();
  id.ecx1 &= ~bits({29});  // F16C
  EXPECT_EQ(sets_of(id), "sse41 sse2");
  id = zen4();
  id.ecx1 &= ~bits({12});  // FMA
  EXPECT_EQ(sets_of(id), "avx2 sse41 sse2");
  id = zen4();
  id.ecx1 &= ~bits({9});  // SSSE3
  EXPECT_EQ(sets_of(id), "avx512vbmi avx512vnni avx512 fma avx2 sse2");
}

TEST(X86Cpu, UsesNoRegistersThatTheSystemDoesNotSave) {
  Cpuid id = sapphire_rapids();
  id.saved = 0x7;
  EXPECT_EQ(sets_of(id), "avxvnni fma avx2 sse41 sse2");
  id.saved = 0x3;
  EXPECT_EQ(sets_of(id), "sse41 sse2");
  id = sapphire_rapids();
  id.grants_tiles = false;
  EXPECT_EQ(sets_of(id), "avx512vnni avx512vbmi avx512 avxvnni fma avx2 sse41 sse2");
}

// As a hypervisor may compose it.
TEST(X86Cpu, DoesNotBelieveVbmiWithoutWhatComesWithIt) {
  for (const int missing : {6, 12}) {
    Cpuid id = zen4();
    id.ecx7 &= ~bits({missing});
    EXPECT_EQ(sets_of(id), "avx512vnni avx512 fma avx2 sse41 sse2") << missing;
  }
}

}  // namespace
}  // namespace bitnet
