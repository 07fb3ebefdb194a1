// SPDX-License-Identifier: MIT
#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

#include "test_model.h"

namespace bitnet_test {
namespace {

constexpr bitnet_sampler_options kSampling = {.size = sizeof kSampling, .seed = 7, .temperature = 0.8f, .top_k = 40};
constexpr bitnet_generate_options kOptions = {
    .size = sizeof kOptions, .max_tokens = 30, .flags = BITNET_GENERATE_IGNORE_END, .sampler = &kSampling};

struct Result {
  std::string text;
  Tokens tokens;
  bitnet_finish finish = BITNET_FINISH_NOT;
  bitnet_status status = BITNET_OK;
};

Generation start(const Session& session, const char* prompt, const bitnet_generate_options& options = kOptions) {
  bitnet_generation* generation = nullptr;
  EXPECT_OK(bitnet_generation_start(session.get(), prompt, BITNET_NUL_TERMINATED, &options, &generation));
  return Generation(generation);
}

Result pull(const Generation& generation) {
  Result result;
  bitnet_piece piece = {.size = sizeof piece};
  while ((result.status = bitnet_generation_next(generation.get(), &piece)) == BITNET_OK) {
    result.text.append(piece.text, piece.length);
    result.tokens.push_back(piece.token);
    EXPECT_EQ(piece.finish, BITNET_FINISH_NOT);
  }
  if (result.status == BITNET_END) {
    result.text.append(piece.text, piece.length);
    result.finish = piece.finish;
    EXPECT_EQ(piece.token, BITNET_NO_TOKEN);
  }
  return result;
}

class GenerationTest : public testing::Test {
 protected:
  Model model = open(model_path());

  Session session(uint32_t context = 128) {
    return make_session(model, {.size = sizeof(bitnet_session_options), .context = context}, {.threads = 2});
  }
  Tokens tokens_of(const Session& s) {
    const bitnet_token* tokens = nullptr;
    size_t count = 0;
    EXPECT_OK(bitnet_session_tokens(s.get(), &tokens, &count));
    return {tokens, tokens + count};
  }
  std::string detokenize(const Tokens& tokens) {
    std::string text(4096, '\0');
    size_t length = 0;
    EXPECT_OK(bitnet_detokenize(model.get(), tokens.data(), tokens.size(), 0, text.data(), text.size(), &length));
    text.resize(length);
    return text;
  }
};

TEST_F(GenerationTest, OfASessionThatIsEmptiedBeforeTheFirstPieceIsRefused) {
  const Session s = session();
  const bitnet_token token = 5;
  ASSERT_OK(bitnet_eval(s.get(), &token, 1, BITNET_LOGITS_LAST));
  const Generation generation = start(s, "", {.size = sizeof kOptions, .max_tokens = 3});
  ASSERT_OK(bitnet_session_rewind(s.get(), 0));
  EXPECT_EQ(pull(generation).status, BITNET_ERROR_ARGUMENT);
}

TEST_F(GenerationTest, PullAndCallbackGiveTheSameText) {
  const Session a = session(), b = session();
  const Result pulled = pull(start(a, "Hello"));
  EXPECT_EQ(pulled.finish, BITNET_FINISH_MAX_TOKENS);
  EXPECT_EQ(pulled.tokens.size(), 30u);
  std::string text;
  auto append = [](void* user, const char* piece, size_t length) {
    EXPECT_EQ(piece[length], '\0');
    static_cast<std::string*>(user)->append(piece, length);
    return 0;
  };
  ASSERT_OK(bitnet_generate(b.get(), "Hello", 5, &kOptions, append, &text));
  EXPECT_EQ(text, pulled.text);
  EXPECT_EQ(tokens_of(a), tokens_of(b));
}

TEST_F(GenerationTest, SessionHoldsPromptAndEveryTokenDrawn) {
  const Session s = session();
  const Result result = pull(start(s, "Hello"));
  const Tokens held = tokens_of(s);
  ASSERT_GE(held.size(), result.tokens.size());
  EXPECT_EQ(Tokens(held.end() - static_cast<ptrdiff_t>(result.tokens.size()), held.end()), result.tokens);
}

TEST_F(GenerationTest, GoingOnInPartsIsTheSameAsAtOnce) {
  bitnet_generate_options greedy = {.size = sizeof greedy, .max_tokens = 20, .flags = BITNET_GENERATE_IGNORE_END};
  const Session whole = session(), parts = session();
  const Result at_once = pull(start(whole, "Hello", greedy));
  greedy.max_tokens = 8;
  Result first = pull(start(parts, "Hello", greedy));
  greedy.max_tokens = 12;
  const Result second = pull(start(parts, "", greedy));
  first.tokens.insert(first.tokens.end(), second.tokens.begin(), second.tokens.end());
  EXPECT_EQ(first.tokens, at_once.tokens);
}

TEST_F(GenerationTest, AnEmptyPromptGoesOnFromALoadedSession) {
  const Session a = session(), b = session();
  pull(start(a, "Hello"));
  size_t length = 0;
  std::vector<char> state(1 << 20);
  ASSERT_OK(bitnet_session_save_memory(a.get(), state.data(), state.size(), &length));
  ASSERT_OK(bitnet_session_load_memory(b.get(), state.data(), length));
  EXPECT_EQ(pull(start(b, "")).tokens, pull(start(a, "")).tokens);
}

TEST_F(GenerationTest, StopStringsEndTheTextBeforeThem) {
  const Session a = session();
  const Result all = pull(start(a, "Hello"));
  // A stop string across several pieces: six bytes from the middle, if they begin and end characters.
  size_t at = all.text.size() / 2;
  while (at < all.text.size() && (all.text[at] & 0xc0) == 0x80) at++;
  size_t end = std::min(at + 6, all.text.size());
  while (end < all.text.size() && (all.text[end] & 0xc0) == 0x80) end++;
  const std::string stop = all.text.substr(at, end - at);
  ASSERT_FALSE(stop.empty());
  const char* stops[] = {"never in this text, surely", stop.c_str()};
  bitnet_generate_options options = kOptions;
  options.stop = stops;
  options.stop_count = 2;
  const Result result = pull(start(session(), "Hello", options));
  EXPECT_EQ(result.finish, BITNET_FINISH_STOP);
  EXPECT_EQ(result.text, all.text.substr(0, all.text.find(stop)));
}

TEST_F(GenerationTest, TextHeldBackForAStopStringIsGivenOutInTheEnd) {
  const Result all = pull(start(session(), "Hello"));
  const std::string stop = all.text.substr(all.text.size() - std::min<size_t>(4, all.text.size())) + "and more";
  const char* stops[] = {stop.c_str()};
  bitnet_generate_options options = kOptions;
  options.stop = stops;
  options.stop_count = 1;
  const Result result = pull(start(session(), "Hello", options));
  EXPECT_EQ(result.finish, BITNET_FINISH_MAX_TOKENS);
  EXPECT_EQ(result.text, all.text);
}

TEST_F(GenerationTest, AFullContextEndsIt) {
  bitnet_generate_options options = kOptions;
  options.max_tokens = 0;
  const Session s = session(20);
  const Result result = pull(start(s, "Hello", options));
  EXPECT_EQ(result.finish, BITNET_FINISH_CONTEXT);
  EXPECT_EQ(bitnet_session_position(s.get()), 20u);
  const Tokens held = tokens_of(s);
  EXPECT_EQ(held.back(), result.tokens[result.tokens.size() - 2]) << "all but the last token drawn";
}

TEST_F(GenerationTest, APromptThatDoesNotFitIsAnError) {
  const Session s = session(4);
  EXPECT_EQ(pull(start(s, "a prompt of more than four tokens")).status, BITNET_ERROR_CONTEXT);
  EXPECT_EQ(bitnet_session_position(s.get()), 0u);
}

TEST_F(GenerationTest, EndTokenEndsIt) {
  bitnet_model_info info = {.size = sizeof info};
  ASSERT_OK(bitnet_model_get_info(model.get(), &info));
  ASSERT_NE(info.eos, BITNET_NO_TOKEN);
  EXPECT_TRUE(bitnet_token_is_end(model.get(), info.eos));
  const bitnet_logit_bias bias = {info.eos, 1000};
  const bitnet_sampler_options sampling = {.size = sizeof sampling, .logit_bias = &bias, .logit_bias_count = 1};
  bitnet_generate_options options = {.size = sizeof options, .max_tokens = 5, .sampler = &sampling};
  const Result ended = pull(start(session(), "Hello", options));
  EXPECT_EQ(ended.finish, BITNET_FINISH_END_TOKEN);
  EXPECT_EQ(ended.tokens, Tokens{info.eos});
  EXPECT_EQ(ended.text, "");
  options.flags = BITNET_GENERATE_IGNORE_END;
  EXPECT_EQ(pull(start(session(), "Hello", options)).tokens.size(), 5u);
}

TEST_F(GenerationTest, ABiasOfATokenThatTheModelLacksIsRefusedBeforeThePromptIsEvaluated) {
  const bitnet_logit_bias bias = {1 << 20, 1};
  const bitnet_sampler_options sampling = {.size = sizeof sampling, .logit_bias = &bias, .logit_bias_count = 1};
  const bitnet_generate_options options = {.size = sizeof options, .max_tokens = 5, .sampler = &sampling};
  const Session s = session();
  EXPECT_EQ(bitnet_generate(s.get(), "Hello", BITNET_NUL_TERMINATED, &options, nullptr, nullptr),
            BITNET_ERROR_ARGUMENT);
  EXPECT_NE(std::string(bitnet_last_error()).find("logit_bias names token 1048576;"), std::string::npos)
      << bitnet_last_error();
  EXPECT_EQ(bitnet_session_position(s.get()), 0u);
}

TEST_F(GenerationTest, WholeKeepsTheCommonBeginning) {
  bitnet_generate_options options = kOptions;
  options.flags |= BITNET_GENERATE_WHOLE;
  options.max_tokens = 3;
  const Session s = session(), fresh = session();
  pull(start(s, "The first text", options));
  bitnet_session_reset_perf(s.get());
  const Result again = pull(start(s, "The first text and more", options));
  const Result reference = pull(start(fresh, "The first text and more", options));
  EXPECT_EQ(again.tokens, reference.tokens);
  EXPECT_EQ(tokens_of(s), tokens_of(fresh));
  bitnet_perf used = {.size = sizeof used}, all = {.size = sizeof all};
  ASSERT_OK(bitnet_session_get_perf(s.get(), &used));
  ASSERT_OK(bitnet_session_get_perf(fresh.get(), &all));
  EXPECT_LT(used.prompt_tokens, all.prompt_tokens);
}

TEST_F(GenerationTest, CancelFromAnotherThreadStopsIt) {
  bitnet_generate_options options = kOptions;
  options.max_tokens = 0;
  const Session s = session(512);
  const Generation generation = start(s, "Hello", options);
  std::atomic<int> pieces{0};
  std::thread other([&] {
    while (pieces < 3) std::this_thread::yield();
    bitnet_generation_cancel(generation.get());
  });
  bitnet_piece piece = {.size = sizeof piece};
  bitnet_status status;
  while ((status = bitnet_generation_next(generation.get(), &piece)) == BITNET_OK) pieces++;
  other.join();
  EXPECT_EQ(status, BITNET_ERROR_CANCELLED);
  EXPECT_EQ(bitnet_generation_next(generation.get(), &piece), BITNET_ERROR_CANCELLED) << "it stays cancelled";
  EXPECT_EQ(pull(start(s, " again", options)).finish, BITNET_FINISH_CONTEXT) << "the session can go on";
}

TEST_F(GenerationTest, CallbackCanStopIt) {
  int calls = 0;
  auto stop = [](void* user, const char*, size_t) { return static_cast<int>(++*static_cast<int*>(user) == 3); };
  const Session s = session();
  ASSERT_OK(bitnet_generate(s.get(), "Hello", 5, &kOptions, stop, &calls));
  EXPECT_EQ(calls, 3);
}

TEST_F(GenerationTest, OutlivesTheHandlesItWasMadeFrom) {
  Session s = session();
  const Generation generation = start(s, "Hello");
  s.reset();
  model.reset();
  EXPECT_EQ(pull(generation).tokens.size(), 30u);
}

TEST_F(GenerationTest, TextIsThatOfTheTokens) {
  const Result result = pull(start(session(), "Hello"));
  // Random tokens are not always UTF-8: then the stream has U+FFFD where the bytes are none.
  if (result.text.find("\xef\xbf\xbd") == std::string::npos) {
    EXPECT_EQ(result.text, detokenize(result.tokens));
  }
  bitnet_decoder* raw = nullptr;
  ASSERT_OK(bitnet_decoder_create(model.get(), 0, &raw));
  const Decoder decoder(raw);
  std::string text;
  const char* piece = nullptr;
  size_t length = 0;
  for (const bitnet_token token : result.tokens) {
    ASSERT_OK(bitnet_decoder_push(decoder.get(), token, &piece, &length));
    text.append(piece, length);
  }
  ASSERT_OK(bitnet_decoder_finish(decoder.get(), &piece, &length));
  text.append(piece, length);
  EXPECT_EQ(text, result.text);
}

TEST_F(GenerationTest, NothingToGoOnFromIsAnError) {
  const Session s = session();
  bitnet_generation* generation = nullptr;
  EXPECT_EQ(bitnet_generation_start_tokens(s.get(), nullptr, 0, nullptr, &generation), BITNET_ERROR_ARGUMENT);
  EXPECT_EQ(generation, nullptr);
  const bitnet_generate_options unknown = {.size = sizeof unknown, .flags = 1u << 20};
  EXPECT_EQ(bitnet_generation_start(s.get(), "x", 1, &unknown, &generation), BITNET_ERROR_ARGUMENT);
  const char* stops[] = {""};
  const bitnet_generate_options empty_stop = {.size = sizeof empty_stop, .stop = stops, .stop_count = 1};
  EXPECT_EQ(bitnet_generation_start(s.get(), "x", 1, &empty_stop, &generation), BITNET_ERROR_ARGUMENT);
}

}  // namespace
}  // namespace bitnet_test
