// SPDX-License-Identifier: MIT
#include "engine/chat.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace bitnet {
namespace {

constexpr uint32_t kMostDefaultRoom = 256;
constexpr const char* kAssistant = "assistant";

// Free in a prompt from which turns are left out, as a part of the context: the prompts after it then begin likewise.
uint32_t wanted_room(uint32_t context) { return context / 4; }

bool is_heading(const Message& message) { return message.role == "system" || message.role == "developer"; }

}  // namespace

Chat::Chat(std::shared_ptr<Session> session, const ChatOptions& options)
    : session_(std::move(session)), options_(options) {
  require(options.reserve < session_->context(), BITNET_ERROR_ARGUMENT, "a reserve of ",
          counted(options.reserve, "token"), " leaves nothing of the session's context of ", session_->context());
  is_plain_chat(session_->runtime(), options.form);  // or it throws
}

// ------------------------------------------------------------------ history

size_t Chat::count() const {
  const Lock lock(mutex_);
  return messages_.size();
}

void Chat::check_index(size_t index) const {
  require(index <= messages_.size(), BITNET_ERROR_ARGUMENT, "there is no place ", index, " in a history of ",
          counted(messages_.size(), "message"), " (the first is message 0)");
}

const Message& Chat::message(size_t index) const {
  const Lock lock(mutex_);
  require(index < messages_.size(), BITNET_ERROR_ARGUMENT, "there is no message ", index, " in a history of ",
          counted(messages_.size(), "message"), " (the first is message 0)");
  return *messages_[index];
}

std::vector<Message> Chat::messages() const {
  const Lock lock(mutex_);
  std::vector<Message> all;
  all.reserve(messages_.size());
  for (const auto& message : messages_) all.push_back(*message);
  return all;
}

// At the end is behind the reply that ends.
const Message* Chat::place(size_t index, std::unique_ptr<const Message> message) {
  messages_.reserve(messages_.size() + 2);
  const bool at_end = index == messages_.size();
  end_reply();
  const auto where = at_end ? messages_.end() : messages_.begin() + static_cast<ptrdiff_t>(index);
  return messages_.insert(where, std::move(message))->get();
}

void Chat::insert(size_t index, Message message) {
  auto added = std::make_unique<const Message>(std::move(message));
  const Lock lock(mutex_);
  check_index(index);
  place(index, std::move(added));
}

const Message* Chat::add(Message message) {
  auto added = std::make_unique<const Message>(std::move(message));
  const Lock lock(mutex_);
  return place(messages_.size(), std::move(added));
}

void Chat::erase(size_t begin, size_t end) {
  for (size_t i = begin; i < end; ++i) {
    if (messages_[i].get() == first_) first_ = nullptr;
  }
  const auto all = messages_.begin();
  messages_.erase(all + static_cast<ptrdiff_t>(begin), all + static_cast<ptrdiff_t>(end));
  shortened_ = true;
}

void Chat::remove(size_t index, size_t count) {
  const Lock lock(mutex_);
  check_index(index);
  const size_t there = messages_.size() - index;
  const bool to_end = count == std::numeric_limits<size_t>::max();
  require(to_end || count <= there, BITNET_ERROR_ARGUMENT, "cannot remove ", counted(count, "message"),
          " from message ", index, " on: there are ", there);
  if (count == 0) return;
  end_reply();
  erase(index, to_end ? messages_.size() : index + count);
}

void Chat::remove_from(const Message* first) {
  const Lock lock(mutex_);
  end_reply();
  const auto is_first = [&](const auto& message) { return message.get() == first; };
  const auto found = std::find_if(messages_.begin(), messages_.end(), is_first);
  erase(static_cast<size_t>(found - messages_.begin()), messages_.size());
}

void Chat::replace(std::vector<Message> messages) {
  std::vector<std::unique_ptr<const Message>> all;
  all.reserve(messages.size());
  for (Message& message : messages) all.push_back(std::make_unique<const Message>(std::move(message)));
  const Lock lock(mutex_);
  end_reply();
  messages_ = std::move(all);
  first_ = nullptr;
}

void Chat::end_reply() {
  if (reply_ == nullptr) return;
  reply_->generation_.cancel();
  reply_->end(false);
}

// ------------------------------------------------------------------ prompts

PromptSize Chat::prompt_size() const {
  const Lock lock(mutex_);
  return prompt_size_;
}

size_t Chat::room_for(uint32_t max_tokens) const {
  if (options_.reserve != 0) return options_.reserve;
  return std::min(max_tokens != 0 ? max_tokens : kMostDefaultRoom, wanted_room(session_->context()));
}

Chat::Turns Chat::turns(size_t count) const {
  Turns turns;
  turns.count = count;
  while (turns.heading < count && is_heading(*messages_[turns.heading])) ++turns.heading;
  turns.starts.push_back(turns.heading);
  for (size_t i = turns.heading + 1; i < count; ++i) {
    if (messages_[i]->role == "user") turns.starts.push_back(i);
  }
  return turns;
}

// The start with which the latest prompt began; the first, if that is gone.
size_t Chat::remembered(const Turns& turns) const {
  const auto is_first = [&](size_t start) { return start < turns.count && messages_[start].get() == first_; };
  const auto found = std::find_if(turns.starts.begin(), turns.starts.end(), is_first);
  return found == turns.starts.end() ? 0 : static_cast<size_t>(found - turns.starts.begin());
}

std::vector<Token> Chat::tokens_from(const Turns& turns, size_t start) const {
  std::vector<ChatMessage> chosen;
  for (size_t i = 0; i < turns.count; ++i) {
    if (i < turns.heading || i >= turns.starts[start]) chosen.push_back({messages_[i]->role, messages_[i]->content});
  }
  return tokenize_chat(session_->runtime(), chosen, options_.form);
}

// The prompt from the first start on that leaves the room; from the last one, if none does.
std::vector<Token> Chat::shorten(const Turns& turns, size_t& start, size_t room) const {
  size_t low = 0, high = turns.starts.size() - 1;
  std::vector<Token> tokens = tokens_from(turns, high);
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    std::vector<Token> more = tokens_from(turns, middle);
    if (more.size() + room <= session_->context()) {
      high = middle;
      tokens = std::move(more);
    } else {
      low = middle + 1;
    }
  }
  start = high;
  return tokens;
}

// The prompt that begins where the latest began, or earlier where that fits again; otherwise a shorter one.
std::vector<Token> Chat::fit(const Turns& turns, size_t& start, size_t room) const {
  const size_t before = remembered(turns);
  start = before;
  std::vector<Token> tokens = tokens_from(turns, start);
  const bool fits = tokens.size() + room <= session_->context();
  const bool may_shorten = !fits && before + 1 < turns.starts.size(), may_widen = fits && before > 0 && shortened_;
  if (!options_.drop_oldest || !(may_shorten || may_widen)) return tokens;
  std::vector<Token> other = shorten(turns, start, std::max<size_t>(room, wanted_room(session_->context())));
  if (!fits || start < before) return other;
  start = before;
  return tokens;
}

void Chat::check_fit() const {
  const auto& [left_out, left_out_from, tokens, needed] = prompt_size_;
  const uint32_t context = session_->context();
  if (options_.drop_oldest) {
    require(tokens < context, BITNET_ERROR_CONTEXT, "the last turn of the conversation, ", counted(tokens, "token"),
            " with what is always there, does not fit the context of ", context,
            "; shorten it, or make a session with a larger context");
  } else {
    require(needed <= context, BITNET_ERROR_CONTEXT, "the conversation does not fit the context of ", context, ": ",
            needed, " tokens are needed, of which ", needed - tokens,
            " for the reply; shorten it, or make a session with a larger context");
  }
}

Chat::Prompt Chat::make_prompt(uint32_t max_tokens, bool again) {
  const Lock lock(mutex_);
  end_reply();
  require(!again || (!messages_.empty() && messages_.back()->role == kAssistant), BITNET_ERROR_ARGUMENT,
          "there is no reply to replace: the last message is not the assistant's");
  const size_t count = messages_.size() - (again ? 1 : 0);
  require(count > 0, BITNET_ERROR_ARGUMENT, "there is nothing to reply to: the history has no messages",
          again ? " before the reply" : "");
  const Turns turns = this->turns(count);
  const size_t room = room_for(max_tokens);
  size_t start = 0;
  std::vector<Token> tokens = fit(turns, start, room);
  const size_t left_out = turns.starts[start] - turns.heading;
  prompt_size_ = {left_out, left_out > 0 ? turns.heading : 0, tokens.size(), tokens.size() + room};
  check_fit();
  first_ = start > 0 ? messages_[turns.starts[start]].get() : nullptr;
  shortened_ = false;
  return {std::move(tokens), again ? messages_.back().get() : nullptr};
}

// -------------------------------------------------------------------- reply

ChatReply::ChatReply(std::shared_ptr<Chat> chat, Generation& generation, bool special, const Message* replaced)
    : chat_(std::move(chat)),
      generation_(generation),
      special_(special),
      replaced_(replaced),
      message_(std::make_unique<Message>(Message{kAssistant, {}})) {
  const Chat::Lock lock(chat_->mutex_);
  chat_->messages_.reserve(chat_->messages_.size() + 1);
  chat_->end_reply();
  chat_->reply_ = this;
}

ChatReply::~ChatReply() { break_off(); }

void ChatReply::take(const Generation::Piece& piece) {
  const Chat::Lock lock(chat_->mutex_);
  if (message_ == nullptr) return;
  message_->content += piece.text;
  if (piece.finish == BITNET_FINISH_NOT) {
    last_ = piece.token;
    return;
  }
  if (special_ && piece.finish == BITNET_FINISH_END_TOKEN) cut_end_token();
  end(true);
}

// The template writes it.
void ChatReply::cut_end_token() {
  const std::string spelling = chat_->session_->runtime().tokenizer().piece(last_);
  if (message_->content.ends_with(spelling)) message_->content.resize(message_->content.size() - spelling.size());
}

void ChatReply::break_off() {
  const Chat::Lock lock(chat_->mutex_);
  end(false);
}

// Only what was reserved is taken: this cannot fail.
void ChatReply::end(bool complete) {
  if (message_ == nullptr) return;
  chat_->reply_ = nullptr;
  std::unique_ptr<const Message> message = std::move(message_);
  if (message->content.empty() && !complete) return;
  auto& all = chat_->messages_;
  if (replaced_ != nullptr && !all.empty() && all.back().get() == replaced_) all.pop_back();
  all.push_back(std::move(message));
}

}  // namespace bitnet
