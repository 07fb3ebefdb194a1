// SPDX-License-Identifier: MIT
#include "engine/pass_costs.h"

#include <gtest/gtest.h>

namespace bitnet {
namespace {

using std::chrono::milliseconds;

TEST(PassCosts, TakesAFewRowsUntilSomethingIsKnown) {
  const PassCosts costs;
  EXPECT_EQ(costs.rows_within(milliseconds(100), 256), 16u);
  EXPECT_EQ(costs.rows_within(milliseconds(100), 4), 4u);
}

TEST(PassCosts, FindsWhatFits) {
  PassCosts costs;
  costs.record(1, milliseconds(20));
  costs.record(16, milliseconds(80));
  costs.record(256, milliseconds(1024));
  EXPECT_EQ(costs.rows_within(milliseconds(1), 256), 1u);     // never none
  EXPECT_EQ(costs.rows_within(milliseconds(100), 256), 20u);  // at 5 ms each
  EXPECT_EQ(costs.rows_within(milliseconds(600), 256), 120u);
  EXPECT_EQ(costs.rows_within(milliseconds(1024), 256), 256u);
  EXPECT_EQ(costs.rows_within(milliseconds(100000), 256), 256u);
}

TEST(PassCosts, FollowsTheLatest) {
  PassCosts costs;
  costs.record(16, milliseconds(80));
  for (int i = 0; i < 30; i++) costs.record(16, milliseconds(160));
  EXPECT_EQ(costs.rows_within(milliseconds(200), 31), 20u);
}

}  // namespace
}  // namespace bitnet
