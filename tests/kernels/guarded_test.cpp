// SPDX-License-Identifier: MIT
// The buffers that the kernel checks stand on do catch what they are for.
#include "guarded.h"

#include <gtest/gtest.h>

namespace bitnet {
namespace {

class GuardedTest : public testing::TestWithParam<Edge> {
 protected:
  void SetUp() override { guarded_edge = GetParam(); }
  void TearDown() override { guarded_edge = Edge::end; }
};

INSTANTIATE_TEST_SUITE_P(Edges, GuardedTest, testing::Values(Edge::end, Edge::begin),
                         [](const auto& info) { return info.param == Edge::end ? "end" : "begin"; });

TEST_P(GuardedTest, TouchingTheByteBeyondTheGuardedEdgeEndsTheProgram) {
  Guarded<unsigned char> x(100);
  volatile unsigned char* beyond = GetParam() == Edge::end ? x.end() : x.begin() - 1;
  EXPECT_DEATH((void)*beyond, "");
  EXPECT_DEATH(*beyond = 1, "");
}

TEST_P(GuardedTest, WritingBeyondTheOtherEdgeIsSeen) {
  Guarded<unsigned char> x(100);
  EXPECT_TRUE(x.intact());
  std::fill(x.begin(), x.end(), static_cast<unsigned char>(7));
  EXPECT_TRUE(x.intact());
  (GetParam() == Edge::end ? x.begin()[-1] : x.end()[0]) = 7;
  EXPECT_FALSE(x.intact());
}

TEST_P(GuardedTest, WritingToWhatIsSealedEndsTheProgram) {
  Guarded<int> x(3);
  x.seal();
  EXPECT_DEATH(x[1] = 1, "");
  Guarded<int> copy = x.copy();
  copy[1] = 1;
  EXPECT_EQ(copy[0], x[0]);
}

}  // namespace
}  // namespace bitnet
