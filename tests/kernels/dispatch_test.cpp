// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "dispatch.h"
#if defined(BITNET_KERNELS_X86)
#include "x86/cpuid.h"
#endif

namespace bitnet {
namespace {

TEST(Dispatch, ListsTheFastestFirstAndScalarLast) {
  const KernelList list = available_kernels();
  ASSERT_GE(list.count, 2u);
  EXPECT_EQ(find_kernels(nullptr), list.tables[0]);
  EXPECT_EQ(find_kernels(""), list.tables[0]);
  EXPECT_STRNE(find_unrequested_kernels()->name, "amx");
  EXPECT_STREQ(list.tables[list.count - 1]->name, "scalar");
}

TEST(Dispatch, FindsEveryAvailableTableByName) {
  const KernelList list = available_kernels();
  for (size_t i = 0; i < list.count; ++i) {
    EXPECT_EQ(find_kernels(list.tables[i]->name), list.tables[i]);
    EXPECT_NE(std::string(kernel_names()).find(list.tables[i]->name), std::string::npos);
  }
}

TEST(Dispatch, NamesEveryTableOfTheBuild) {
#if defined(BITNET_KERNELS_X86)
  const std::string fastest = __builtin_cpu_is("amd") ? "avx512vbmi, avx512vnni" : "avx512vnni, avx512vbmi";
  EXPECT_EQ(kernel_names(), "amx, " + fastest + ", avx512, avxvnni, fma, avx2, sse41, sse2, scalar");
#elif defined(BITNET_KERNELS_ARM)
  EXPECT_STREQ(kernel_names(), "i8mm, dotprod, neon, scalar");
#else
  EXPECT_STREQ(kernel_names(), "portable, scalar");
#endif
}

TEST(Dispatch, KnowsNoOtherName) {
  for (const char* name : {"avx", "AVX2", "scalar ", "sse2,scalar", "?"})
    EXPECT_EQ(find_kernels(name), nullptr) << name;
}

TEST(Dispatch, TablesAreComplete) {
  const KernelList list = available_kernels();
  for (size_t i = 0; i < list.count; ++i) {
    const Kernels& k = *list.tables[i];
    EXPECT_TRUE(k.ternary.i2.multiply && k.ternary.t5.multiply && k.ternary.tile_tokens > 0) << k.name;
    EXPECT_EQ(k.ternary.tokens_at_a_time % k.ternary.tile_tokens, 0u) << k.name;
    std::apply([&](auto... function) { EXPECT_TRUE(((k.*function != nullptr) && ...)) << k.name; }, kFunctions);
  }
}

float no_sum(const float*, float, size_t, float*) { return 0; }
void no_product(const TernaryProduct&) {}

TEST(Layers, HaveWhatIsBelowThemWhereTheyHaveNothing) {
  KernelLayer lower = {.kernels = {}, .below = &scalar_layer}, upper = {.kernels = {}, .below = &lower};
  lower.kernels.name = "lower";
  lower.kernels.exp_sum = no_sum;
  upper.kernels.name = "upper";
  upper.kernels.ternary = {.i2 = {7, no_product}, .t5 = {8, no_product}, .tile_tokens = 2, .tokens_at_a_time = 4};
  const Kernels table = table_of(upper);
  EXPECT_STREQ(table.name, "upper");
  EXPECT_EQ(table.ternary.i2.prepared, 7u);
  EXPECT_EQ(table.ternary.t5.multiply, no_product);
  EXPECT_EQ(table.exp_sum, no_sum);
  EXPECT_EQ(table.rms_norm, scalar_layer.kernels.rms_norm);
  EXPECT_EQ(table_of(lower).ternary.t5.multiply, scalar_layer.kernels.ternary.t5.multiply);
}

// A CPU whose fastest set needs a request, as AMX does.
class Requests : public testing::Test {
 protected:
  static bool request() {
    requests++;
    return granted;
  }
  void SetUp() override {
    requests = 0;
    granted = true;
  }
  static KernelLayer named(const char* name) {
    KernelLayer layer = {.kernels = {}, .below = &scalar_layer};
    layer.kernels.name = name;
    return layer;
  }
  static std::string name_of(const Kernels* table) { return table != nullptr ? table->name : "none"; }

  static inline int requests;
  static inline bool granted;
  const KernelLayer tiles = named("tiles"), wide = named("wide"), plain = named("plain");
  const Cpu sets = {.sets = {{&tiles, true, request}, {&wide, true}, {&plain, true}}, .features = {}};
  const Dispatch cpu{sets};
  const Dispatch older{{.sets = {{&tiles, false, request}, {&wide, false}, {&plain, true}}, .features = {}}};
};

TEST_F(Requests, AreMadeForASetThatWillBeUsed) {
  EXPECT_EQ(name_of(cpu.find("")), "tiles");
  EXPECT_EQ(requests, 1);
  EXPECT_EQ(name_of(cpu.find("tiles")), "tiles");
  EXPECT_EQ(requests, 2);
}

TEST_F(Requests, AreNotMadeWhereAnotherSetIsNamed) {
  EXPECT_EQ(name_of(cpu.find("wide")), "wide");
  EXPECT_EQ(name_of(cpu.find("plain")), "plain");
  EXPECT_EQ(name_of(cpu.find("scalar")), "scalar");
  EXPECT_EQ(cpu.find("none"), nullptr);
  EXPECT_EQ(requests, 0);
}

TEST_F(Requests, AreNotMadeOnACpuWithoutTheSet) {
  EXPECT_EQ(name_of(older.find("")), "plain");
  EXPECT_EQ(older.find("tiles"), nullptr);
  EXPECT_EQ(requests, 0);
}

TEST_F(Requests, ThatAreRefusedGiveTheNextSet) {
  granted = false;
  EXPECT_EQ(name_of(cpu.find("")), "wide");
  EXPECT_EQ(cpu.find("tiles"), nullptr);
}

TEST_F(Requests, AreNotNeededForFloats) {
  EXPECT_EQ(name_of(cpu.find_unrequested()), "wide");
  EXPECT_EQ(name_of(older.find_unrequested()), "plain");
  EXPECT_EQ(requests, 0);
}

// A check that `wide` fails, in a way that a program survives.
class Checks : public Requests {
 protected:
  void SetUp() override {
    Requests::SetUp();
    checks = 0;
  }
  static bool check(const Kernels& table) {
    ++checks;
    return table.name != std::string("wide");
  }
  static inline std::atomic<int> checks;
  const Dispatch faulty{sets, check};
};

TEST_F(Checks, AreMadeOfASetThatIsChosenAndOnlyOnce) {
  EXPECT_EQ(checks, 0);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] { EXPECT_EQ(name_of(faulty.find("plain")), "plain"); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(checks, 1);
}

TEST_F(Checks, ThatFailGiveTheNextSet) {
  granted = false;
  EXPECT_FALSE(faulty.is_distrusted("wide")) << "nobody has asked for it";
  EXPECT_EQ(name_of(faulty.find("")), "plain");
  EXPECT_EQ(name_of(faulty.find_unrequested()), "plain");
  EXPECT_EQ(faulty.find("wide"), nullptr);
  EXPECT_EQ(checks, 2);
  EXPECT_TRUE(faulty.is_distrusted("wide"));
  EXPECT_FALSE(faulty.is_distrusted("plain"));
  EXPECT_FALSE(faulty.is_distrusted("tiles")) << "it was refused, not tried";
}

TEST_F(Requests, AreNotMadeToListSets) {
  EXPECT_EQ(cpu.names(), "tiles, wide, plain, scalar");
  EXPECT_EQ(cpu.available().count, 4u);
  EXPECT_EQ(older.names(), cpu.names());
  EXPECT_EQ(older.available().count, 2u);
  EXPECT_EQ(requests, 0);
}

TEST(Dispatch, NamesTheFeaturesOfTheCpu) {
  const std::string features = cpu_features();
#if defined(BITNET_KERNELS_X86)
  EXPECT_EQ(features.substr(0, 4), "sse2");
#elif defined(BITNET_KERNELS_ARM)
  EXPECT_EQ(features.substr(0, 4), "neon");
#else
  EXPECT_EQ(features, "");
#endif
  EXPECT_EQ(find_kernels("avx2") != nullptr,
            features.find("avx2") != std::string::npos && features.find("f16c") != std::string::npos);
}

}  // namespace
}  // namespace bitnet
