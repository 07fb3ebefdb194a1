// SPDX-License-Identifier: MIT
// Text being generated in a session, pulled token by token.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bitnet.h"
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

class Generation {
 public:
  // The prompt follows what the session holds, or with BITNET_GENERATE_WHOLE replaces it.
  Generation(Session& session, std::vector<Token> prompt, GenerationOptions options);

  struct Piece {
    std::string_view text;  // valid until the next call
    Token token;
    bitnet_finish finish;
  };
  // Evaluates the token drawn before (at first, the prompt) and draws one. After the last, gives a piece with the
  // reason in `finish`.
  Piece next();

  void cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  bool is_cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

 private:
  void start();
  void release();
  Piece end();

  Session& session_;
  const GenerationOptions options_;
  Sampler sampler_;
  StreamDecoder decoder_;
  std::vector<Token> prompt_;
  std::string held_;        // text not given out yet, because a stop string may begin in it
  std::string text_;        // of the latest piece
  Token drawn_ = kNoToken;  // given out, not evaluated yet
  uint32_t count_ = 0;
  bool started_ = false;
  bitnet_finish ending_ = BITNET_FINISH_NOT;  // why the next call will end it
  bitnet_finish finish_ = BITNET_FINISH_NOT;  // why it has ended
  std::atomic<bool> cancelled_{false};
};

}  // namespace bitnet
