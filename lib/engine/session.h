// SPDX-License-Identifier: MIT
// One sequence of tokens being evaluated: its state and its last logits.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "base/buffer.h"
#include "base/error.h"
#include "base/waiting.h"
#include "bitnet.h"
#include "engine/backend.h"
#include "engine/engine.h"
#include "engine/runtime.h"
#include "engine/seat.h"
#include "sample/sampler.h"

namespace bitnet {

// As in the program's options: f16, int8, int16.
const char* kv_name(KvType type);

struct SessionOptions {
  uint32_t context = 0;
  KvType kv = KvType::int16;
  uint64_t prefix_scope = 0;  // sessions with the same one share what they have computed of the same tokens; 0: none
  Priority priority = Priority::interactive;
  int (*abort)(void* user) = nullptr;
  void* abort_user = nullptr;
};

struct Perf {
  uint64_t prompt_tokens = 0, prompt_ns = 0;
  uint64_t generated_tokens = 0, generated_ns = 0;
  uint64_t sampled_tokens = 0, sample_ns = 0;
  uint64_t passes = 0, pass_sessions = 0;
  uint64_t reused_tokens = 0;
};

// Of a session for which nobody names a context: what the model was trained for, but no more than most programs want
// and most machines can hold. Never a function of the memory that is free: the same program must end its texts at the
// same place everywhere.
constexpr uint32_t kMostDefaultContext = 8192;
constexpr uint32_t default_context(uint32_t trained) {
  return trained < kMostDefaultContext ? trained : kMostDefaultContext;
}

class Generation;

class Session {
 public:
  // With defaults filled in.
  Session(std::shared_ptr<Engine> engine, const SessionOptions& options);
  ~Session();
  // The same, but where there is not enough memory, the error says how much was needed and what takes less.
  static std::shared_ptr<Session> create(std::shared_ptr<Engine> engine, const SessionOptions& options);
  std::shared_ptr<Session> fork() const;

  // What a session takes besides the model and its engine.
  static uint64_t bytes(const Model& model, const SessionOptions& options);

  const Runtime& runtime() const { return engine_->runtime(); }
  const std::shared_ptr<const Runtime>& shared_runtime() const { return engine_->shared_runtime(); }
  uint32_t position() const { return position_.load(std::memory_order_acquire); }
  uint32_t context() const { return options_.context; }
  std::span<const Token> tokens() const { return {tokens_.as<Token>(), position()}; }
  void rewind(uint32_t position);

  // Logits of row `index` of the last evaluation, and how many rows there are. Where the model's head has a screen,
  // those of a last token are computed only when they are asked for here, but for a session beside others whose logits
  // before were all asked for: then a pass computes them.
  std::span<const float> logits(size_t index) const;
  size_t logits_rows() const { return logits_rows_; }

  // All or nothing.
  void eval(std::span<const Token> tokens, bitnet_logits_of which);

  struct Item {
    Session* session;
    std::span<const Token> tokens;
    bitnet_logits_of which;
  };
  // Nothing, where an item cannot be evaluated. Otherwise each session is advanced, or cancelled, by itself.
  static void eval_batch(std::span<const Item> items);

  // Draws a token from the last row of logits; the session's tokens count as recent.
  Token sample(Sampler& sampler);

  // session_state.cpp: tokens and KV cache as a compressed, checksummed block of bytes.
  std::vector<std::byte> save() const;
  void load(std::span<const std::byte> state);

  // From any thread. Cancels the evaluation that runs, or else the next one; false takes it back.
  void cancel(bool on) { cancel_.store(on, std::memory_order_relaxed); }
  // Cancels the call that another thread is in, and waits until it has returned.
  void close();

  // Counters since the last reset. Thread-safe.
  Perf perf() const;
  void reset_perf();

 private:
  friend class Generation;  // whose requests go on without a call

  // The right to change the session, for one call at a time. While a generation is under way, only its calls have it.
  class Use {
   public:
    explicit Use(const Session& session, const Generation* generation = nullptr) : session_(&session) {
      require(!session.busy_.exchange(true, std::memory_order_acquire), BITNET_ERROR_BUSY,
              "the session is in use: another call has not returned");
      session.user_.store(std::this_thread::get_id(), std::memory_order_relaxed);
      if (session.is_free_for(generation)) return;
      release();
      fail(BITNET_ERROR_BUSY, "a generation uses the session: let it end, cancel or free it");
    }
    Use(Use&& other) noexcept : session_(std::exchange(other.session_, nullptr)) {}
    Use& operator=(Use&&) = delete;
    ~Use() {
      if (session_ != nullptr) release();
    }

   private:
    void release() {
      session_->user_.store({}, std::memory_order_relaxed);
      session_->busy_.store(false, std::memory_order_release);
      wake_all(session_->busy_);
    }
    const Session* session_;
  };

  Session(const Session& other);

  std::vector<std::byte> pack_state() const;
  void renew_state(size_t tokens);
  std::span<const float> last_logits(size_t index) const;

  bool is_free_for(const Generation* generation) const;
  size_t vocabulary() const { return runtime().model().hyper.vocabulary; }
  void check(std::span<const Token> tokens, bitnet_logits_of which) const;
  void ask(std::span<const Token> tokens, bitnet_logits_of which, const std::atomic<bool>* cancel = nullptr);
  void take_over();
  size_t reuse(std::span<const Token> tokens, bitnet_logits_of which);
  bool shares_prefixes() const { return options_.prefix_scope != 0 && !loaded_; }
  void cut(uint32_t position);
  void set_position(uint32_t position) { position_.store(position, std::memory_order_release); }
  std::optional<Token> draw(Sampler& sampler, bool with_head);
  bool draw_largest(Sampler& sampler, bool with_head, Token& token);
  bool find_largest(size_t count, std::span<const Token> also, std::vector<TokenLogit>& found);

  std::shared_ptr<Engine> engine_;
  SessionOptions options_;
  const std::unique_ptr<SequenceState> state_;
  Buffer tokens_;        // `context` of them
  bool loaded_ = false;  // the first of them, whose keys and values others must not trust
  std::atomic<uint32_t> position_{0};
  mutable Buffer logits_;  // at least one row
  size_t logits_rows_ = 0;
  Buffer hidden_;                      // of the last token
  mutable bool logits_later_ = false;  // row 0 of the logits is still to be computed from hidden_
  mutable bool all_wanted_ = false;    // some use of the last logits takes all of them
  Screened screened_;
  bool is_screened_ = false;  // from hidden_
  Seat seat_;
  mutable std::mutex perf_mutex_;
  Perf perf_;
  std::atomic<bool> cancel_{false};
  // One call at a time changes the session, or reads what others change.
  mutable std::atomic<bool> busy_{false};
  mutable std::atomic<std::thread::id> user_{};  // whose call that is
  mutable std::mutex generation_mutex_;
  mutable Generation* generation_ = nullptr;  // that is under way and has the seat
};

}  // namespace bitnet
