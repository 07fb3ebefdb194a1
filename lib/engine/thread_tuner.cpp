// SPDX-License-Identifier: MIT
#include "engine/thread_tuner.h"

#include <algorithm>

namespace bitnet {

void ThreadTuner::record(Duration time) {
  if (fixed_) return;
  if (trial_ != 0) {
    const auto limit = std::chrono::duration<double, std::nano>(usual()) * (1 - kGain);
    if (time > limit) return end_trial(false);
    if (++wins_ == kTrials) end_trial(true);
    return;
  }
  latest_[count_++ % kFirst] = time;
  if (count_ >= wait_) begin_trial();
}

void ThreadTuner::begin_trial() {
  if (threads_ == 1) down_ = false;
  if (threads_ == most_) down_ = true;
  trial_ = down_ ? threads_ / 2 : std::min(threads_ * 2, most_);
  wins_ = 0;
}

void ThreadTuner::end_trial(bool won) {
  if (won) threads_ = trial_;
  wait_ = won ? kFirst : kInterval;
  if (!won) down_ = !down_;
  count_ = 0;
  trial_ = 0;
}

ThreadTuner::Duration ThreadTuner::usual() const {
  auto sorted = latest_;
  std::nth_element(sorted.begin(), sorted.begin() + kFirst / 2, sorted.end());
  return sorted[kFirst / 2];
}

}  // namespace bitnet
