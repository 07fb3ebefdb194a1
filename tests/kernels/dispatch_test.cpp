// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "tables.h"

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
#if defined(__x86_64__)
  const std::string fastest = __builtin_cpu_is("amd") ? "avx512vbmi, avx512vnni" : "avx512vnni, avx512vbmi";
  EXPECT_EQ(kernel_names(), "amx, " + fastest + ", avx512, avxvnni, avx2, sse41, sse2, scalar");
#else
  EXPECT_STREQ(kernel_names(), "i8mm, dotprod, neon, scalar");
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
    EXPECT_TRUE(k.rms_norm && k.quantize && k.ternary.i2.multiply && k.ternary.t5.multiply && k.head_f16 &&
                k.head_int8 && k.head_q5 && k.head_q6 && k.rope && k.attention_f16 && k.attention_int8 &&
                k.attention_int16 && k.quantize_kv_int8 && k.quantize_kv_int16 && k.attention_merge &&
                k.attention_finish && k.gate_relu2 && k.gate_silu && k.add && k.to_f16 && k.to_f32 && k.exp_sum)
        << k.name;
  }
}

// A CPU whose fastest table needs a request, as AMX does.
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

  static inline int requests;
  static inline bool granted;
  const Kernels tiles = named("tiles"), wide = named("wide"), plain = named("plain");
  const std::array<Choice, 3> cpu = {{{&tiles, true, request}, {&wide, true}, {&plain, true}}};
  const std::array<Choice, 3> older = {{{&tiles, false, request}, {&wide, false}, {&plain, true}}};

 private:
  static Kernels named(const char* name) { return with_ternary(scalar_kernels, name, scalar_kernels.ternary); }
};

TEST_F(Requests, AreMadeForATableThatWillBeUsed) {
  EXPECT_EQ(choose(cpu, ""), &tiles);
  EXPECT_EQ(requests, 1);
  EXPECT_EQ(choose(cpu, "tiles"), &tiles);
  EXPECT_EQ(requests, 2);
}

TEST_F(Requests, AreNotMadeWhereAnotherTableIsNamed) {
  EXPECT_EQ(choose(cpu, "wide"), &wide);
  EXPECT_EQ(choose(cpu, "plain"), &plain);
  EXPECT_EQ(choose(cpu, "none"), nullptr);
  EXPECT_EQ(requests, 0);
}

TEST_F(Requests, AreNotMadeOnACpuWithoutTheTable) {
  EXPECT_EQ(choose(older, ""), &plain);
  EXPECT_EQ(choose(older, "tiles"), nullptr);
  EXPECT_EQ(requests, 0);
}

TEST_F(Requests, ThatAreRefusedGiveTheNextTable) {
  granted = false;
  EXPECT_EQ(choose(cpu, ""), &wide);
  EXPECT_EQ(choose(cpu, "tiles"), nullptr);
}

TEST_F(Requests, AreNotNeededForFloats) {
  EXPECT_EQ(choose_unrequested(cpu), &wide);
  EXPECT_EQ(choose_unrequested(older), &plain);
  EXPECT_EQ(requests, 0);
}

TEST(Dispatch, NamesTheFeaturesOfTheCpu) {
  const std::string features = cpu_features();
#if defined(__x86_64__)
  EXPECT_EQ(features.substr(0, 4), "sse2");
#else
  EXPECT_EQ(features.substr(0, 4), "neon");
#endif
  EXPECT_EQ(find_kernels("avx2") != nullptr,
            features.find("avx2") != std::string::npos && features.find("f16c") != std::string::npos);
}

}  // namespace
}  // namespace bitnet
