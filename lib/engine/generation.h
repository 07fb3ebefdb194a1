// SPDX-License-Identifier: MIT
// Text being generated in a session, piece by piece.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bitnet.h"
#include "engine/completion_queue.h"
#include "engine/seat.h"
#include "engine/session.h"
#include "sample/sampler.h"
#include "text/decoder.h"

namespace bitnet {

struct GenerationOptions {
  uint32_t max_tokens = 0;
  uint32_t flags = 0;
  SamplerOptions sampler;
  std::vector<std::string> stop;
};

// Tokens are drawn by the engine (engine.h), one ahead of those that have been given out at most.
class Generation final : Follower {
 public:
  // The prompt follows what the session holds, or with BITNET_GENERATE_WHOLE replaces it.
  Generation(std::shared_ptr<Session> session, std::vector<Token> prompt, GenerationOptions options);
  ~Generation() override;
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  struct Piece {
    std::string text;
    Token token = kNoToken;
    bitnet_finish finish = BITNET_FINISH_NOT;
  };
  // Gives the next token, and its text, which is valid until the next call. After the last, gives a piece with the
  // reason in `finish`.
  const Piece& next();
  // Has the queue give `user` when next() will return without waiting.
  void submit(std::shared_ptr<CompletionQueue> queue, void* user);

  // From any thread.
  void cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  bool is_cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

 private:
  friend bool Session::is_free_for(const Generation* generation) const;

  Next follow(bool leads) noexcept override;
  Next go_on(bool leads);
  bool ask_next();
  void release();
  void write_end();

  void require_not_submitted() const;
  void require_not_cancelled();
  void get_ready();
  void start();
  bool has_seat() const;
  const Piece& take();
  void stop();
  bool leave_seat();

  Engine& engine() { return *session_->engine_; }
  Seat& seat() { return session_->seat_; }

  const std::shared_ptr<Session> session_;
  const GenerationOptions options_;
  const std::vector<Token> prompt_;
  CompletionQueue::Ticket ticket_;
  Piece piece_;         // the latest that was given out
  bool ended_ = false;  // its `finish` says why
  uint32_t given_ = 0;  // tokens
  std::atomic<bool> cancelled_{false};

  // What follows is of the thread that goes on, and when there is an answer, of the one that takes it.
  Sampler sampler_;
  StreamDecoder decoder_;
  std::string held_;                          // text not given out yet, because a stop string may begin in it
  std::span<const Token> asked_;              // what is being evaluated
  bool taken_over_ = false;                   // that has been done
  uint32_t begin_ = 0;                        // position of the first token drawn
  uint32_t count_ = 0;                        // tokens drawn
  Token drawn_ = kNoToken;                    // the latest
  bitnet_finish ending_ = BITNET_FINISH_NOT;  // why the next answer is the last
  Piece ready_;                               // the answer
  std::exception_ptr error_;                  // in its place, for good
};

}  // namespace bitnet
