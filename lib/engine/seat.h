// SPDX-License-Identifier: MIT
// A session's place in its engine: what it has asked for, and how far that has come.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <span>

#include "bitnet.h"
#include "engine/backend.h"
#include "engine/completion_queue.h"
#include "engine/screen.h"
#include "text/vocabulary.h"

namespace bitnet {

struct Caller;

// One evaluation: tokens that follow one another, and where their logits go.
struct Request {
  std::span<const Token> tokens;
  uint32_t position = 0;  // of the first
  SequenceState* state = nullptr;
  bitnet_logits_of which = BITNET_LOGITS_NONE;
  float* logits = nullptr;  // ALL: a row for each token; LAST: one row
  // LAST, where the head has a screen: what it multiplies, and what the screen says of that, in place of the logits.
  float* hidden = nullptr;
  Screened* screened = nullptr;
  bool wants_all = false;  // the logits rather than these, if others are computed as well
  bool has_room = true;    // in the state; otherwise it waits for that
  // With NONE: hidden states, what a head would multiply, of `states` tokens from `first_state` on, a row for each.
  float* state_rows = nullptr;
  uint32_t first_state = 0, states = 0;
  // Any of these makes it leave; null: none.
  const std::atomic<bool>* cancels[2] = {};
};

// What goes on after each request without a caller's help: a generation, which draws a token and has it evaluated.
class Follower {
 public:
  enum class Next : uint8_t {
    request,     // an answer is there for the caller, and seat.request is the next one
    nothing,     // an answer is there
    needs_head,  // nothing yet: what it wants takes all threads
  };
  // After the seat's request is done. Where `leads`, no pass runs, and it may use Engine::alone(); otherwise others do
  // the same beside it.
  virtual Next follow(bool leads) noexcept = 0;
  virtual ~Follower() = default;
};

enum class Priority : uint8_t { interactive, background };

// Is at the same address as long as its engine knows it. From the time at which a request is entered until it is
// answered or withdrawn, all but `aborted` belongs to the engine.
struct Seat {
  enum class State : uint8_t {
    none,
    starved,    // waits for room in its state
    waiting,    // for a pass
    computing,  // in the current pass
    following,  // done; its follower is at work
    held,       // done; its follower waits until the answer before is taken
    done,
    cancelled,
    failed,
  };
  using Time = std::chrono::steady_clock::time_point;

  // Once for all.
  Priority priority = Priority::interactive;
  int (*abort)(void* user) = nullptr;  // asked by a caller; makes it leave as well
  void* abort_user = nullptr;

  Request request;
  State state = State::none;
  uint32_t computed = 0;                   // tokens
  uint32_t rows = 0;                       // in the current pass
  uint64_t nanoseconds = 0;                // the session's share of its passes
  uint64_t passes = 0, pass_sessions = 0;  // how many, and the sessions in them, summed
  bool logits_later = false;               // `hidden` has been stored, not `logits`
  bool screened = false;                   // `screened` has been filled
  std::exception_ptr error;                // of a failed one
  Time patience_ends = {};                 // of a starved one
  std::atomic<bool> aborted{false};

  Follower* follower = nullptr;  // null: requests are single
  bool answered = false;         // by the follower; nobody has taken that
  // Who is told when the request, or with a follower the answer, is there: a thread that waits, a queue, or nobody, who
  // then comes and looks.
  Caller* caller = nullptr;
  CompletionQueue::Ticket* ticket = nullptr;
  bool driven = false;  // passes are computed for it also while nobody waits

  // Whether passes wait for this session's next request.
  Time left = {};     // when its latest request was done
  bool quick = true;  // it came back in time after that
  bool awaited = false;

  uint32_t remaining() const { return static_cast<uint32_t>(request.tokens.size()) - computed; }
  bool is_under_way() const {
    switch (state) {
      case State::starved:
      case State::waiting:
      case State::computing:
      case State::following:
      case State::held:
        return true;
      case State::none:
      case State::done:
      case State::cancelled:
      case State::failed:
        return false;
    }
    return false;
  }
  bool generates() const { return remaining() == 1; }
  bool wants_out() const {
    if (aborted.load(std::memory_order_relaxed)) return true;
    for (const auto* cancel : request.cancels) {
      if (cancel != nullptr && cancel->load(std::memory_order_relaxed)) return true;
    }
    return false;
  }
};

}  // namespace bitnet
