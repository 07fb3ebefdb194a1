// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <string>

#include "kernels.h"

namespace bitnet {
namespace {

TEST(Dispatch, ListsTheFastestFirstAndScalarLast) {
  const KernelList list = available_kernels();
  ASSERT_GE(list.count, 2u);
  EXPECT_EQ(find_kernels(nullptr), list.tables[0]);
  EXPECT_EQ(find_kernels(""), list.tables[0]);
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
