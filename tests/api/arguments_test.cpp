// SPDX-License-Identifier: MIT
// Wrong arguments are errors with a message that says which, and options structs may be older or newer than the
// library.
#include <cstring>
#include <functional>

#include "test_model.h"

namespace bitnet_test {
namespace {

class Arguments : public testing::Test {
 protected:
  Model model = open(model_path());
  Session session = make_session(model, {.size = sizeof(bitnet_session_options), .context = 64});

  void expect_refused(bitnet_status status, const char* word) {
    EXPECT_EQ(status, BITNET_ERROR_ARGUMENT);
    EXPECT_NE(std::string(bitnet_last_error()).find(word), std::string::npos)
        << '"' << bitnet_last_error() << "\" should name " << word;
  }
};

TEST_F(Arguments, NullWhereItIsNotAllowedIsRefusedByName) {
  bitnet_model* m = nullptr;
  bitnet_session* s = nullptr;
  bitnet_generation* g = nullptr;
  bitnet_decoder* d = nullptr;
  bitnet_sampler* sampler = nullptr;
  bitnet_token token = 1;
  size_t n = 0;
  uint64_t bytes = 0;
  const char* text = nullptr;
  const float* logits = nullptr;
  const bitnet_token* tokens = nullptr;
  bitnet_piece piece = {.size = sizeof piece};
  expect_refused(bitnet_open(nullptr, nullptr, &m), "path");
  expect_refused(bitnet_open("x", nullptr, nullptr), "model");
  expect_refused(bitnet_open_memory(nullptr, 5, nullptr, &m), "data");
  expect_refused(bitnet_open_memory("x", 1, nullptr, nullptr), "model");
  expect_refused(bitnet_model_get_info(nullptr, nullptr), "model");
  expect_refused(bitnet_model_get_info(model.get(), nullptr), "info");
  expect_refused(bitnet_model_metadata(nullptr, 0, &text, &text), "model");
  expect_refused(bitnet_model_metadata(model.get(), 0, nullptr, &text), "key");
  expect_refused(bitnet_tokenize(nullptr, "x", 1, 0, &token, 1, &n), "model");
  expect_refused(bitnet_tokenize(model.get(), nullptr, 1, 0, &token, 1, &n), "text");
  expect_refused(bitnet_tokenize(model.get(), "x", 1, 0, &token, 1, nullptr), "count");
  expect_refused(bitnet_tokenize(model.get(), "x", 1, 0, nullptr, 1, &n), "buffer");
  expect_refused(bitnet_detokenize(model.get(), nullptr, 1, 0, nullptr, 0, &n), "tokens");
  expect_refused(bitnet_decoder_create(nullptr, 0, &d), "model");
  expect_refused(bitnet_decoder_create(model.get(), 0, nullptr), "decoder");
  expect_refused(bitnet_decoder_push(nullptr, 0, &text, &n), "decoder");
  expect_refused(bitnet_decoder_finish(nullptr, &text, &n), "decoder");
  expect_refused(bitnet_chat_format(nullptr, nullptr, 0, 1, nullptr, 0, &n), "model");
  expect_refused(bitnet_chat_format(model.get(), nullptr, 1, 1, nullptr, 0, &n), "messages");
  expect_refused(bitnet_session_memory(nullptr, nullptr, &bytes), "model");
  expect_refused(bitnet_session_memory(model.get(), nullptr, nullptr), "bytes");
  expect_refused(bitnet_session_create(nullptr, nullptr, &s), "model");
  expect_refused(bitnet_session_create(model.get(), nullptr, nullptr), "session");
  expect_refused(bitnet_session_fork(nullptr, &s), "session");
  expect_refused(bitnet_session_fork(session.get(), nullptr), "fork");
  expect_refused(bitnet_session_tokens(nullptr, &tokens, &n), "session");
  expect_refused(bitnet_session_rewind(nullptr, 0), "session");
  expect_refused(bitnet_session_save(nullptr, "x"), "session");
  expect_refused(bitnet_session_save(session.get(), nullptr), "path");
  expect_refused(bitnet_session_load(nullptr, "x"), "session");
  expect_refused(bitnet_session_load(session.get(), nullptr), "path");
  expect_refused(bitnet_session_save_memory(nullptr, nullptr, 0, &n), "session");
  expect_refused(bitnet_session_load_memory(nullptr, "x", 1), "session");
  expect_refused(bitnet_session_get_perf(nullptr, nullptr), "session");
  expect_refused(bitnet_session_get_perf(session.get(), nullptr), "perf");
  expect_refused(bitnet_eval(nullptr, &token, 1, BITNET_LOGITS_LAST), "session");
  expect_refused(bitnet_eval_batch(nullptr, 1), "items");
  expect_refused(bitnet_session_logits(nullptr, 0, &logits), "session");
  expect_refused(bitnet_session_logits(session.get(), 0, nullptr), "logits");
  expect_refused(bitnet_sampler_create(nullptr, nullptr), "sampler");
  expect_refused(bitnet_sample(nullptr, session.get(), &token), "sampler");
  ASSERT_OK(bitnet_sampler_create(nullptr, &sampler));
  const Sampler owned(sampler);
  expect_refused(bitnet_sample(sampler, nullptr, &token), "session");
  expect_refused(bitnet_sample(sampler, session.get(), &token), "logits");
  expect_refused(bitnet_sample_logits(sampler, nullptr, 3, nullptr, 0, &token), "logits");
  expect_refused(bitnet_generation_start(nullptr, "x", 1, nullptr, &g), "session");
  expect_refused(bitnet_generation_start(session.get(), nullptr, 1, nullptr, &g), "prompt");
  expect_refused(bitnet_generation_start(session.get(), "x", 1, nullptr, nullptr), "generation");
  expect_refused(bitnet_generation_next(nullptr, &piece), "generation");
  expect_refused(bitnet_generate(nullptr, "x", 1, nullptr, nullptr, nullptr), "session");
  expect_refused(bitnet_convert(nullptr, "x", nullptr), "input");
  expect_refused(bitnet_convert("x", nullptr, nullptr), "output");
  expect_refused(bitnet_verify(nullptr, nullptr, nullptr), "path");
  expect_refused(bitnet_verify_against(nullptr, "x", nullptr, nullptr), "path");
  expect_refused(bitnet_verify_against("x", nullptr, nullptr, nullptr), "original");
}

TEST_F(Arguments, FreesAcceptNull) {
  bitnet_close(nullptr);
  bitnet_session_free(nullptr);
  bitnet_sampler_free(nullptr);
  bitnet_decoder_free(nullptr);
  bitnet_generation_free(nullptr);
  bitnet_generation_cancel(nullptr);
  bitnet_session_reset_perf(nullptr);
  bitnet_sampler_reseed(nullptr, 1);
  EXPECT_EQ(bitnet_session_position(nullptr), 0u);
  EXPECT_EQ(bitnet_session_context(nullptr), 0u);
  EXPECT_EQ(bitnet_token_is_control(nullptr, 1), 0);
  EXPECT_EQ(bitnet_token_is_end(nullptr, 1), 0);
}

TEST_F(Arguments, OptionsWithoutSizeAreRefused) {
  const bitnet_session_options options = {};
  bitnet_session* s = nullptr;
  expect_refused(bitnet_session_create(model.get(), &options, &s), "size");
  const bitnet_session_options huge = {.size = 1 << 20};
  expect_refused(bitnet_session_create(model.get(), &huge, &s), "size");
  bitnet_perf perf = {};
  expect_refused(bitnet_session_get_perf(session.get(), &perf), "size");
}

TEST_F(Arguments, OlderAndNewerOptionsWork) {
  struct Newer {
    bitnet_session_options known;
    uint64_t added;
  } newer = {{.size = sizeof newer, .context = 32}, 0};
  bitnet_session* raw = nullptr;
  ASSERT_OK(bitnet_session_create(model.get(), &newer.known, &raw));
  EXPECT_EQ(bitnet_session_context(raw), 32u);
  bitnet_session_free(raw);
  newer.added = 1;
  raw = nullptr;
  EXPECT_EQ(bitnet_session_create(model.get(), &newer.known, &raw), BITNET_ERROR_UNSUPPORTED)
      << "a member of a later version that asks for something cannot be ignored";
  EXPECT_EQ(raw, nullptr);

  // An older program's struct ends after `context`; what lies behind it is not looked at.
  bitnet_session_options older = {
      .size = offsetof(bitnet_session_options, kv), .context = 16, .kv = static_cast<bitnet_kv>(99)};
  ASSERT_OK(bitnet_session_create(model.get(), &older, &raw));
  EXPECT_EQ(bitnet_session_context(raw), 16u);
  bitnet_session_free(raw);
}

TEST_F(Arguments, InfoFillsNoMoreThanTheCallerHas) {
  bitnet_model_info info;
  std::memset(&info, 0x5a, sizeof info);
  info.size = offsetof(bitnet_model_info, architecture);
  ASSERT_OK(bitnet_model_get_info(model.get(), &info));
  EXPECT_NE(info.name, nullptr);
  uint32_t untouched;
  std::memset(&untouched, 0x5a, sizeof untouched);
  EXPECT_EQ(info.vocabulary, untouched);
  EXPECT_EQ(info.size, offsetof(bitnet_model_info, architecture));
}

TEST_F(Arguments, InfoIsThatOfTheModel) {
  bitnet_model_info info = {.size = sizeof info};
  ASSERT_OK(bitnet_model_get_info(model.get(), &info));
  EXPECT_EQ(info.vocabulary, kVocabulary);
  EXPECT_STREQ(info.packing, "i2");
  EXPECT_STREQ(info.head, "f16");
  EXPECT_EQ(info.heads * info.head_dim, info.hidden);
  const uint64_t attention = info.hidden * info.hidden * 2ull + info.hidden * info.kv_heads * info.head_dim * 2ull;
  EXPECT_EQ(info.ternary_parameters, info.layers * (attention + 3ull * info.hidden * info.ffn));
  EXPECT_GT(info.parameters, info.ternary_parameters + info.vocabulary * info.hidden);
  EXPECT_GT(info.file_bytes, 0u);
  EXPECT_STREQ(info.isa, bitnet_isa_name(0));
}

TEST_F(Arguments, BuffersThatAreTooSmallTellTheSize) {
  bitnet_token tokens[2];
  size_t count = 0;
  EXPECT_EQ(bitnet_tokenize(model.get(), "Hello world", 11, 0, tokens, 2, &count), BITNET_ERROR_BUFFER);
  ASSERT_GT(count, 2u);
  Tokens all(count);
  ASSERT_OK(bitnet_tokenize(model.get(), "Hello world", 11, 0, all.data(), all.size(), &count));
  char text[12] = {};
  size_t length = 0;
  EXPECT_EQ(bitnet_detokenize(model.get(), all.data(), count, 0, text, 3, &length), BITNET_ERROR_BUFFER);
  EXPECT_EQ(length, 11u);
  ASSERT_OK(bitnet_detokenize(model.get(), all.data(), count, 0, text, sizeof text, &length));
  EXPECT_STREQ(text, "Hello world");
}

TEST_F(Arguments, TokensOutOfRangeAreRefused) {
  size_t length = 0;
  for (const bitnet_token bad : {-1, static_cast<int>(kVocabulary), INT32_MAX}) {
    expect_refused(bitnet_detokenize(model.get(), &bad, 1, 0, nullptr, 0, &length), "out of range");
    EXPECT_EQ(bitnet_token_is_control(model.get(), bad), 0);
  }
}

TEST_F(Arguments, AFileWithoutANameIsStillNamed) {
  bitnet_model* m = nullptr;
  EXPECT_EQ(bitnet_open("", nullptr, &m), BITNET_ERROR_NOT_FOUND);
  EXPECT_EQ(std::string(bitnet_last_error()).rfind("\"\": cannot open", 0), 0u) << bitnet_last_error();
  alignas(64) const char text[64] = "no model";
  EXPECT_EQ(bitnet_open_memory(text, sizeof text, nullptr, &m), BITNET_ERROR_FORMAT);
  EXPECT_EQ(std::string(bitnet_last_error()).rfind("data: is neither", 0), 0u) << bitnet_last_error();
}

TEST_F(Arguments, AFolderIsNoModelAndTheAdviceSuitsTheCall) {
  bitnet_model* m = nullptr;
  EXPECT_EQ(bitnet_open("/", nullptr, &m), BITNET_ERROR_FORMAT);
  EXPECT_NE(std::string(bitnet_last_error()).find("config.json"), std::string::npos) << bitnet_last_error();
  EXPECT_EQ(bitnet_session_load(session.get(), "/"), BITNET_ERROR_IO);
  EXPECT_EQ(std::string(bitnet_last_error()).find(".gguf"), std::string::npos) << bitnet_last_error();
  EXPECT_NE(std::string(bitnet_last_error()).find("saved session"), std::string::npos) << bitnet_last_error();
}

TEST_F(Arguments, AnUnknownIsaIsRefusedByName) {
  bitnet_model* m = nullptr;
  const bitnet_open_options options = {.size = sizeof options, .isa = "avx9000"};
  EXPECT_EQ(bitnet_open(model_path().c_str(), &options, &m), BITNET_ERROR_UNSUPPORTED);
  const std::string message = bitnet_last_error();
  EXPECT_NE(message.find("avx9000"), std::string::npos) << message;
  EXPECT_NE(message.find("scalar"), std::string::npos) << "it tells what there is: " << message;
}

TEST_F(Arguments, AModelWithoutChatTemplateSaysSo) {
  const bitnet_message message = turn("user", "Hello");
  size_t length = 0;
  EXPECT_EQ(bitnet_chat_format(model.get(), &message, 1, 1, nullptr, 0, &length), BITNET_ERROR_UNSUPPORTED);
  for (const char* const word : {"chat template", "bitnet_open_options", "--chat-template"}) {
    EXPECT_NE(std::string(bitnet_last_error()).find(word), std::string::npos) << bitnet_last_error();
  }
}

TEST_F(Arguments, ProgressCanCancel) {
  bitnet_convert_options options = {.size = sizeof options, .packing = BITNET_PACKING_T5};
  options.progress = [](void*, uint64_t done, uint64_t total) {
    EXPECT_LE(done, total);
    return 1;
  };
  const std::string out = temporary_folder() + "/cancelled.bitnet";
  EXPECT_EQ(bitnet_convert(model_path().c_str(), out.c_str(), &options), BITNET_ERROR_CANCELLED);
  bitnet_model* m = nullptr;
  EXPECT_EQ(bitnet_open(out.c_str(), nullptr, &m), BITNET_ERROR_NOT_FOUND) << "nothing is left under the name";
}

TEST_F(Arguments, AnErrorIsOneLineWhateverItQuotes) {
  bitnet_model* m = nullptr;
  EXPECT_EQ(bitnet_open("missing\nfile\r\x1b[31m\x7f\xc2\x9b \u00fc", nullptr, &m), BITNET_ERROR_NOT_FOUND);
  EXPECT_NE(std::string(bitnet_last_error()).find("missing\\nfile\\x0d\\x1b[31m\\x7f\\x9b \u00fc"), std::string::npos)
      << bitnet_last_error();
}

TEST_F(Arguments, EveryStatusHasItsMessage) {
  for (int status = BITNET_ERROR_BUSY; status <= BITNET_END; status++) {
    EXPECT_STRNE(bitnet_status_message(static_cast<bitnet_status>(status)), "unknown status") << status;
  }
  EXPECT_STREQ(bitnet_status_message(static_cast<bitnet_status>(99)), "unknown status");
}

}  // namespace
}  // namespace bitnet_test
