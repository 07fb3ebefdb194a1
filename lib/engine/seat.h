// SPDX-License-Identifier: MIT
// A session's place in its engine: what it has asked for, and how far that has come.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <span>

#include "bitnet.h"
#include "engine/head.h"
#include "engine/kv_cache.h"
#include "kernels.h"

namespace bitnet {

struct Caller;

// One evaluation: tokens that follow one another, and where their logits go.
struct Request {
  std::span<const Token> tokens;
  uint32_t position = 0;  // of the first
  KvCache* cache = nullptr;
  bitnet_logits_of which = BITNET_LOGITS_NONE;
  float* logits = nullptr;  // ALL: a row for each token; LAST: one row
  // LAST, where the head has a screen: what it multiplies, and what the screen says of that, in place of the logits.
  float* hidden = nullptr;
  Screened* screened = nullptr;
  bool wants_all = false;  // the logits rather than these, if others are computed as well
  // Any of these makes it leave; null: none.
  const std::atomic<bool>* cancels[2] = {};
  int (*abort)(void* user) = nullptr;  // asked by the caller
  void* abort_user = nullptr;
};

// Is at the same address as long as its engine knows it. From run() on all but `aborted` belongs to the engine.
struct Seat {
  enum class State : uint8_t {
    none,
    waiting,    // for a pass
    computing,  // in the current pass
    done,
    cancelled,
    failed,
  };
  using Time = std::chrono::steady_clock::time_point;

  Request request;
  State state = State::none;
  uint32_t computed = 0;                   // tokens
  uint32_t rows = 0;                       // in the current pass
  uint64_t nanoseconds = 0;                // the session's share of its passes
  uint64_t passes = 0, pass_sessions = 0;  // how many, and the sessions in them, summed
  bool logits_later = false;               // `hidden` has been stored, not `logits`
  bool screened = false;                   // `screened` has been filled
  std::exception_ptr error;                // of a failed one
  Caller* caller = nullptr;
  std::atomic<bool> aborted{false};

  // Whether passes wait for this session's next request.
  Time left = {};     // when its latest request was done
  bool quick = true;  // it came back in time after that
  bool awaited = false;

  uint32_t remaining() const { return static_cast<uint32_t>(request.tokens.size()) - computed; }
  bool wants_out() const {
    if (aborted.load(std::memory_order_relaxed)) return true;
    for (const auto* cancel : request.cancels) {
      if (cancel != nullptr && cancel->load(std::memory_order_relaxed)) return true;
    }
    return false;
  }
};

}  // namespace bitnet
