// SPDX-License-Identifier: MIT
// bitnet bench --sessions: several sessions that generate at once, each from a thread of its own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/run.h"
#include "options.h"

namespace bitnet::program {

// How a program gets its tokens.
enum class SessionCalls : uint8_t {
  eval,   // a thread for each session calls bitnet_eval and bitnet_sample
  next,   // a thread for each session calls bitnet_generation_next
  queue,  // one thread for all submits generations, and waits at a queue
};

struct SessionsBench {
  std::vector<uint32_t> sessions;  // at once; none: this is not measured
  SessionCalls calls = SessionCalls::eval;
  uint32_t top_k = 0;     // 0: the likeliest token
  uint32_t pause = 0;     // microseconds that a thread works between two tokens
  uint32_t arriving = 0;  // tokens of a prompt that another session evaluates meanwhile
};

// Measures run.test.batch sessions, and adds what they got.
void measure_sessions(bitnet_model* model, const SessionsBench& bench, bitnet_kv kv, uint32_t repetitions, Run& run);

}  // namespace bitnet::program
