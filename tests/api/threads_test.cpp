// SPDX-License-Identifier: MIT
// What the header says may be done by several threads at once. Run under the thread sanitizer as well.
#include <thread>

#include "test_model.h"

namespace bitnet_test {
namespace {

TEST(Threads, SessionsOfOneModelAndItsTextFunctionsAtOnce) {
  const Model model = open(model_path());
  const Tokens tokens = random_tokens(30);
  const Session alone = make_session(model, {.size = sizeof(bitnet_session_options), .context = 64}, {.threads = 1});
  eval(alone, tokens);
  const auto reference = logits(alone);
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < 4; i++) {
    threads.emplace_back([&, i] {
      const Session session =
          make_session(model, {.size = sizeof(bitnet_session_options), .context = 64}, {.threads = 1 + i % 3});
      for (int round = 0; round < 3; round++) {
        ASSERT_OK(bitnet_session_rewind(session.get(), 0));
        eval(session, tokens);
        EXPECT_TRUE(same_bits(logits(session), reference));
        size_t count = 0;
        bitnet_token out[64];
        EXPECT_OK(bitnet_tokenize(model.get(), "some text", 9, 0, out, 64, &count));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(Threads, HowManyGenerateChangesNothing) {
  const Model model = open(model_path());
  const Tokens tokens = random_tokens(40);
  std::vector<float> reference;
  for (const uint32_t generating : {1u, 2u, 0u, UINT32_MAX}) {
    const Session session = make_session(model, {.size = sizeof(bitnet_session_options), .context = 64},
                                         {.threads = 3, .generation_threads = generating});
    for (size_t i = 0; i < tokens.size(); i++) eval(session, std::span(tokens).subspan(i, 1));
    if (reference.empty()) reference = logits(session);
    EXPECT_TRUE(same_bits(logits(session), reference)) << generating;
  }
}

TEST(Threads, ForksOfOneSessionAtOnceTakeTurns) {
  const Model model = open(model_path());
  const Tokens tokens = random_tokens(30);
  const Session session = make_session(model, {.size = sizeof(bitnet_session_options), .context = 64}, {.threads = 2});
  eval(session, std::span(tokens).first(10));
  std::vector<Session> forks;
  for (int i = 0; i < 3; i++) {
    bitnet_session* fork = nullptr;
    ASSERT_OK(bitnet_session_fork(session.get(), &fork));
    forks.emplace_back(fork);
  }
  std::vector<std::thread> threads;
  for (const Session& fork : forks) {
    threads.emplace_back([&] {
      for (size_t i = 10; i < tokens.size(); i++) eval(fork, std::span(tokens).subspan(i, 1));
    });
  }
  for (std::thread& thread : threads) thread.join();
  eval(session, std::span(tokens).subspan(10));
  for (const Session& fork : forks) EXPECT_TRUE(same_bits(logits(fork), logits(session)));
}

TEST(Threads, EachThreadHasItsOwnError) {
  bitnet_model* model = nullptr;
  EXPECT_EQ(bitnet_open("/nonexistent/one", nullptr, &model), BITNET_ERROR_NOT_FOUND);
  std::thread([] {
    EXPECT_STREQ(bitnet_last_error(), "");
    bitnet_model* m = nullptr;
    EXPECT_EQ(bitnet_open("/nonexistent/two", nullptr, &m), BITNET_ERROR_NOT_FOUND);
    EXPECT_NE(std::string(bitnet_last_error()).find("two"), std::string::npos);
  }).join();
  EXPECT_NE(std::string(bitnet_last_error()).find("one"), std::string::npos);
}

}  // namespace
}  // namespace bitnet_test
