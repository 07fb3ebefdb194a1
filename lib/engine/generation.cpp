// SPDX-License-Identifier: MIT
#include "engine/generation.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/error.h"

namespace bitnet {
namespace {

// Where the first of the stop strings begins in the text; npos if none is there.
size_t find_stop(std::string_view text, const std::vector<std::string>& stops) {
  size_t first = std::string_view::npos;
  for (const std::string& stop : stops) first = std::min(first, text.find(stop));
  return first;
}

// Length of the longest end of the text that a stop string begins with.
size_t begun_stop(std::string_view text, const std::vector<std::string>& stops) {
  size_t longest = 0;
  for (const std::string& stop : stops) {
    for (size_t n = std::min(text.size(), stop.size() - 1); n > longest; n--) {
      if (text.ends_with(std::string_view(stop).substr(0, n))) longest = n;
    }
  }
  return longest;
}

}  // namespace

Generation::Generation(std::shared_ptr<Session> session, std::vector<Token> prompt, GenerationOptions options)
    : session_(std::move(session)),
      options_(std::move(options)),
      prompt_(std::move(prompt)),
      sampler_(options_.sampler),
      decoder_(session_->runtime().tokenizer(),
               {.special = (options_.flags & BITNET_GENERATE_SPECIAL_OUTPUT) != 0, .continuation = true}) {
  const bool whole = (options_.flags & BITNET_GENERATE_WHOLE) != 0;
  require(!prompt_.empty() || (!whole && session_->position() > 0), BITNET_ERROR_ARGUMENT,
          "there is nothing to go on from: the prompt and the session are both empty");
  sampler_.check_tokens(session_->runtime().model().hyper.vocabulary);
  for (const std::string& stop : options_.stop) {
    require(!stop.empty(), BITNET_ERROR_ARGUMENT, "a stop string is empty");
  }
}

Generation::~Generation() {
  stop();
  CompletionQueue::remove(ticket_);
}

bool Session::is_free_for(const Generation* generation) const {
  const std::lock_guard lock(generation_mutex_);
  Generation* const other = generation_;
  if (other != nullptr && other != generation && other->is_cancelled() && other->leave_seat()) {
    CompletionQueue::push(other->ticket_);  // whoever waits for it hears that it was cancelled
  }
  return generation_ == nullptr || generation_ == generation;
}

const Generation::Piece& Generation::next() {
  require_not_submitted();
  if (ended_) {
    piece_.text.clear();
    return piece_;
  }
  const Session::Use use(*session_, this);
  get_ready();
  if (!engine().await(seat())) {
    require_not_cancelled();
    session_->take_over();  // says what is wrong
  }
  return take();
}

void Generation::submit(std::shared_ptr<CompletionQueue> queue, void* user) {
  require_not_submitted();
  const bool comes_at_once = ended_ || cancelled_ || error_ != nullptr;
  std::optional<Session::Use> use;
  if (!comes_at_once) {
    use.emplace(*session_, this);
    get_ready();
  }
  ticket_.queue = std::move(queue);
  ticket_.user = user;
  ticket_.pending = true;
  if (comes_at_once) return CompletionQueue::push(ticket_);
  try {
    engine().submit(seat(), ticket_);
  } catch (...) {
    ticket_.pending = false;
    throw;
  }
}

void Generation::require_not_submitted() const {
  require(!ticket_.pending, BITNET_ERROR_BUSY,
          "the generation has been submitted, and its queue has not given it back");
}

void Generation::require_not_cancelled() {
  if (!cancelled_) return;
  stop();
  fail(BITNET_ERROR_CANCELLED, "the generation was cancelled");
}

// Has the engine work on an answer, if it does not already.
void Generation::get_ready() {
  require_not_cancelled();
  if (!has_seat()) start();
  if (!engine().is_idle(seat())) return;
  if (taken_over_) return engine().proceed(seat());
  session_->ask(asked_, BITNET_LOGITS_LAST, &cancelled_);
  engine().enter(seat());
}

// Has the prompt evaluated, but for what the session holds of it already.
void Generation::start() {
  std::span<const Token> prompt = prompt_;
  if ((options_.flags & BITNET_GENERATE_WHOLE) != 0) {
    const auto held = session_->tokens();
    const auto same = std::mismatch(held.begin(), held.end(), prompt.begin(), prompt.end()).second - prompt.begin();
    // The last token is evaluated in any case, for its logits.
    const size_t kept = std::min<size_t>(same, prompt.size() - 1);
    require(prompt.size() <= session_->context(), BITNET_ERROR_CONTEXT, "the prompt of ",
            counted(prompt.size(), "token"), " does not fit a session of ", session_->context());
    session_->cut(static_cast<uint32_t>(kept));
    prompt = prompt.subspan(kept);
  } else if (prompt.empty() && session_->logits_rows() == 0) {
    require(session_->position() > 0, BITNET_ERROR_ARGUMENT, "the session was emptied before its generation began");
    drawn_ = session_->tokens().back();
    session_->cut(session_->position() - 1);
    prompt = {&drawn_, 1};
  }
  if (!prompt.empty()) session_->check(prompt, BITNET_LOGITS_LAST);
  asked_ = prompt;
  taken_over_ = prompt.empty();
  const std::lock_guard lock(session_->generation_mutex_);
  seat().follower = this;
  session_->generation_ = this;
}

bool Generation::has_seat() const {
  const std::lock_guard lock(session_->generation_mutex_);
  return session_->generation_ == this;
}

// Gives the answer out.
const Generation::Piece& Generation::take() {
  if (error_ != nullptr) std::rethrow_exception(error_);
  std::swap(piece_, ready_);
  ended_ = piece_.finish != BITNET_FINISH_NOT;
  if (!ended_) given_++;
  engine().take(seat());
  if (!ended_) return piece_;
  const std::lock_guard lock(session_->generation_mutex_);
  seat().follower = nullptr;
  session_->generation_ = nullptr;
  return piece_;
}

// Before its end, if it is not over.
void Generation::stop() {
  const std::lock_guard lock(session_->generation_mutex_);
  if (session_->generation_ == this) leave_seat();
}

// The session then holds the same, however far ahead the engine was: every token given out but the last.
// Returns whether a submission has not been answered.
bool Generation::leave_seat() {
  const bool submitted = engine().withdraw(seat());
  session_->cut(count_ == 0 ? session_->position() : begin_ + std::max(given_, 1u) - 1);
  seat().follower = nullptr;
  session_->generation_ = nullptr;
  return submitted;
}

// ---------------------------------------------------------------------------------------- after each evaluation

Follower::Next Generation::follow(bool leads) noexcept {
  try {
    return go_on(leads);
  } catch (...) {
    error_ = std::current_exception();
    return Next::nothing;
  }
}

// Draws a token, and asks for its evaluation.
Follower::Next Generation::go_on(bool leads) {
  if (!taken_over_) session_->take_over();
  taken_over_ = true;
  if (ending_ != BITNET_FINISH_NOT) {
    write_end();
    return Next::nothing;
  }
  const std::optional<Token> token = session_->draw(sampler_, leads);
  if (!token) return Next::needs_head;
  drawn_ = *token;
  if (count_++ == 0) begin_ = session_->position();
  if (session_->runtime().tokenizer().is_end_of_generation(drawn_) &&
      (options_.flags & BITNET_GENERATE_IGNORE_END) == 0) {
    ending_ = BITNET_FINISH_END_TOKEN;
  } else if (count_ == options_.max_tokens) {
    ending_ = BITNET_FINISH_MAX_TOKENS;
  }
  held_ += decoder_.push(drawn_);
  release();
  ready_.token = drawn_;
  ready_.finish = BITNET_FINISH_NOT;
  return ask_next() ? Next::request : Next::nothing;
}

// Moves to the answer what no stop string can take back.
void Generation::release() {
  size_t ready = held_.size() - begun_stop(held_, options_.stop);
  if (const size_t stop = find_stop(held_, options_.stop); stop != std::string::npos) {
    ending_ = BITNET_FINISH_STOP;
    held_.resize(stop);
    ready = stop;
  }
  ready_.text.assign(held_, 0, ready);
  held_.erase(0, ready);
}

// The last of the text, and the reason.
void Generation::write_end() {
  if (ending_ != BITNET_FINISH_STOP) held_ += decoder_.finish();
  ready_.text = std::exchange(held_, {});
  ready_.token = kNoToken;
  ready_.finish = ending_;
}

// The token drawn is evaluated in any case, so that the session holds it, unless there is no room.
bool Generation::ask_next() {
  if (session_->position() == session_->context()) {
    if (ending_ == BITNET_FINISH_NOT) ending_ = BITNET_FINISH_CONTEXT;
    return false;
  }
  asked_ = {&drawn_, 1};
  taken_over_ = false;
  session_->ask(asked_, BITNET_LOGITS_LAST, &cancelled_);
  return true;
}

}  // namespace bitnet
