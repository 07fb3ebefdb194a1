// SPDX-License-Identifier: MIT
#include <algorithm>

#include "api/handles.h"
#include "base/file.h"
#include "engine/chat_prompt.h"
#include "format/conversation.h"
#include "text/known_templates.h"

using namespace bitnet;

namespace {

// `hint` follows in messages that begin with the name.
ChatMessage read_message(const bitnet_message* from, const std::string& name, const char* hint = "") {
  require_pointer(from, "message");
  const bitnet_message message = read_options(from, "bitnet_message");
  require(message.role != nullptr, BITNET_ERROR_ARGUMENT, name, " has no role", hint);
  require(message.content != nullptr, BITNET_ERROR_ARGUMENT, name, " has no content", hint);
  const size_t length = message.length == 0 ? BITNET_NUL_TERMINATED : message.length;
  return {message.role, read_text(message.content, length, "content")};
}

// The first message's size is the way from one to the next.
std::vector<ChatMessage> read_messages(const bitnet_message* messages, size_t count) {
  std::vector<ChatMessage> result;
  const auto* const bytes = reinterpret_cast<const char*>(read_array(messages, count, "messages").data());
  for (size_t i = 0; i < count; ++i) {
    const size_t size = messages->size;
    require(size % alignof(bitnet_message) == 0, BITNET_ERROR_ARGUMENT, "bitnet_message.size is ", size,
            "; set it to sizeof(bitnet_message)");
    const auto* const message = reinterpret_cast<const bitnet_message*>(bytes + i * size);
    require(message->size == size, BITNET_ERROR_ARGUMENT, "message ", i, " has the size ", message->size,
            " and the first one ", size, ": all of an array have one size");
    result.push_back(read_message(message, "message " + std::to_string(i), " (the first is message 0)"));
  }
  return result;
}

ChatForm make_form(uint32_t flags) {
  return {.reply = (flags & BITNET_CHAT_REPLY) != 0,
          .trust = (flags & BITNET_CHAT_TRUST) != 0,
          .plain = (flags & BITNET_CHAT_PLAIN) != 0};
}

ChatForm read_form(uint32_t flags) {
  check_flags(flags, BITNET_CHAT_REPLY | BITNET_CHAT_TRUST | BITNET_CHAT_PLAIN);
  return make_form(flags);
}

bool drops_oldest(bitnet_chat_fit fit) {
  switch (fit) {
    case BITNET_CHAT_FIT_DROP_OLDEST:
      return true;
    case BITNET_CHAT_FIT_REFUSE:
      return false;
  }
  fail(BITNET_ERROR_ARGUMENT, "a history cannot be fitted in way ", static_cast<int>(fit), ", which does not exist");
}

ChatOptions make_chat_options(const bitnet_chat_options* options) {
  const auto o = read_options(options, "bitnet_chat_options");
  check_flags(o.flags, BITNET_CHAT_TRUST | BITNET_CHAT_PLAIN);
  return {.form = make_form(o.flags | BITNET_CHAT_REPLY), .drop_oldest = drops_oldest(o.fit), .reserve = o.reserve};
}

// Calls keep the chat, in case a callback frees its handle.
std::shared_ptr<Chat> get(const bitnet_chat* chat) {
  require_pointer(chat, "chat");
  return chat->chat;
}

Message copied(const bitnet_message* message) {
  const ChatMessage read = read_message(message, "the message");
  return {std::string(read.role), std::string(read.content)};
}

std::unique_ptr<bitnet_generation> start_reply(const std::shared_ptr<Chat>& chat,
                                               const bitnet_generate_options* options, bool again) {
  GenerationOptions o = make_generation_options(options);
  o.flags |= BITNET_GENERATE_WHOLE;
  const bool special = (o.flags & BITNET_GENERATE_SPECIAL_OUTPUT) != 0;
  Chat::Prompt prompt = chat->make_prompt(o.max_tokens, again);
  const std::shared_ptr<Session>& session = chat->session();
  std::unique_ptr<bitnet_generation> started(new bitnet_generation{{session, std::move(prompt.tokens), std::move(o)}});
  started->reply = std::make_unique<ChatReply>(chat, started->generation, special, prompt.replaced);
  return started;
}

bitnet_status give_reply(bitnet_chat* handle, const bitnet_generate_options* options, bool again,
                         bitnet_generation** generation) {
  return guard([&] {
    const auto chat = get(handle);
    require_pointer(generation, "generation");
    *generation = start_reply(chat, options, again).release();
  });
}

std::string saved(const Chat& chat) {
  return write_conversation(std::string(chat.session()->runtime().model().name), chat.messages());
}

}  // namespace

const char* bitnet_chat_template_name(size_t index) {
  const auto known = known_templates();
  return index < known.size() ? known[index].name : nullptr;
}

bitnet_status bitnet_chat_tokenize(const bitnet_model* model, const bitnet_message* messages, size_t count,
                                   uint32_t flags, bitnet_token* tokens, size_t capacity, size_t* token_count) {
  return guard([&] {
    const ChatForm form = read_form(flags);
    const std::vector<Token> all = tokenize_chat(runtime_of(model), read_messages(messages, count), form);
    return write_array(std::span(all), tokens, capacity, token_count);
  });
}

bitnet_status bitnet_chat_format(const bitnet_model* model, const bitnet_message* messages, size_t count,
                                 uint32_t flags, char* text, size_t capacity, size_t* length) {
  return guard([&] {
    const ChatForm form = read_form(flags);
    return write_text(render_chat(runtime_of(model), read_messages(messages, count), form).text, text, capacity,
                      length);
  });
}

bitnet_status bitnet_chat_create(bitnet_session* session, const bitnet_chat_options* options, bitnet_chat** chat) {
  return guard([&] {
    require_pointer(session, "session");
    require_pointer(chat, "chat");
    *chat = new bitnet_chat{std::make_shared<Chat>(session->session, make_chat_options(options))};
  });
}

void bitnet_chat_free(bitnet_chat* chat) { delete chat; }

bitnet_status bitnet_chat_add(bitnet_chat* chat, const bitnet_message* message) {
  return guard([&] { get(chat)->add(copied(message)); });
}

bitnet_status bitnet_chat_insert(bitnet_chat* chat, size_t index, const bitnet_message* message) {
  return guard([&] { get(chat)->insert(index, copied(message)); });
}

bitnet_status bitnet_chat_remove(bitnet_chat* chat, size_t index, size_t count) {
  return guard([&] { get(chat)->remove(index, count); });
}

size_t bitnet_chat_count(const bitnet_chat* chat) { return chat != nullptr ? chat->chat->count() : 0; }

bitnet_status bitnet_chat_message(const bitnet_chat* chat, size_t index, bitnet_message* out) {
  return guard([&] {
    const Message& message = get(chat)->message(index);
    const bitnet_message info = {
        .size = sizeof info,
        .role = message.role.c_str(),
        .content = message.content.c_str(),
        .length = message.content.size(),
    };
    write_info(info, out, "bitnet_message");
  });
}

bitnet_status bitnet_chat_reply(bitnet_chat* chat, const bitnet_generate_options* options,
                                bitnet_generation** generation) {
  return give_reply(chat, options, false, generation);
}

bitnet_status bitnet_chat_regenerate(bitnet_chat* chat, const bitnet_generate_options* options,
                                     bitnet_generation** generation) {
  return give_reply(chat, options, true, generation);
}

bitnet_status bitnet_chat_send(bitnet_chat* handle, const char* text, size_t length,
                               const bitnet_generate_options* options, bitnet_text_fn callback, void* user) {
  return guard([&] {
    const auto chat = get(handle);
    const Message* const asked = chat->add({"user", std::string(read_text(text, length, "text"))});
    try {
      push_text(*start_reply(chat, options, false), callback, user);
    } catch (...) {
      chat->remove_from(asked);
      throw;
    }
  });
}

bitnet_status bitnet_chat_get_prompt(const bitnet_chat* chat, bitnet_chat_prompt* prompt) {
  return guard([&] {
    const PromptSize latest = get(chat)->prompt_size();
    const bitnet_chat_prompt info = {
        .size = sizeof info,
        .left_out = latest.left_out,
        .left_out_from = latest.left_out_from,
        .tokens = static_cast<uint32_t>(latest.tokens),
        .tokens_needed = static_cast<uint32_t>(latest.tokens_needed),
    };
    write_info(info, prompt, "bitnet_chat_prompt");
  });
}

bitnet_status bitnet_chat_save(const bitnet_chat* chat, const char* path) {
  return guard([&] {
    const auto kept = get(chat);
    require_pointer(path, "path");
    const std::string text = saved(*kept);
    OutputFile file(path);
    file.write_at(0, std::as_bytes(std::span(text)));
    file.commit();
  });
}

bitnet_status bitnet_chat_load(bitnet_chat* chat, const char* path) {
  return guard([&] {
    const auto kept = get(chat);
    require_pointer(path, "path");
    with_path(path, [&] { kept->replace(read_conversation(read_start(path, kMostConversationBytes + 1))); });
  });
}

bitnet_status bitnet_chat_save_memory(const bitnet_chat* chat, char* text, size_t capacity, size_t* length) {
  return guard([&] { return write_text(saved(*get(chat)), text, capacity, length); });
}

bitnet_status bitnet_chat_load_memory(bitnet_chat* chat, const char* text, size_t length) {
  return guard([&] {
    const auto kept = get(chat);
    require_pointer(text, "text");
    kept->replace(read_conversation(read_text(text, length, "text")));
  });
}
