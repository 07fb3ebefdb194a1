// SPDX-License-Identifier: MIT
// How many threads generate tokens fastest.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>

namespace bitnet {

// Generation waits for memory, which fewer threads than there are cores may saturate; the others then only get in their
// way, the more so where cores are uneven or have other work. How many are best is found by trying, while generating:
//
//   - It begins with all threads. After kFirst tokens, and then after every kInterval, one token is computed with half
//     as many threads, the next time with twice as many, and so on in turn.
//   - If that one and the two after it each took kGain less time than the median of the tokens before, the new number
//     stays, and the next trial, in the same direction, follows soon. Otherwise the old one goes on, after one slower
//     token as a rule.
class ThreadTuner {
 public:
  using Duration = std::chrono::nanoseconds;

  // fixed: always `most`.
  ThreadTuner(uint32_t most, bool fixed) : most_(most), threads_(most), fixed_(fixed || most == 1) {}

  uint32_t threads() const { return trial_ != 0 ? trial_ : threads_; }  // for the next token
  void record(Duration time);                                           // that the last token took with threads()

 private:
  static constexpr uint32_t kFirst = 8, kInterval = 256;
  static constexpr uint32_t kTrials = 3;
  static constexpr double kGain = 0.04;

  void begin_trial();
  void end_trial(bool won);
  Duration usual() const;

  const uint32_t most_;
  uint32_t threads_;
  const bool fixed_;
  std::array<Duration, kFirst> latest_ = {};  // tokens with threads_
  uint32_t count_ = 0;                        // of all tokens with threads_ since the last trial
  uint32_t wait_ = kFirst;                    // for the next trial
  bool down_ = true;                          // whether that is with fewer
  uint32_t trial_ = 0;                        // threads tried now; 0: none
  uint32_t wins_ = 0;
};

}  // namespace bitnet
