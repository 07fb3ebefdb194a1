// SPDX-License-Identifier: MIT
#include "engine/rope.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace bitnet {
namespace {

// The definition, in the steps of Hugging Face's modelling code, with the C library's functions at higher precision.
void expect_angles(uint32_t head_dim, float theta, uint32_t position) {
  const Rope rope(head_dim, theta);
  std::vector<float> cosines(head_dim / 2), sines(head_dim / 2);
  rope.angles(position, cosines.data(), sines.data());
  for (uint32_t i = 0; i < head_dim / 2; i++) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(head_dim);
    const float power = static_cast<float>(std::pow(static_cast<long double>(theta), exponent));
    const float angle = static_cast<float>(position) * (1.0f / power);
    // Where the rounding of `power` is a near tie, it may go either way: one unit in its last place.
    const double slack = 6e-8 + std::abs(angle) * 1.2e-7 * (i != 0);
    ASSERT_NEAR(cosines[i], std::cos(static_cast<double>(angle)), slack) << "pair " << i << " position " << position;
    ASSERT_NEAR(sines[i], std::sin(static_cast<double>(angle)), slack) << "pair " << i << " position " << position;
  }
}

TEST(Rope, AnglesAreThoseOfTheDefinition) {
  for (const uint32_t position : {0u, 1u, 2u, 3u, 100u, 511u, 4095u, 131071u, (1u << 24) - 1}) {
    expect_angles(128, 500000.0f, position);
    expect_angles(64, 10000.0f, position);
    expect_angles(100, 10000.0f, position);
  }
}

TEST(Rope, FirstPairTurnsByOneRadianAPosition) {
  const Rope rope(64, 10000.0f);
  std::vector<float> cosines(32), sines(32);
  for (uint32_t position = 0; position < 20000; position++) {
    rope.angles(position, cosines.data(), sines.data());
    ASSERT_EQ(cosines[0], static_cast<float>(std::cos(static_cast<double>(position)))) << position;
    ASSERT_EQ(sines[0], static_cast<float>(std::sin(static_cast<double>(position)))) << position;
  }
}

}  // namespace
}  // namespace bitnet
