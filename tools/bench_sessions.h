// SPDX-License-Identifier: MIT
// bitnet bench --sessions: several sessions that generate at once, each from a thread of its own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "options.h"

namespace bitnet::program {

// Arbitrary tokens, the same for each seed: speed does not depend on which they are.
std::vector<bitnet_token> some_tokens(uint32_t count, uint32_t vocabulary, uint32_t seed);

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

struct SessionsSetting {
  ModelOptions model;
  std::vector<std::string> models;
  std::vector<uint32_t> threads;
  bitnet_kv kv = BITNET_KV_DEFAULT;
  uint32_t prompt = 0, generate = 0, repetitions = 0;
  std::string output;  // table, json, csv or md
};

void bench_sessions(const SessionsBench& bench, SessionsSetting setting);

}  // namespace bitnet::program
