// SPDX-License-Identifier: MIT
// Normalization Form C: examples of UAX 15 and of the Unicode Standard.
#include "text/composition.h"

#include <gtest/gtest.h>

#include <string>

namespace bitnet {
namespace {

TEST(Composition, ComposesAsUnicodeSays) {
  EXPECT_EQ(compose("cafe\u0301 noir"), "caf\u00E9 noir");
  EXPECT_EQ(compose("s\u0323\u0307"), "\u1E69");
  EXPECT_EQ(compose("s\u0307\u0323"), "\u1E69") << "marks are put in order first";
  EXPECT_EQ(compose("\u1E9B\u0323"), "\u1E9B\u0323");
  EXPECT_EQ(compose("\u1100\u1161\u11A8"), "\uAC01") << "Hangul";
  EXPECT_EQ(compose("\uAC00\u11A8"), "\uAC01");
  EXPECT_EQ(compose("\u212B\u2126\uF900"), "\u00C5\u03A9\u8C48") << "characters that are others";
  EXPECT_EQ(compose("\u0958"), "\u0915\u093C") << "excluded from composition";
  EXPECT_EQ(compose("\u0DD9\u0DCF\u0DCA"), "\u0DDD");
  EXPECT_EQ(compose("q\u0307\u0323"), "q\u0323\u0307");
  EXPECT_EQ(compose("\uFB01"), "\uFB01") << "compatibility is another form";
  EXPECT_EQ(compose("\U0001D15E"), "\U0001D157\U0001D165");
  EXPECT_EQ(compose(""), "");
}

TEST(Composition, LeavesBytesThatAreNotUtf8) {
  EXPECT_EQ(compose("e\xFF\u0301"), "e\xFF\u0301");
  EXPECT_EQ(compose("e\u0301\xCC"), "\u00E9\xCC");
  EXPECT_EQ(compose("\xED\xA0\x80"), "\xED\xA0\x80");
}

TEST(Composition, TellsWhatIsSurelyComposed) {
  EXPECT_TRUE(is_surely_composed("plain \u00E9 \u02FF"));
  EXPECT_FALSE(is_surely_composed("\u0300"));
  EXPECT_FALSE(is_surely_composed("\u4F60"));
}

// As a text of marks in the wrong order: utf8proc alone would take minutes.
TEST(Composition, OrdersLongRunsOfMarksQuickly) {
  std::string text = "a";
  for (int i = 0; i < 200000; ++i) text += i % 2 == 0 ? "\u0301" : "\u0316";
  const std::string composed = compose(text);
  EXPECT_EQ(composed.size(), text.size() - 1);
  EXPECT_TRUE(composed.starts_with("\u00E1\u0316\u0316"));
}

}  // namespace
}  // namespace bitnet
