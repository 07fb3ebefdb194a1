// SPDX-License-Identifier: MIT
// The logits of a model that follows from its shape and seed are these bits, on every processor and in every build.
// They change when the forward pass, rounding or the model's making do: then say so in the change log.
#include <xxhash.h>

#include <string>

#include "test_model.h"

namespace bitnet_test {
namespace {

uint64_t digest(bitnet_packing packing, bitnet_head head, bitnet_kv kv) {
  const Model model = open(model_path(packing, head));
  const Session session = make_session(model, {.context = 64, .kv = kv}, {.threads = 2});
  const Tokens prompt = random_tokens(40);
  eval(session, prompt, BITNET_LOGITS_ALL);
  std::vector<float> all;
  const auto take = [&](size_t rows) {
    for (size_t row = 0; row < rows; row++) {
      const auto values = logits(session, row);
      all.insert(all.end(), values.begin(), values.end());
    }
  };
  take(prompt.size());
  for (const bitnet_token token : random_tokens(5, 2)) {
    eval(session, std::span(&token, 1));
    take(1);
  }
  return XXH3_64bits(all.data(), all.size() * sizeof(float));
}

TEST(Golden, LogitsAreTheseBits) {
  EXPECT_EQ(digest(BITNET_PACKING_I2, BITNET_HEAD_F16, BITNET_KV_DEFAULT), 6375847265703735810u);
  EXPECT_EQ(digest(BITNET_PACKING_T5, BITNET_HEAD_SCREENED, BITNET_KV_DEFAULT), 6375847265703735810u)
      << "as with I2 and F16";
  EXPECT_EQ(digest(BITNET_PACKING_I2, BITNET_HEAD_INT8, BITNET_KV_INT8), 17936167206955920595u);
  EXPECT_EQ(digest(BITNET_PACKING_T5, BITNET_HEAD_Q6, BITNET_KV_F16), 18312911646538516061u);
}

}  // namespace
}  // namespace bitnet_test
