// SPDX-License-Identifier: MIT
// Tells a host program's thread which of its submissions have come to something.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>

namespace bitnet {

class CompletionQueue {
 public:
  // One submission. It is the caller's, who removes it before it goes; pushing allocates nothing.
  struct Ticket {
    std::shared_ptr<CompletionQueue> queue;
    void* user = nullptr;
    std::atomic<bool> pending{false};  // from submission until the queue has given it back
    bool listed = false;
    Ticket* next = nullptr;
  };

  static void push(Ticket& ticket) { ticket.queue->push_back(ticket); }
  // It is no longer pending.
  static void remove(Ticket& ticket) {
    if (ticket.queue != nullptr) ticket.queue->erase(ticket);
  }

  // Takes the oldest ticket, and gives its user. Waits for one as long as `patience`, or until somebody calls wake();
  // then returns false.
  bool next(std::chrono::milliseconds patience, void*& user);
  // The call of next() that waits, or else the next that would, returns false.
  void wake();

 private:
  void push_back(Ticket& ticket);
  void erase(Ticket& ticket);

  std::mutex mutex_;
  std::condition_variable changed_;
  Ticket* first_ = nullptr;
  Ticket* last_ = nullptr;
  bool woken_ = false;
};

}  // namespace bitnet
