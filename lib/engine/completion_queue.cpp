// SPDX-License-Identifier: MIT
#include "engine/completion_queue.h"

#include <utility>

namespace bitnet {

void CompletionQueue::push_back(Ticket& ticket) {
  const std::lock_guard lock(mutex_);
  ticket.next = nullptr;
  ticket.listed = true;
  (last_ != nullptr ? last_->next : first_) = &ticket;
  last_ = &ticket;
  changed_.notify_one();
}

void CompletionQueue::erase(Ticket& ticket) {
  const std::lock_guard lock(mutex_);
  ticket.pending = false;
  if (!std::exchange(ticket.listed, false)) return;
  Ticket* before = nullptr;
  Ticket** place = &first_;
  for (; *place != &ticket; place = &before->next) before = *place;
  *place = ticket.next;
  if (last_ == &ticket) last_ = before;
}

bool CompletionQueue::next(std::chrono::milliseconds patience, void*& user) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, patience, [&] { return first_ != nullptr || woken_; });
  if (std::exchange(woken_, false) || first_ == nullptr) return false;
  Ticket& ticket = *first_;
  first_ = ticket.next;
  if (first_ == nullptr) last_ = nullptr;
  ticket.listed = false;
  user = ticket.user;
  ticket.pending = false;  // from here on its owner may do with it what he likes
  return true;
}

void CompletionQueue::wake() {
  const std::lock_guard lock(mutex_);
  woken_ = true;
  changed_.notify_one();
}

}  // namespace bitnet
