// SPDX-License-Identifier: MIT
// The experiment of `bitnet verify --lossless` finds what is wrong: its verdict on right texts is tested with the
// program.
#include "verify/lossless.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "format/dummy.h"
#include "format/load.h"
#include "format/open.h"

using namespace bitnet;
using program::Difference;

namespace {

using Tokens = std::vector<bitnet_token>;

class Lossless : public testing::Test {
 protected:
  Lossless() {
    const auto path = std::filesystem::temp_directory_path() / ("bitnet-lossless-" + std::to_string(getpid()));
    write_dummy(path.string(), "tiny", {});
    model_ = load_model(open_container(path.string()));
    std::filesystem::remove(path);
  }

  // One prompt of a token, continued by tokens that the reference does not choose.
  program::LosslessReport judged(const Kernels& kernels) const {
    return program::judge(model_, kernels, KvType::int16, {{1}}, {{1, 2, 3, 4, 5}});
  }

  bitnet::Model model_;
};

TEST_F(Lossless, ATokenThatRoundingDoesNotExplainIsAFault) {
  const auto report = judged(*find_kernels(nullptr));
  EXPECT_EQ(report.products.differing, 0u);
  EXPECT_GT(report.products.values, 0u);
  EXPECT_EQ(report.products.matrices, 7u * model_.hyper.layers);
  ASSERT_EQ(report.differences.size(), 1u);
  const Difference& difference = report.differences.front();
  EXPECT_EQ(difference.cause, Difference::Cause::fault);
  EXPECT_EQ(difference.token, 0u);
  EXPECT_EQ(difference.ours, 2);
  EXPECT_GT(difference.margin, 8 * difference.noise);
  EXPECT_GT(difference.noise, 0);
  EXPECT_EQ(report.same(), 0u);
  EXPECT_FALSE(report.is_lossless());
}

TEST_F(Lossless, AProductThatIsOffByOneBitIsFound) {
  static void (*right)(const TernaryProduct&) = find_kernels("scalar")->ternary.i2.multiply;
  Kernels wrong = *find_kernels("scalar");
  wrong.ternary.i2.multiply = [](const TernaryProduct& p) {
    right(p);
    if (p.row_begin == 0) p.out[1] = std::nextafter(p.out[1], 1e30f);
  };
  const auto report = judged(wrong);
  EXPECT_EQ(report.products.differing, report.products.matrices);  // one value of each
  EXPECT_TRUE(report.products.first.starts_with("blk.0.attn_q, row 1, token 0: ")) << report.products.first;
  EXPECT_FALSE(report.is_lossless());
}

}  // namespace
