// SPDX-License-Identifier: MIT
#include <fstream>
#include <string>

#include "format/sample_model.h"
#include "test_model.h"

namespace bitnet_test {
namespace {

// Whether a call failed for want of a library, and says which.
testing::AssertionResult lacks(bitnet_status status, const char* library) {
  const std::string message = bitnet_last_error();
  if (status != BITNET_ERROR_UNSUPPORTED) return testing::AssertionFailure() << "status " << status << ": " << message;
  if (message.find(library) == message.npos || message.find("BITNET_CORE") == message.npos) {
    return testing::AssertionFailure() << message;
  }
  return testing::AssertionSuccess();
}

struct Generated {
  Tokens tokens;
  std::string text;
};

Generated generate(const Session& session, const Tokens& prompt, const bitnet_generate_options& options) {
  bitnet_generation* started = nullptr;
  EXPECT_OK(bitnet_generation_start_tokens(session.get(), prompt.data(), prompt.size(), &options, &started));
  const Generation generation(started);
  Generated result;
  for (;;) {
    bitnet_piece piece = {.size = sizeof piece};
    const bitnet_status status = bitnet_generation_next(generation.get(), &piece);
    result.text.append(piece.text, piece.length);
    if (status != BITNET_OK) {
      EXPECT_EQ(status, BITNET_END) << bitnet_last_error();
      return result;
    }
    result.tokens.push_back(piece.token);
  }
}

TEST(Core, GeneratesFromTokens) {
  const Model model = open(model_path());
  const Session session = make_session(model, {.context = 64});
  const Generated all =
      generate(session, random_tokens(20), {.size = sizeof(bitnet_generate_options), .max_tokens = 8});
  EXPECT_EQ(all.tokens.size(), 8u);
  EXPECT_FALSE(all.text.empty()) << "tokens become text without PCRE2";
}

TEST(Core, VerifiesAndConverts) {
  for (const bitnet_head head : {BITNET_HEAD_INT8, BITNET_HEAD_Q6, BITNET_HEAD_SCREENED}) {
    const std::string path = model_path(BITNET_PACKING_T5, head);
    EXPECT_OK(bitnet_verify(path.c_str(), nullptr, nullptr));
  }
}

TEST(Core, SavesAndLoadsSessions) {
  const Model model = open(model_path());
  const Session session = make_session(model, {.context = 64}), other = make_session(model, {.context = 64});
  eval(session, random_tokens(30));
  const std::string path = temporary_folder() + "/session";
  ASSERT_OK(bitnet_session_save(session.get(), path.c_str()));
  ASSERT_OK(bitnet_session_load(other.get(), path.c_str()));
  const Tokens next = random_tokens(1, 2);
  eval(session, next);
  eval(other, next);
  EXPECT_TRUE(same_bits(logits(session), logits(other)));
}

TEST(Core, RefusesTextOfByteLevelBpe) {
  const Model model = open(model_path());
  const Session session = make_session(model, {.context = 64});
  size_t count = 0;
  EXPECT_TRUE(lacks(bitnet_tokenize(model.get(), "a", 1, 0, nullptr, 0, &count), "PCRE2"));
  EXPECT_TRUE(lacks(bitnet_generate(session.get(), "a", 1, nullptr, nullptr, nullptr), "PCRE2"));
  EXPECT_EQ(bitnet_tokenize(model.get(), "", 0, 0, nullptr, 0, &count), BITNET_OK) << "nothing is to be cut";
  EXPECT_EQ(bitnet_session_position(session.get()), 0u);
}

TEST(Core, RefusesToCompress) {
  const bitnet_convert_options options = {.size = sizeof options, .zstd_level = 1};
  const std::string out = temporary_folder() + "/compressed.bitnet";
  EXPECT_TRUE(lacks(bitnet_convert(model_path().c_str(), out.c_str(), &options), "Zstandard"));
  EXPECT_FALSE(std::ifstream(out).good());
}

// Its metadata is in a compressed frame.
TEST(Core, RefusesACompressedFile) {
  bitnet_model* model = nullptr;
  EXPECT_TRUE(lacks(bitnet_open(BITNET_SHIPPED_MODEL, nullptr, &model), "Zstandard"));
  EXPECT_EQ(model, nullptr);
}

TEST(Core, OpensGguf) {
  const std::string gguf = small_model().gguf().build();
  std::vector<std::byte> memory(gguf.size() + 64);
  auto* const data = reinterpret_cast<std::byte*>((reinterpret_cast<uintptr_t>(memory.data()) + 63) / 64 * 64);
  std::copy_n(reinterpret_cast<const std::byte*>(gguf.data()), gguf.size(), data);
  bitnet_model* opened = nullptr;
  ASSERT_OK(bitnet_open_memory(data, gguf.size(), nullptr, &opened));
  const Model model(opened);
  const Session session = make_session(model, {.context = 64});
  const Tokens tokens = {5, 6, 7};
  eval(session, tokens);
}

}  // namespace
}  // namespace bitnet_test
