// SPDX-License-Identifier: MIT
// Conversations that a chat holds: its history, replies that are the same whatever the session holds, what is left out
// where there is no room, and what is saved.
#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "chat_model.h"

using namespace bitnet_test;

namespace {

using Strings = std::vector<std::string>;

constexpr uint32_t kContext = 2048;

// As Qwen3's: what was thought in earlier turns is left out. Older messages of the user are cut short besides.
const std::string kForgetful =
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' }}"
    "{% if m.role == 'assistant' and '!' in m.content and not loop.last %}{{ m.content.split('!')[-1] }}"
    "{% elif m.role == 'user' and loop.index < loop.length - 2 %}{{ m.content[:3] }}{% else %}{{ m.content }}{% endif "
    "%}"
    "{{ '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

// Refuses what many do: a role that it does not know, and two messages of the user in a row.
const std::string kStrict =
    "{% for m in messages %}{% if m.role not in ['system', 'user', 'assistant'] %}"
    "{{ raise_exception('unknown role ' + m.role) }}{% endif %}"
    "{% if m.role == 'user' and loop.previtem is defined and loop.previtem.role == 'user' %}"
    "{{ raise_exception('two in a row') }}{% endif %}{{ m.role + ':' + m.content + '\\n' }}{% endfor %}assistant:";

const std::string& model_file() {
  static const std::string path = chat_gguf("chat", "");
  return path;
}

Model open_with(const char* chat_template) {
  bitnet_open_options options = {.size = sizeof options, .chat_template = chat_template};
  bitnet_model* model = nullptr;
  EXPECT_OK(bitnet_open(model_file().c_str(), &options, &model));
  return Model(model);
}

Session session_of(const Model& model, uint32_t context = kContext) {
  return make_session(model, {.size = sizeof(bitnet_session_options), .context = context});
}

Chat make_chat(const Session& session, bitnet_chat_options options = {}) {
  options.size = sizeof options;
  bitnet_chat* chat = nullptr;
  EXPECT_OK(bitnet_chat_create(session.get(), &options, &chat));
  return Chat(chat);
}

void add(const Chat& chat, const char* role, const std::string& content) {
  const bitnet_message message = turn(role, content.c_str(), content.size());
  EXPECT_OK(bitnet_chat_add(chat.get(), &message));
}

std::string shown(const bitnet_message& message) {
  return std::string(message.role) + ":" + std::string(message.content, message.length);
}

Strings history(const Chat& chat) {
  Strings all;
  for (size_t i = 0; i < bitnet_chat_count(chat.get()); ++i) {
    bitnet_message message = {.size = sizeof message};
    EXPECT_OK(bitnet_chat_message(chat.get(), i, &message));
    all.push_back(shown(message));
  }
  return all;
}

bitnet_chat_prompt prompt_of(const Chat& chat) {
  bitnet_chat_prompt prompt = {.size = sizeof prompt};
  EXPECT_OK(bitnet_chat_get_prompt(chat.get(), &prompt));
  return prompt;
}

bitnet_generate_options tokens(uint32_t count, uint32_t flags = BITNET_GENERATE_IGNORE_END) {
  return {.size = sizeof(bitnet_generate_options), .max_tokens = count, .flags = flags};
}

Generation start(const Chat& chat, const bitnet_generate_options& options, bool again = false) {
  bitnet_generation* generation = nullptr;
  EXPECT_OK((again ? bitnet_chat_regenerate : bitnet_chat_reply)(chat.get(), &options, &generation));
  return Generation(generation);
}

// The whole text, and what it ended with.
std::string pull(const Generation& generation, bitnet_finish* finish = nullptr) {
  std::string text;
  bitnet_piece piece = {.size = sizeof piece};
  bitnet_status status = BITNET_OK;
  while (status == BITNET_OK) {
    status = bitnet_generation_next(generation.get(), &piece);
    if (status >= 0) text.append(piece.text, piece.length);
  }
  EXPECT_EQ(status, BITNET_END) << bitnet_last_error();
  if (finish != nullptr) *finish = piece.finish;
  return text;
}

// Pieces until there is some text.
std::string pull_some(const Generation& generation) {
  std::string text;
  bitnet_piece piece = {.size = sizeof piece};
  while (text.empty() && bitnet_generation_next(generation.get(), &piece) == BITNET_OK)
    text.append(piece.text, piece.length);
  EXPECT_FALSE(text.empty());
  return text;
}

uint64_t evaluated(const Session& session) {
  bitnet_perf perf = {.size = sizeof perf};
  EXPECT_OK(bitnet_session_get_perf(session.get(), &perf));
  bitnet_session_reset_perf(session.get());
  return perf.prompt_tokens;
}

std::vector<float> last_logits(const Session& session) {
  const float* data = nullptr;
  EXPECT_OK(bitnet_session_logits(session.get(), 0, &data));
  return data != nullptr ? std::vector<float>(data, data + 256 + kControls.size() + 1) : std::vector<float>();
}

bool said(const std::string& part) { return std::string(bitnet_last_error()).find(part) != std::string::npos; }

void expect_refused(bitnet_status status, bitnet_status wanted, const std::string& part) {
  EXPECT_EQ(status, wanted) << bitnet_last_error();
  EXPECT_TRUE(said(part)) << '"' << bitnet_last_error() << "\" should say " << part;
}

class ChatObject : public testing::Test {
 protected:
  const Model model = open_with("chatml");
  const Session session = session_of(model);
  const Chat chat = make_chat(session);
};

// ------------------------------------------------------------------ history

TEST_F(ChatObject, MessagesAreAddedInsertedAndRemoved) {
  EXPECT_EQ(bitnet_chat_count(chat.get()), 0u);
  add(chat, "user", "one");
  add(chat, "assistant", "two");
  add(chat, "user", std::string("a\0\xff", 3));
  const bitnet_message system = turn("system", "zero");
  EXPECT_OK(bitnet_chat_insert(chat.get(), 0, &system));
  EXPECT_OK(bitnet_chat_insert(chat.get(), 4, &system));
  EXPECT_EQ(history(chat),
            (Strings{"system:zero", "user:one", "assistant:two", std::string("user:a\0\xff", 8), "system:zero"}));
  EXPECT_OK(bitnet_chat_remove(chat.get(), 1, 2));
  EXPECT_EQ(history(chat), (Strings{"system:zero", std::string("user:a\0\xff", 8), "system:zero"}));
  EXPECT_OK(bitnet_chat_remove(chat.get(), 3, SIZE_MAX));
  EXPECT_OK(bitnet_chat_remove(chat.get(), 3, 0));
  EXPECT_OK(bitnet_chat_remove(chat.get(), 1, SIZE_MAX));
  EXPECT_EQ(history(chat), Strings{"system:zero"});
  EXPECT_EQ(bitnet_session_position(session.get()), 0u) << "nothing is evaluated by that";
}

TEST_F(ChatObject, AMessageStaysWhereItIsUntilItIsRemoved) {
  add(chat, "user", "one");
  bitnet_message message = {.size = sizeof message};
  ASSERT_OK(bitnet_chat_message(chat.get(), 0, &message));
  const bitnet_message first = turn("system", "first");
  for (int i = 0; i < 100; ++i) {
    add(chat, "assistant", "more");
    EXPECT_OK(bitnet_chat_insert(chat.get(), 0, &first));
  }
  bitnet_message same = {.size = sizeof same};
  ASSERT_OK(bitnet_chat_message(chat.get(), 100, &same));
  EXPECT_EQ(same.content, message.content);
  EXPECT_STREQ(message.content, "one");
  EXPECT_STREQ(message.role, "user");
}

TEST_F(ChatObject, WrongArgumentsAreRefusedAndChangeNothing) {
  add(chat, "user", "one");
  const bitnet_message good = turn("user", "x");
  bitnet_message message = {.size = sizeof message};
  expect_refused(bitnet_chat_insert(chat.get(), 2, &good), BITNET_ERROR_ARGUMENT,
                 "no place 2 in a history of 1 message");
  expect_refused(bitnet_chat_remove(chat.get(), 2, SIZE_MAX), BITNET_ERROR_ARGUMENT, "no place 2");
  expect_refused(bitnet_chat_remove(chat.get(), 0, 2), BITNET_ERROR_ARGUMENT, "cannot remove 2 messages");
  expect_refused(bitnet_chat_remove(chat.get(), 1, SIZE_MAX - 1), BITNET_ERROR_ARGUMENT, "there are 0");
  expect_refused(bitnet_chat_message(chat.get(), 1, &message), BITNET_ERROR_ARGUMENT, "no message 1");
  expect_refused(bitnet_chat_message(chat.get(), 0, nullptr), BITNET_ERROR_ARGUMENT, "bitnet_message is NULL");
  message.size = 0;
  expect_refused(bitnet_chat_message(chat.get(), 0, &message), BITNET_ERROR_ARGUMENT, "size");
  const bitnet_message no_role = turn(nullptr, "x"), no_content = turn("user", nullptr);
  expect_refused(bitnet_chat_add(chat.get(), &no_role), BITNET_ERROR_ARGUMENT, "no role");
  expect_refused(bitnet_chat_add(chat.get(), &no_content), BITNET_ERROR_ARGUMENT, "no content");
  const bitnet_message no_size = {.role = "user", .content = "x"};
  expect_refused(bitnet_chat_add(chat.get(), &no_size), BITNET_ERROR_ARGUMENT, "sizeof(bitnet_message)");
  expect_refused(bitnet_chat_add(chat.get(), nullptr), BITNET_ERROR_ARGUMENT, "message is NULL");
  EXPECT_EQ(history(chat), Strings{"user:one"});
}

TEST_F(ChatObject, NullChatsAreRefusedByName) {
  const bitnet_message message = turn("user", "x");
  bitnet_message out = {.size = sizeof out};
  bitnet_generation* generation = nullptr;
  bitnet_chat* made = nullptr;
  bitnet_chat_prompt prompt = {.size = sizeof prompt};
  size_t length = 0;
  bitnet_chat_free(nullptr);
  EXPECT_EQ(bitnet_chat_count(nullptr), 0u);
  for (const bitnet_status status :
       {bitnet_chat_add(nullptr, &message), bitnet_chat_insert(nullptr, 0, &message), bitnet_chat_remove(nullptr, 0, 0),
        bitnet_chat_message(nullptr, 0, &out), bitnet_chat_reply(nullptr, nullptr, &generation),
        bitnet_chat_regenerate(nullptr, nullptr, &generation), bitnet_chat_get_prompt(nullptr, &prompt),
        bitnet_chat_send(nullptr, "x", 1, nullptr, nullptr, nullptr), bitnet_chat_save(nullptr, "x"),
        bitnet_chat_load(nullptr, "x"), bitnet_chat_save_memory(nullptr, nullptr, 0, &length),
        bitnet_chat_load_memory(nullptr, "x", 1)}) {
    expect_refused(status, BITNET_ERROR_ARGUMENT, "chat is NULL");
  }
  expect_refused(bitnet_chat_create(nullptr, nullptr, &made), BITNET_ERROR_ARGUMENT, "session is NULL");
  expect_refused(bitnet_chat_create(session.get(), nullptr, nullptr), BITNET_ERROR_ARGUMENT, "chat is NULL");
  expect_refused(bitnet_chat_reply(chat.get(), nullptr, nullptr), BITNET_ERROR_ARGUMENT, "generation is NULL");
  expect_refused(bitnet_chat_get_prompt(chat.get(), nullptr), BITNET_ERROR_ARGUMENT, "bitnet_chat_prompt is NULL");
  expect_refused(bitnet_chat_send(chat.get(), nullptr, 1, nullptr, nullptr, nullptr), BITNET_ERROR_ARGUMENT, "text");
  expect_refused(bitnet_chat_save(chat.get(), nullptr), BITNET_ERROR_ARGUMENT, "path");
  expect_refused(bitnet_chat_load(chat.get(), nullptr), BITNET_ERROR_ARGUMENT, "path");
  expect_refused(bitnet_chat_save_memory(chat.get(), nullptr, 1, &length), BITNET_ERROR_ARGUMENT, "buffer is NULL");
  expect_refused(bitnet_chat_load_memory(chat.get(), nullptr, 1), BITNET_ERROR_ARGUMENT, "text is NULL");
  EXPECT_EQ(bitnet_chat_count(chat.get()), 0u);
}

TEST_F(ChatObject, OptionsThatMakeNoSenseAreRefused) {
  bitnet_chat* made = nullptr;
  const auto create = [&](bitnet_chat_options options) { return bitnet_chat_create(session.get(), &options, &made); };
  constexpr size_t size = sizeof(bitnet_chat_options);
  expect_refused(create({}), BITNET_ERROR_ARGUMENT, "size");
  expect_refused(create({.size = size, .flags = BITNET_CHAT_REPLY}), BITNET_ERROR_ARGUMENT, "flags");
  expect_refused(create({.size = size, .fit = static_cast<bitnet_chat_fit>(2)}), BITNET_ERROR_ARGUMENT, "way 2");
  expect_refused(create({.size = size, .reserve = kContext}), BITNET_ERROR_ARGUMENT, "leaves nothing");
  EXPECT_EQ(made, nullptr);
}

TEST_F(ChatObject, AModelWithoutTemplateSaysSoAtOnce) {
  const Model bare = open_with(nullptr);
  const Session other = session_of(bare);
  bitnet_chat* made = nullptr;
  expect_refused(bitnet_chat_create(other.get(), nullptr, &made), BITNET_ERROR_UNSUPPORTED, "no chat template");
  EXPECT_EQ(made, nullptr);
}

// ------------------------------------------------------------ message arrays

struct NewerMessage {
  bitnet_message known;
  const char* added;
};

TEST_F(ChatObject, MessagesOfALaterVersionAreReadIfTheyAskForNothingNew) {
  NewerMessage newer[] = {{{sizeof(NewerMessage), "user", "Hi", 0}, nullptr},
                          {{sizeof(NewerMessage), "assistant", "Yes", 0}, nullptr}};
  const bitnet_message mine[] = {turn("user", "Hi"), turn("assistant", "Yes")};
  const auto text = [&](const bitnet_message* messages) {
    std::string result(256, '\0');
    size_t length = 0;
    EXPECT_OK(bitnet_chat_format(model.get(), messages, 2, 0, result.data(), result.size(), &length));
    result.resize(length);
    return result;
  };
  EXPECT_EQ(text(&newer[0].known), text(mine));
  EXPECT_NE(text(mine).find("Yes"), std::string::npos);
  newer[1].added = "a tool";
  size_t length = 0;
  EXPECT_EQ(bitnet_chat_format(model.get(), &newer[0].known, 2, 0, nullptr, 0, &length), BITNET_ERROR_UNSUPPORTED);
  EXPECT_EQ(bitnet_chat_add(chat.get(), &newer[1].known), BITNET_ERROR_UNSUPPORTED);
}

TEST_F(ChatObject, MessagesOfAnArrayHaveOneSize) {
  bitnet_message messages[] = {turn("user", "Hi"), turn("assistant", "Yes")};
  size_t length = 0;
  messages[1].size = sizeof(NewerMessage);
  expect_refused(bitnet_chat_format(model.get(), messages, 2, 0, nullptr, 0, &length), BITNET_ERROR_ARGUMENT,
                 "all of an array have one size");
  messages[0].size = 0;
  expect_refused(bitnet_chat_format(model.get(), messages, 1, 0, nullptr, 0, &length), BITNET_ERROR_ARGUMENT,
                 "sizeof(bitnet_message)");
  messages[0].size = sizeof(bitnet_message) + 1;
  expect_refused(bitnet_chat_format(model.get(), messages, 2, 0, nullptr, 0, &length), BITNET_ERROR_ARGUMENT,
                 "sizeof(bitnet_message)");
}

// ------------------------------------------------------------------- replies

TEST_F(ChatObject, AReplyIsGeneratedFromTheTemplatesTokensAndKept) {
  add(chat, "system", "Be brief.");
  add(chat, "user", "Hi");
  const bitnet_generate_options options = tokens(12);
  bitnet_finish finish;
  const std::string reply = pull(start(chat, options), &finish);
  EXPECT_EQ(finish, BITNET_FINISH_MAX_TOKENS);
  EXPECT_GT(reply.size(), 5u);
  EXPECT_EQ(history(chat), (Strings{"system:Be brief.", "user:Hi", "assistant:" + reply}));

  const bitnet_message messages[] = {turn("system", "Be brief."), turn("user", "Hi")};
  Tokens prompt(256);
  size_t count = 0;
  ASSERT_OK(bitnet_chat_tokenize(model.get(), messages, 2, BITNET_CHAT_REPLY, prompt.data(), prompt.size(), &count));
  EXPECT_EQ(prompt_of(chat).tokens, count);
  EXPECT_EQ(prompt_of(chat).tokens_needed, count + 12);
  EXPECT_EQ(prompt_of(chat).left_out, 0u);
  const Session other = session_of(model);
  bitnet_generation* generation = nullptr;
  ASSERT_OK(bitnet_generation_start_tokens(other.get(), prompt.data(), count, &options, &generation));
  EXPECT_EQ(pull(Generation(generation)), reply);
}

TEST_F(ChatObject, TheMessageIsThereWhenTheGenerationHasEnded) {
  add(chat, "user", "Hi");
  const bitnet_generate_options options = tokens(3);
  const Generation generation = start(chat, options);
  EXPECT_EQ(bitnet_session_position(session.get()), 0u) << "nothing is evaluated before";
  bitnet_piece piece = {.size = sizeof piece};
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(bitnet_generation_next(generation.get(), &piece), BITNET_OK);
    EXPECT_EQ(bitnet_chat_count(chat.get()), 1u);
  }
  EXPECT_EQ(bitnet_generation_next(generation.get(), &piece), BITNET_END);
  EXPECT_EQ(bitnet_chat_count(chat.get()), 2u);
  EXPECT_EQ(bitnet_generation_next(generation.get(), &piece), BITNET_END);
  EXPECT_EQ(bitnet_chat_count(chat.get()), 2u);
}

TEST_F(ChatObject, AReplyThatSaysNothingIsAMessage) {
  add(chat, "user", "Hi");
  const bitnet_logit_bias ends = {kEos, 1e6f};
  const bitnet_sampler_options sampler = {.size = sizeof sampler, .logit_bias = &ends, .logit_bias_count = 1};
  bitnet_generate_options options = {.size = sizeof options, .sampler = &sampler};
  bitnet_finish finish;
  EXPECT_EQ(pull(start(chat, options), &finish), "");
  EXPECT_EQ(finish, BITNET_FINISH_END_TOKEN);
  EXPECT_EQ(history(chat), (Strings{"user:Hi", "assistant:"}));
  options.flags = BITNET_GENERATE_SPECIAL_OUTPUT;
  EXPECT_EQ(pull(start(chat, options, true), &finish), "<|end_of_text|>");
  EXPECT_EQ(history(chat), (Strings{"user:Hi", "assistant:"})) << "the template ends the message itself";
}

struct Way {
  const char* name;
  const char* chat_template;
  bitnet_generate_options options;
};

// Each reply from a session that holds the conversation so far, and from an empty one.
TEST_F(ChatObject, RepliesAreTheSameAsFromAnEmptySession) {
  const bitnet_sampler_options sampler = {
      .size = sizeof sampler, .seed = 7, .temperature = 2, .repetition_penalty = 1.2f, .penalty_window = 20};
  const char* const stops[] = {"e", "!", "\xef\xbf\xbd\xef\xbf\xbd"};
  bitnet_generate_options stopped = tokens(60);
  stopped.sampler = &sampler;
  stopped.stop = stops, stopped.stop_count = 3;
  bitnet_generate_options drawn = tokens(40);
  drawn.sampler = &sampler;
  bitnet_generate_options ended = drawn;
  ended.flags = 0;
  // Tokens are drawn that text does not give: halves of characters, control tokens.
  for (const Way& way : {Way{"cut short", "chatml", drawn}, Way{"stopped", "llama3", stopped},
                         Way{"ended by the model", "chatml", ended}, Way{"changed later", kForgetful.c_str(), drawn},
                         Way{"no markers", "{% for m in messages %}{{ m.content|trim }}{% endfor %}", drawn}}) {
    SCOPED_TRACE(way.name);
    const Model other = open_with(way.chat_template);
    const Session held = session_of(other);
    const Chat kept = make_chat(held);
    uint64_t all = 0, computed = 0;
    for (const char* message : {"How is it?", "And then!", "Why is that so?", "Go on.", "\xff and so?"}) {
      add(kept, "user", message);
      const Strings before = history(kept);
      const std::string reply = pull(start(kept, way.options));
      all += prompt_of(kept).tokens;
      computed += evaluated(held);

      const Session empty = session_of(other);
      const Chat anew = make_chat(empty);
      for (const std::string& said : before) {
        const size_t colon = said.find(':');
        add(anew, said.substr(0, colon).c_str(), said.substr(colon + 1));
      }
      EXPECT_EQ(pull(start(anew, way.options)), reply);
      EXPECT_EQ(bitnet_session_position(empty.get()), bitnet_session_position(held.get()));
      EXPECT_TRUE(same_bits(last_logits(empty), last_logits(held)));
    }
    EXPECT_LT(computed, all) << "something of the prompts was reused";
  }
}

TEST_F(ChatObject, WhatWasEvaluatedIsNotEvaluatedAgain) {
  const bitnet_logit_bias ends[] = {{kEot + 4, 1e6f}};  // <|im_end|>, with which the template goes on as well
  const bitnet_sampler_options sampler = {.size = sizeof sampler, .logit_bias = ends, .logit_bias_count = 1};
  const bitnet_generate_options options = {.size = sizeof options, .sampler = &sampler};
  add(chat, "user", std::string(500, 'x'));
  pull(start(chat, options));
  EXPECT_GT(evaluated(session), 500u);
  add(chat, "user", "short");
  pull(start(chat, options));
  EXPECT_LT(evaluated(session), 50u);
}

TEST_F(ChatObject, SendingIsAMessageAndItsReply) {
  std::string given;
  const auto collect = [](void* user, const char* text, size_t length) {
    static_cast<std::string*>(user)->append(text, length);
    return 0;
  };
  const bitnet_generate_options options = tokens(10);
  ASSERT_OK(bitnet_chat_send(chat.get(), "Hi there", 2, &options, collect, &given));
  EXPECT_GT(given.size(), 3u);
  EXPECT_EQ(history(chat), (Strings{"user:Hi", "assistant:" + given}));
  ASSERT_OK(bitnet_chat_send(chat.get(), "Again", BITNET_NUL_TERMINATED, &options, nullptr, nullptr));
  EXPECT_EQ(bitnet_chat_count(chat.get()), 4u);
}

TEST_F(ChatObject, ACallbackThatStopsKeepsWhatItGot) {
  std::string given;
  const auto stop = [](void* user, const char* text, size_t length) {
    auto& all = *static_cast<std::string*>(user);
    all.append(text, length);
    return static_cast<int>(all.size() > 4);
  };
  const bitnet_generate_options options = tokens(100);
  ASSERT_OK(bitnet_chat_send(chat.get(), "Hi", 2, &options, stop, &given));
  EXPECT_LT(given.size(), 20u);
  EXPECT_EQ(history(chat), (Strings{"user:Hi", "assistant:" + given}));
}

TEST_F(ChatObject, ACallbackMayFreeAllThereIs) {
  struct Handles {
    bitnet_model* model;
    bitnet_session* session;
    bitnet_chat* chat;
    int calls;
  } handles = {open_with("chatml").release(), nullptr, nullptr, 0};
  ASSERT_OK(bitnet_session_create(handles.model, nullptr, &handles.session));
  ASSERT_OK(bitnet_chat_create(handles.session, nullptr, &handles.chat));
  const auto free_all = [](void* user, const char*, size_t) {
    auto& all = *static_cast<Handles*>(user);
    if (all.calls++ > 0) return 0;
    bitnet_close(all.model);
    bitnet_chat_free(all.chat);
    return 0;
  };
  const bitnet_generate_options options = tokens(5);
  EXPECT_OK(bitnet_chat_send(handles.chat, "Hi", 2, &options, free_all, &handles));
  EXPECT_GT(handles.calls, 1);
  bitnet_session_free(handles.session);
}

TEST_F(ChatObject, WhatFailsLeavesTheHistoryAsItWas) {
  add(chat, "user", "one");
  const bitnet_generate_options options = tokens(4), wrong = tokens(4, 1 << 20);
  pull(start(chat, options));
  const Strings before = history(chat);
  expect_refused(bitnet_chat_send(chat.get(), "x", 1, &wrong, nullptr, nullptr), BITNET_ERROR_ARGUMENT, "flags");
  const std::string long_text(kContext, 'x');
  expect_refused(bitnet_chat_send(chat.get(), long_text.data(), long_text.size(), &options, nullptr, nullptr),
                 BITNET_ERROR_CONTEXT, "does not fit the context of 2048");
  bitnet_session_cancel(session.get(), 1);
  EXPECT_EQ(bitnet_chat_send(chat.get(), "x", 1, &options, nullptr, nullptr), BITNET_ERROR_CANCELLED);
  bitnet_session_cancel(session.get(), 0);
  const auto cancel = [](void* user, const char*, size_t) {
    bitnet_session_cancel(static_cast<bitnet_session*>(user), 1);
    return 0;
  };
  EXPECT_EQ(bitnet_chat_send(chat.get(), "x", 1, &options, cancel, session.get()), BITNET_ERROR_CANCELLED);
  bitnet_session_cancel(session.get(), 0);
  EXPECT_EQ(history(chat), before) << "also after text was given out";
  EXPECT_OK(bitnet_chat_send(chat.get(), "x", 1, &options, nullptr, nullptr));
}

TEST_F(ChatObject, ATemplateRefusesInItsOwnWords) {
  const Model strict = open_with(kStrict.c_str());
  const Session other = session_of(strict);
  const Chat kept = make_chat(other);
  bitnet_generation* generation = nullptr;
  expect_refused(bitnet_chat_reply(kept.get(), nullptr, &generation), BITNET_ERROR_ARGUMENT, "has no messages");
  add(kept, "wizard", "Hi");
  expect_refused(bitnet_chat_reply(kept.get(), nullptr, &generation), BITNET_ERROR_ARGUMENT, "unknown role wizard");
  EXPECT_OK(bitnet_chat_remove(kept.get(), 0, 1));
  add(kept, "user", "Hi");
  expect_refused(bitnet_chat_send(kept.get(), "Ho", 2, nullptr, nullptr, nullptr), BITNET_ERROR_ARGUMENT,
                 "two in a row");
  EXPECT_EQ(history(kept), Strings{"user:Hi"});
  EXPECT_EQ(generation, nullptr);
}

TEST_F(ChatObject, ContentsAreForeignUnlessTheyAreTrusted) {
  const bitnet_generate_options options = tokens(1);
  const auto length = [&](uint32_t flags) {
    const Chat other = make_chat(session, {.flags = flags});
    add(other, "user", "<|im_end|>");
    pull(start(other, options));
    return prompt_of(other).tokens;
  };
  EXPECT_EQ(length(0), length(BITNET_CHAT_TRUST) + 9) << "ten bytes or one token";
}

TEST_F(ChatObject, ASessionThatIsInUseIsBusy) {
  std::atomic<bool> within = false, go_on = false;
  struct Waiter {
    std::atomic<bool>*within, *go_on;
  } waiter = {&within, &go_on};
  bitnet_session_options options = {.size = sizeof options, .context = kContext};
  options.abort = [](void* user) {
    const auto& [within, go_on] = *static_cast<Waiter*>(user);
    within->store(true);
    while (!go_on->load()) std::this_thread::yield();
    return 0;
  };
  options.abort_user = &waiter;
  const Session busy = make_session(model, options);
  const Chat kept = make_chat(busy);
  add(kept, "user", "one");
  std::thread other([&] {
    const bitnet_token token = 65;
    EXPECT_OK(bitnet_eval(busy.get(), &token, 1, BITNET_LOGITS_LAST));
  });
  while (!within.load()) std::this_thread::yield();
  EXPECT_EQ(bitnet_chat_send(kept.get(), "two", 3, nullptr, nullptr, nullptr), BITNET_ERROR_BUSY);
  EXPECT_EQ(history(kept), Strings{"user:one"});
  go_on = true;
  other.join();
}

// ------------------------------------------------------ replies that end early

TEST_F(ChatObject, AReplyThatIsFreedKeepsWhatWasGivenOut) {
  add(chat, "user", "Hi");
  const bitnet_generate_options options = tokens(50);
  start(chat, options).reset();
  EXPECT_EQ(history(chat), Strings{"user:Hi"}) << "nothing was given out";
  std::string given;
  {
    const Generation generation = start(chat, options);
    given = pull_some(generation);
  }
  EXPECT_EQ(history(chat), (Strings{"user:Hi", "assistant:" + given}));
}

TEST_F(ChatObject, AReplyThatIsCancelledKeepsWhatWasGivenOut) {
  add(chat, "user", "Hi");
  const Generation generation = start(chat, tokens(50));
  const std::string given = pull_some(generation);
  bitnet_generation_cancel(generation.get());
  bitnet_piece piece = {.size = sizeof piece};
  EXPECT_EQ(bitnet_generation_next(generation.get(), &piece), BITNET_ERROR_CANCELLED);
  EXPECT_EQ(history(chat), (Strings{"user:Hi", "assistant:" + given}));
  EXPECT_EQ(bitnet_generation_next(generation.get(), &piece), BITNET_ERROR_CANCELLED);
  EXPECT_EQ(bitnet_chat_count(chat.get()), 2u);
}

TEST_F(ChatObject, AReplyGoesOnAfterItsSessionWasCancelled) {
  add(chat, "user", "Hi");
  const Generation generation = start(chat, tokens(6));
  std::string text = pull_some(generation);
  bitnet_session_cancel(session.get(), 1);
  bitnet_piece piece = {.size = sizeof piece};
  EXPECT_EQ(bitnet_generation_next(generation.get(), &piece), BITNET_ERROR_CANCELLED);
  bitnet_session_cancel(session.get(), 0);
  EXPECT_EQ(bitnet_chat_count(chat.get()), 1u);
  text += pull(generation);
  EXPECT_EQ(history(chat), (Strings{"user:Hi", "assistant:" + text}));
}

TEST_F(ChatObject, AChangeOfTheHistoryEndsTheReply) {
  const bitnet_generate_options options = tokens(50);
  const bitnet_message system = turn("system", "S");
  using Change = void (*)(const Chat&);
  const std::pair<Change, Strings> changes[] = {
      {[](const Chat& c) { add(c, "user", "Ho"); }, {"user:Hi", "assistant:", "user:Ho"}},
      {[](const Chat& c) { EXPECT_OK(bitnet_chat_remove(c.get(), 0, 1)); }, {"assistant:"}},
      {[](const Chat& c) { EXPECT_OK(bitnet_chat_remove(c.get(), 0, SIZE_MAX)); }, {}},
      {[](const Chat& c) { EXPECT_OK(bitnet_chat_load_memory(c.get(), R"({"messages":[]})", 15)); }, {}},
      {[](const Chat& c) { start(c, tokens(1)); }, {"user:Hi", "assistant:"}},
      {[](const Chat& c) { pull(start(c, tokens(1), true)); }, {"user:Hi", "assistant:new"}},
  };
  for (const auto& [change, wanted] : changes) {
    const Chat other = make_chat(session);
    add(other, "user", "Hi");
    const Generation generation = start(other, options);
    const std::string given = pull_some(generation);
    change(other);
    Strings after = history(other);
    ASSERT_EQ(after.size(), wanted.size());
    for (size_t i = 0; i < wanted.size(); ++i) {
      if (wanted[i] == "assistant:new") continue;
      EXPECT_EQ(after[i], wanted[i] + (wanted[i] == "assistant:" ? given : ""));
    }
    bitnet_piece piece = {.size = sizeof piece};
    EXPECT_EQ(bitnet_generation_next(generation.get(), &piece), BITNET_ERROR_CANCELLED);
    EXPECT_EQ(history(other), after);
  }
  // Before the first piece there is nothing to keep.
  add(chat, "user", "Hi");
  const Generation generation = start(chat, options);
  EXPECT_OK(bitnet_chat_insert(chat.get(), 0, &system));
  EXPECT_EQ(history(chat), (Strings{"system:S", "user:Hi"}));
}

TEST_F(ChatObject, EverythingMayBeFreedInAnyOrder) {
  bitnet_chat* other = nullptr;
  bitnet_generation* generation = nullptr;
  {
    const Model own = open_with("chatml");
    const Session short_lived = session_of(own);
    ASSERT_OK(bitnet_chat_create(short_lived.get(), nullptr, &other));
  }
  const bitnet_message message = turn("user", "Hi");
  EXPECT_OK(bitnet_chat_add(other, &message));
  const bitnet_generate_options options = tokens(3);
  ASSERT_OK(bitnet_chat_reply(other, &options, &generation));
  bitnet_chat_free(other);
  EXPECT_FALSE(pull(Generation(generation)).empty());
}

TEST_F(ChatObject, AnotherThreadMayReadAndChangeTheHistoryMeanwhile) {
  for (const bool changes : {false, true}) {
    const Chat other = make_chat(session);
    add(other, "user", "Hi");
    const Generation generation = start(other, tokens(30));
    std::atomic<bool> done = false, begun = false;
    std::thread other_thread([&] {
      if (changes) add(other, "user", "Wait!");
      for (; !done.load(); begun = true) {
        for (const std::string& message : history(other)) EXPECT_TRUE(message.find(':') != std::string::npos);
      }
    });
    bitnet_piece piece = {.size = sizeof piece};
    bitnet_status status = BITNET_OK;
    while (!begun.load()) std::this_thread::yield();
    while (status == BITNET_OK) status = bitnet_generation_next(generation.get(), &piece);
    done = true;
    other_thread.join();
    EXPECT_EQ(bitnet_chat_count(other.get()), 2u);
    EXPECT_EQ(status, changes ? BITNET_ERROR_CANCELLED : BITNET_END);
  }
}

// --------------------------------------------------------------- regenerating

TEST_F(ChatObject, AnotherReplyTakesThePlaceOfTheLast) {
  add(chat, "user", "Hi");
  bitnet_sampler_options sampler = {.size = sizeof sampler, .seed = 1, .temperature = 3};
  bitnet_generate_options options = tokens(20);
  options.sampler = &sampler;
  const std::string first = pull(start(chat, options));
  sampler.seed = 2;
  const Generation generation = start(chat, options, true);
  pull_some(generation);
  EXPECT_EQ(history(chat), (Strings{"user:Hi", "assistant:" + first})) << "which stays until then";
  pull(generation);
  const Strings second = history(chat);
  ASSERT_EQ(second.size(), 2u);
  EXPECT_NE(second[1], "assistant:" + first);
  sampler.seed = 1;
  pull(start(chat, options, true));
  EXPECT_EQ(history(chat), (Strings{"user:Hi", "assistant:" + first})) << "the same seed, the same text";
}

TEST_F(ChatObject, TheLastReplyStaysIfNothingTakesItsPlace) {
  bitnet_generation* generation = nullptr;
  expect_refused(bitnet_chat_regenerate(chat.get(), nullptr, &generation), BITNET_ERROR_ARGUMENT,
                 "no reply to replace");
  add(chat, "assistant", "Hello!");
  expect_refused(bitnet_chat_regenerate(chat.get(), nullptr, &generation), BITNET_ERROR_ARGUMENT,
                 "no messages before the reply");
  add(chat, "user", "Hi");
  expect_refused(bitnet_chat_regenerate(chat.get(), nullptr, &generation), BITNET_ERROR_ARGUMENT,
                 "not the assistant's");
  add(chat, "assistant", "old");
  const Strings before = history(chat);
  start(chat, tokens(5), true).reset();
  EXPECT_EQ(history(chat), before);
  {
    const Generation again = start(chat, tokens(5), true);
    const std::string given = pull_some(again);
    EXPECT_EQ(history(chat), before);
    EXPECT_OK(bitnet_chat_remove(chat.get(), 0, 1));
    EXPECT_EQ(history(chat), (Strings{"user:Hi", "assistant:" + given}));
  }
}

// ------------------------------------------------------------------- fitting

// Each turn of it is 38 tokens long: "<|im_start|>user\n" is 6, what ends a message 2, and the reply 20 + 2.
class LongChat : public ChatObject {
 protected:
  static constexpr uint32_t kSmall = 256;
  const Session small = session_of(model, kSmall);

  static std::string text(int number) { return "message" + std::to_string(10 + number); }
  static void fill(const Chat& chat, int turns) {
    for (int i = 0; i < turns; ++i) {
      add(chat, "user", text(i));
      if (i + 1 < turns) add(chat, "assistant", "reply" + std::to_string(10 + i));
    }
  }
  // The prompt's tokens, as another session's template writes them.
  size_t count(const Chat& chat, size_t heading, size_t from) const {
    const Strings all = history(chat);
    Strings roles, contents;
    for (size_t i = 0; i < all.size(); ++i) {
      if (i >= heading && i < from) continue;
      roles.push_back(all[i].substr(0, all[i].find(':')));
      contents.push_back(all[i].substr(all[i].find(':') + 1));
    }
    std::vector<bitnet_message> messages;
    for (size_t i = 0; i < roles.size(); ++i) messages.push_back(turn(roles[i].c_str(), contents[i].c_str()));
    size_t count = 0;
    EXPECT_EQ(
        bitnet_chat_tokenize(model.get(), messages.data(), messages.size(), BITNET_CHAT_REPLY, nullptr, 0, &count),
        BITNET_ERROR_BUFFER);
    return count;
  }
};

TEST_F(LongChat, TheOldestTurnsAreLeftOutButNotTheSystemMessage) {
  const Chat other = make_chat(small);
  add(other, "system", "Be brief.");
  fill(other, 20);
  const Strings before = history(other);
  const bitnet_generate_options options = tokens(10);
  const Generation generation = start(other, options);
  const bitnet_chat_prompt prompt = prompt_of(other);
  EXPECT_EQ(history(other), before) << "the history stays whole";
  EXPECT_EQ(prompt.left_out_from, 1u);
  ASSERT_GT(prompt.left_out, 0u);
  EXPECT_EQ(prompt.left_out % 2, 0u) << "turns are left out whole";
  EXPECT_EQ(prompt.tokens, count(other, 1, 1 + prompt.left_out));
  EXPECT_EQ(prompt.tokens_needed, prompt.tokens + 10);
  EXPECT_LE(prompt.tokens, kSmall - kSmall / 4) << "a quarter is free";
  EXPECT_GT(count(other, 1, prompt.left_out - 1), kSmall - kSmall / 4) << "with one turn more it would not be";
  const std::string reply = pull(generation);
  EXPECT_EQ(history(other).back(), "assistant:" + reply);
  EXPECT_EQ(bitnet_session_position(small.get()), prompt.tokens + 10);

  // The same as a history of just that.
  const Session empty = session_of(model, kSmall);
  const Chat shorter = make_chat(empty);
  for (size_t i = 0; i < before.size(); ++i) {
    if (i >= 1 && i < 1 + prompt.left_out) continue;
    add(shorter, before[i].substr(0, before[i].find(':')).c_str(), before[i].substr(before[i].find(':') + 1));
  }
  EXPECT_EQ(pull(start(shorter, options)), reply);
}

TEST_F(LongChat, ThePromptsThatFollowBeginAlike) {
  const Chat other = make_chat(small);
  add(other, "system", "Be brief.");
  const bitnet_generate_options options = tokens(4);
  size_t left_out = 0, times = 0, replies = 0;
  for (int i = 0; i < 40; ++i) {
    add(other, "user", text(i));
    pull(start(other, options));
    ++replies;
    const bitnet_chat_prompt prompt = prompt_of(other);
    EXPECT_LE(prompt.tokens_needed, kSmall);
    EXPECT_GE(prompt.left_out, left_out);
    times += prompt.left_out != left_out;
    left_out = prompt.left_out;
  }
  EXPECT_GT(left_out, 50u);
  EXPECT_GT(times, 3u);
  EXPECT_LT(times, replies / 2) << "not with every reply anew";
  // Asking again begins alike, too.
  pull(start(other, options, true));
  EXPECT_EQ(prompt_of(other).left_out, left_out);
  EXPECT_OK(bitnet_chat_remove(other.get(), bitnet_chat_count(other.get()) - 1, 1));
  pull(start(other, options));
  EXPECT_EQ(prompt_of(other).left_out, left_out);
  // What was left out comes back where the history has become shorter.
  EXPECT_OK(bitnet_chat_remove(other.get(), 5, SIZE_MAX));
  pull(start(other, options, true));
  EXPECT_EQ(prompt_of(other).left_out, 0u);
  EXPECT_EQ(prompt_of(other).left_out_from, 0u);
}

TEST_F(LongChat, TheLastTurnIsAlwaysThere) {
  const Chat other = make_chat(small);
  add(other, "assistant", "Hello! " + std::string(100, 'x'));
  fill(other, 2);
  add(other, "assistant", "Well.");
  add(other, "user", std::string(220, 'x'));
  const bitnet_generate_options options = tokens(10);
  pull(start(other, options));
  EXPECT_EQ(prompt_of(other).left_out, 5u);
  EXPECT_EQ(prompt_of(other).left_out_from, 0u);
  const uint32_t most = prompt_of(other).tokens;

  // A turn that leaves less than the reserve is better than none, as long as one token can be drawn.
  bitnet_finish finish;
  EXPECT_OK(bitnet_chat_remove(other.get(), 0, SIZE_MAX));
  add(other, "user", std::string(220 + kSmall - 1 - most, 'x'));
  pull(start(other, options), &finish);
  EXPECT_EQ(prompt_of(other).tokens, kSmall - 1);
  EXPECT_EQ(finish, BITNET_FINISH_CONTEXT);

  EXPECT_OK(bitnet_chat_remove(other.get(), 0, SIZE_MAX));
  fill(other, 3);
  EXPECT_OK(bitnet_chat_remove(other.get(), 4, SIZE_MAX));
  add(other, "user", std::string(220 + kSmall - most, 'x'));
  const Strings before = history(other);
  bitnet_generation* generation = nullptr;
  expect_refused(bitnet_chat_reply(other.get(), &options, &generation), BITNET_ERROR_CONTEXT,
                 "256 tokens with what is always there, does not fit the context of 256");
  EXPECT_EQ(prompt_of(other).tokens, kSmall);
  EXPECT_EQ(prompt_of(other).left_out, 4u);
  EXPECT_EQ(generation, nullptr);
  EXPECT_EQ(history(other), before);
}

TEST_F(LongChat, WhoRefusesIsToldHowMuchIsNeeded) {
  const Chat other = make_chat(small, {.fit = BITNET_CHAT_FIT_REFUSE, .reserve = 50});
  add(other, "system", "Be brief.");
  fill(other, 20);
  const Strings before = history(other);
  bitnet_generation* generation = nullptr;
  const size_t needed = count(other, 1, 1) + 50;
  EXPECT_EQ(bitnet_chat_reply(other.get(), nullptr, &generation), BITNET_ERROR_CONTEXT);
  EXPECT_TRUE(said(std::to_string(needed) + " tokens are needed, of which 50")) << bitnet_last_error();
  EXPECT_EQ(prompt_of(other).tokens_needed, needed);
  EXPECT_EQ(prompt_of(other).tokens, needed - 50);
  EXPECT_EQ(prompt_of(other).left_out, 0u);
  EXPECT_EQ(history(other), before);
  EXPECT_EQ(bitnet_chat_send(other.get(), "x", 1, nullptr, nullptr, nullptr), BITNET_ERROR_CONTEXT);
  EXPECT_EQ(history(other), before);
  // The caller shortens it, as it likes best.
  while (bitnet_chat_reply(other.get(), nullptr, &generation) == BITNET_ERROR_CONTEXT) {
    ASSERT_OK(bitnet_chat_remove(other.get(), 1, 2));
  }
  EXPECT_LE(prompt_of(other).tokens, kSmall - 50);
  EXPECT_GT(prompt_of(other).tokens, kSmall - 100);
  bitnet_generation_free(generation);
}

TEST_F(LongChat, TheRoomForAReplyIsAsAsked) {
  const auto room = [&](uint32_t reserve, uint32_t max_tokens) {
    const Chat other = make_chat(small, {.reserve = reserve});
    add(other, "user", "Hi");
    start(other, tokens(max_tokens));
    return prompt_of(other).tokens_needed - prompt_of(other).tokens;
  };
  EXPECT_EQ(room(0, 0), kSmall / 4);
  EXPECT_EQ(room(0, 10), 10u);
  EXPECT_EQ(room(0, 1000), kSmall / 4);
  EXPECT_EQ(room(200, 10), 200u);
  const Chat large = make_chat(session);
  add(large, "user", "Hi");
  start(large, tokens(0));
  EXPECT_EQ(prompt_of(large).tokens_needed - prompt_of(large).tokens, 256u);
}

// ------------------------------------------------------- models without template

TEST_F(ChatObject, PlainTextGoesOnWithoutATemplate) {
  const Model bare = open_with(nullptr);
  const Session other = session_of(bare);
  const Chat plain = make_chat(other, {.flags = BITNET_CHAT_PLAIN});
  const bitnet_generate_options options = tokens(5);
  const bitnet_message messages[] = {turn("system", "S."), turn("user", "Once"), turn("assistant", " upon"),
                                     turn("assistant", " a"), turn("user", "time")};
  for (const bitnet_message& message : messages) EXPECT_OK(bitnet_chat_add(plain.get(), &message));
  std::string text(64, '\0');
  size_t length = 0;
  ASSERT_OK(bitnet_chat_format(bare.get(), messages, 5, BITNET_CHAT_PLAIN, text.data(), text.size(), &length));
  EXPECT_EQ(text.substr(0, length), "S.\nOnce upon a\ntime");
  const std::string reply = pull(start(plain, options));
  const Session again = session_of(bare);
  bitnet_generation* generation = nullptr;
  ASSERT_OK(bitnet_generation_start(again.get(), text.c_str(), length, &options, &generation));
  EXPECT_EQ(pull(Generation(generation)), reply) << "the begin token included";
  EXPECT_EQ(history(plain).back(), "assistant:" + reply);

  // Where there is a template, it is used.
  const Chat templated = make_chat(session, {.flags = BITNET_CHAT_PLAIN});
  add(templated, "user", "Hi");
  add(chat, "user", "Hi");
  start(templated, options), start(chat, options);
  EXPECT_EQ(prompt_of(templated).tokens, prompt_of(chat).tokens);
}

// ------------------------------------------------------------ saving and loading

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string saved(const Chat& chat) {
  size_t length = 0;
  EXPECT_EQ(bitnet_chat_save_memory(chat.get(), nullptr, 0, &length), BITNET_ERROR_BUFFER);
  std::string text(length, '\0');
  EXPECT_OK(bitnet_chat_save_memory(chat.get(), text.data(), text.size(), &length));
  return text;
}

TEST_F(ChatObject, WhatIsSavedIsLoadedAgain) {
  add(chat, "system", "\"quoted\"\n\\ and \u00e9\U0001F600");
  add(chat, "user", std::string("zero\0byte", 9));
  add(chat, "assistant", "");
  const std::string path = temporary_folder() + "/chat.json";
  ASSERT_OK(bitnet_chat_save(chat.get(), path.c_str()));
  EXPECT_EQ(read(path), saved(chat));
  const Chat from_file = make_chat(session), from_memory = make_chat(session);
  add(from_file, "user", "is replaced");
  ASSERT_OK(bitnet_chat_load(from_file.get(), path.c_str()));
  EXPECT_EQ(history(from_file), history(chat));
  const std::string text = saved(chat);
  ASSERT_OK(bitnet_chat_load_memory(from_memory.get(), text.c_str(), BITNET_NUL_TERMINATED));
  EXPECT_EQ(history(from_memory), history(chat));
}

TEST_F(ChatObject, TheFileIsWhatOtherProgramsRead) {
  add(chat, "user", "Gr\u00fc\u00dfe!");
  add(chat, "assistant",
      "a\xff"
      "b\tc");
  EXPECT_EQ(saved(chat), R"({
 "model": "sample",
 "messages": [
  {
   "role": "user",
   "content": "Grüße!"
  },
  {
   "role": "assistant",
   "content": "a)"
                         "\uFFFD"
                         R"(b\tc"
  }
 ]
}
)");
  const std::string theirs =
      R"({"temperature": 0.5, "messages": [{"content": "Hi", "role": "user", "name": null, "refusal": null}], "n": [1]})";
  ASSERT_OK(bitnet_chat_load_memory(chat.get(), theirs.data(), theirs.size()));
  EXPECT_EQ(history(chat), Strings{"user:Hi"});
  ASSERT_OK(bitnet_chat_load_memory(chat.get(), R"({"messages": []})", BITNET_NUL_TERMINATED));
  EXPECT_EQ(bitnet_chat_count(chat.get()), 0u);
}

TEST_F(ChatObject, WhatCannotBeLoadedChangesNothing) {
  add(chat, "user", "kept");
  const struct {
    const char* text;
    bitnet_status status;
    const char* part;
  } bad[] = {
      {"", BITNET_ERROR_FORMAT, "is not JSON"},
      {"GGUF", BITNET_ERROR_FORMAT, "is not JSON"},
      {R"({"messages": [{"role": "user", "content": "x"})", BITNET_ERROR_FORMAT, "is not JSON"},
      {"{\"messages\": [{\"role\": \"user\", \"content\": \"\xff\"}]}", BITNET_ERROR_FORMAT, "is not JSON"},
      {"[]", BITNET_ERROR_FORMAT, "expected is an object"},
      {"{}", BITNET_ERROR_FORMAT, "messages is missing"},
      {R"({"messages": 1})", BITNET_ERROR_FORMAT, "messages is 1; expected is an array"},
      {R"({"messages": [], "messages": []})", BITNET_ERROR_FORMAT, "same name twice"},
      {R"({"messages": ["x"]})", BITNET_ERROR_FORMAT, "messages[0]"},
      {R"({"messages": [{"role": "user", "content": "x"}, {"role": "user"}]})", BITNET_ERROR_FORMAT,
       "messages[1].content is missing"},
      {R"({"messages": [{"content": "x"}]})", BITNET_ERROR_FORMAT, "messages[0].role is missing"},
      {R"({"messages": [{"role": "user", "content": [{"type": "text"}]}]})", BITNET_ERROR_FORMAT,
       "expected is a string"},
      {R"({"messages": [{"role": "us\u0000er", "content": "x"}]})", BITNET_ERROR_FORMAT, "zero bytes"},
      {R"({"messages": [{"role": "tool", "content": "x", "tool_call_id": "1"}]})", BITNET_ERROR_UNSUPPORTED,
       "tool_call_id"},
  };
  const std::string path = temporary_folder() + "/bad.json";
  for (const auto& [text, status, part] : bad) {
    SCOPED_TRACE(text);
    expect_refused(bitnet_chat_load_memory(chat.get(), text, BITNET_NUL_TERMINATED), status, part);
    std::ofstream(path, std::ios::binary) << text;
    expect_refused(bitnet_chat_load(chat.get(), path.c_str()), status, part);
    EXPECT_TRUE(said("bad.json")) << bitnet_last_error();
  }
  const std::string deep = R"({"x": )" + std::string(100000, '[');
  EXPECT_EQ(bitnet_chat_load_memory(chat.get(), deep.data(), deep.size()), BITNET_ERROR_FORMAT);
  EXPECT_EQ(bitnet_chat_load(chat.get(), (temporary_folder() + "/none").c_str()), BITNET_ERROR_NOT_FOUND);
  EXPECT_LT(bitnet_chat_load(chat.get(), temporary_folder().c_str()), 0);
  EXPECT_EQ(history(chat), Strings{"user:kept"});
}

TEST_F(ChatObject, AHistoryThatIsTooLongToLoadIsNotSaved) {
  add(chat, "user", std::string((16 << 20) + 1, 'x'));
  const std::string path = temporary_folder() + "/long.json", theirs = temporary_folder() + "/theirs.json";
  expect_refused(bitnet_chat_save(chat.get(), path.c_str()), BITNET_ERROR_UNSUPPORTED, "16777216");
  EXPECT_FALSE(std::filesystem::exists(path));
  std::ofstream(theirs) << R"({"messages": [{"role": "user", "content": ")" << std::string(16 << 20, 'x') << "\"}]}";
  expect_refused(bitnet_chat_load(chat.get(), theirs.c_str()), BITNET_ERROR_UNSUPPORTED, "16777216");
  EXPECT_OK(bitnet_chat_remove(chat.get(), 0, 1));
  EXPECT_EQ(bitnet_chat_save(chat.get(), (temporary_folder() + "/none/x.json").c_str()), BITNET_ERROR_IO);
}

TEST_F(ChatObject, ASavedConversationGoesOnAsItWouldHave) {
  const bitnet_generate_options options = tokens(15);
  ASSERT_OK(bitnet_chat_send(chat.get(), "Hi", 2, &options, nullptr, nullptr));
  const std::string text = saved(chat);
  ASSERT_OK(bitnet_chat_send(chat.get(), "Ho", 2, &options, nullptr, nullptr));
  const Session other = session_of(model);
  const Chat later = make_chat(other);
  ASSERT_OK(bitnet_chat_load_memory(later.get(), text.data(), text.size()));
  ASSERT_OK(bitnet_chat_send(later.get(), "Ho", 2, &options, nullptr, nullptr));
  EXPECT_EQ(history(later), history(chat));
}

}  // namespace
