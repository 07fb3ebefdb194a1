// SPDX-License-Identifier: MIT
#include "engine/generation.h"

#include <algorithm>
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

Generation::Generation(Session& session, std::vector<Token> prompt, GenerationOptions options)
    : session_(session),
      options_(std::move(options)),
      sampler_(options_.sampler),
      decoder_(session.runtime().tokenizer(),
               {.special = (options_.flags & BITNET_GENERATE_SPECIAL_OUTPUT) != 0, .continuation = true}),
      prompt_(std::move(prompt)) {
  const bool whole = (options_.flags & BITNET_GENERATE_WHOLE) != 0;
  require(!prompt_.empty() || (!whole && session.position() > 0), BITNET_ERROR_ARGUMENT,
          "there is nothing to go on from: the prompt and the session are both empty");
  sampler_.check_tokens(session.runtime().model().hyper.vocabulary);
  for (const std::string& stop : options_.stop) {
    require(!stop.empty(), BITNET_ERROR_ARGUMENT, "a stop string is empty");
  }
}

Generation::Piece Generation::next() {
  if (finish_ != BITNET_FINISH_NOT) return {{}, kNoToken, finish_};
  require(!cancelled_, BITNET_ERROR_CANCELLED, "the generation was cancelled");
  if (!started_) {
    start();
  } else if (session_.position() < session_.context()) {
    session_.eval({&drawn_, 1}, BITNET_LOGITS_LAST, &cancelled_);
  } else if (ending_ == BITNET_FINISH_NOT) {
    ending_ = BITNET_FINISH_CONTEXT;
  }
  if (ending_ != BITNET_FINISH_NOT) return end();

  drawn_ = session_.sample(sampler_);
  count_++;
  if (session_.runtime().tokenizer().is_end_of_generation(drawn_) &&
      (options_.flags & BITNET_GENERATE_IGNORE_END) == 0) {
    ending_ = BITNET_FINISH_END_TOKEN;
  } else if (count_ == options_.max_tokens) {
    ending_ = BITNET_FINISH_MAX_TOKENS;
  }
  held_ += decoder_.push(drawn_);
  release();
  return {text_, drawn_, BITNET_FINISH_NOT};
}

// Moves to text_ what no stop string can take back.
void Generation::release() {
  size_t ready = held_.size() - begun_stop(held_, options_.stop);
  if (const size_t stop = find_stop(held_, options_.stop); stop != std::string::npos) {
    ending_ = BITNET_FINISH_STOP;
    held_.resize(stop);
    ready = stop;
  }
  text_.assign(held_, 0, ready);
  held_.erase(0, ready);
}

// The last of the text, and the reason.
Generation::Piece Generation::end() {
  if (ending_ != BITNET_FINISH_STOP) held_ += decoder_.finish();
  text_ = std::exchange(held_, {});
  finish_ = ending_;
  return {text_, kNoToken, finish_};
}

// Evaluates the prompt, but for what the session holds of it already.
void Generation::start() {
  std::span<const Token> prompt = prompt_;
  if ((options_.flags & BITNET_GENERATE_WHOLE) != 0) {
    const auto held = session_.tokens();
    const auto same = std::mismatch(held.begin(), held.end(), prompt.begin(), prompt.end()).second - prompt.begin();
    // The last token is evaluated in any case, for its logits.
    const size_t kept = std::min<size_t>(same, prompt.size() - 1);
    require(prompt.size() <= session_.context(), BITNET_ERROR_CONTEXT, "the prompt of ",
            counted(prompt.size(), "token"), " does not fit a session of ", session_.context());
    session_.rewind(static_cast<uint32_t>(kept));
    prompt = prompt.subspan(kept);
  }
  if (!prompt.empty()) {
    session_.eval(prompt, BITNET_LOGITS_LAST, &cancelled_);
  } else if (session_.logits_rows() == 0) {
    require(session_.position() > 0, BITNET_ERROR_ARGUMENT, "the session was emptied before its generation began");
    const Token last = session_.tokens().back();
    session_.rewind(session_.position() - 1);
    session_.eval({&last, 1}, BITNET_LOGITS_LAST, &cancelled_);
  }
  started_ = true;
}

}  // namespace bitnet
