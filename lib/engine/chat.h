// SPDX-License-Identifier: MIT
// A conversation: its history, the prompts that are made of it, and the reply that is being generated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "engine/chat_prompt.h"
#include "engine/generation.h"
#include "engine/session.h"
#include "text/message.h"

namespace bitnet {

struct ChatOptions {
  ChatForm form;
  bool drop_oldest = true;  // of a history that is too long; otherwise it is refused
  uint32_t reserve = 0;     // tokens to be free for a reply; 0: as many as it needs
};

// How much of the history the latest prompt has.
struct PromptSize {
  size_t left_out = 0, left_out_from = 0;
  size_t tokens = 0, tokens_needed = 0;  // needed: with the room for the reply
};

class ChatReply;

// Any thread may call any function. A change of the history ends the reply that is being generated.
class Chat {
 public:
  Chat(std::shared_ptr<Session> session, const ChatOptions& options);

  const std::shared_ptr<Session>& session() const { return session_; }
  size_t count() const;
  const Message& message(size_t index) const;  // valid until it is removed
  std::vector<Message> messages() const;

  void insert(size_t index, Message message);
  const Message* add(Message message);
  void remove(size_t index, size_t count);
  void remove_from(const Message* first);  // and what follows it; nothing if it is not there
  void replace(std::vector<Message> messages);

  struct Prompt {
    std::vector<Token> tokens;
    const Message* replaced = nullptr;  // by the reply
  };
  // For a reply of at most `max_tokens` (0: no limit); `again`: in place of the last message.
  Prompt make_prompt(uint32_t max_tokens, bool again);
  PromptSize prompt_size() const;

 private:
  friend class ChatReply;
  using Lock = std::lock_guard<std::mutex>;

  // Of the messages that a prompt may have: those that are always there, and where turns begin after them.
  struct Turns {
    size_t heading = 0, count = 0;
    std::vector<size_t> starts;  // the first is `heading`
  };

  void check_index(size_t index) const;
  const Message* place(size_t index, std::unique_ptr<const Message> message);
  void erase(size_t begin, size_t end);
  void end_reply();
  Turns turns(size_t count) const;
  size_t remembered(const Turns& turns) const;
  std::vector<Token> tokens_from(const Turns& turns, size_t start) const;
  std::vector<Token> fit(const Turns& turns, size_t& start, size_t room) const;
  std::vector<Token> shorten(const Turns& turns, size_t& start, size_t room) const;
  size_t room_for(uint32_t max_tokens) const;
  void check_fit() const;

  const std::shared_ptr<Session> session_;
  const ChatOptions options_;
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<const Message>> messages_;
  ChatReply* reply_ = nullptr;
  const Message* first_ = nullptr;  // with which the latest prompt began after the heading, if turns were left out
  bool shortened_ = false;          // since then: what was left out may fit again
  PromptSize prompt_size_;
};

// What a generation has given out, on its way into the history.
class ChatReply {
 public:
  // The reply that the chat waits for from now on. Ends with it, at the latest.
  ChatReply(std::shared_ptr<Chat> chat, Generation& generation, bool special, const Message* replaced);
  ChatReply(const ChatReply&) = delete;
  ChatReply& operator=(const ChatReply&) = delete;
  ~ChatReply();

  // With the last piece the message is complete.
  void take(const Generation::Piece& piece);
  // There is no more to come.
  void break_off();

 private:
  friend class Chat;
  void end(bool complete);  // with the chat locked
  void cut_end_token();

  const std::shared_ptr<Chat> chat_;
  Generation& generation_;
  const bool special_;  // control tokens are written out
  const Message* const replaced_;
  std::unique_ptr<Message> message_;  // until it is in the history, or dropped
  Token last_ = kNoToken;
};

}  // namespace bitnet
