// SPDX-License-Identifier: MIT
// One sequence of tokens being evaluated: its KV cache, its last logits, and the threads and work space for more.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "bitnet.h"
#include "engine/forward.h"
#include "engine/kv_cache.h"
#include "engine/runtime.h"
#include "engine/thread_pool.h"
#include "engine/thread_tuner.h"
#include "sample/sampler.h"

namespace bitnet {

// As in the program's options: f16, int8, int16.
const char* kv_name(KvType type);

struct SessionOptions {
  uint32_t context = 0;
  uint32_t threads = 0;
  uint32_t generation_threads = 0;  // 0: found while generating
  uint32_t batch = 0;
  KvType kv = KvType::int16;
  bitnet_parallel_fn parallel = nullptr;
  void* parallel_user = nullptr;
  int (*abort)(void* user) = nullptr;
  void* abort_user = nullptr;
};

struct Perf {
  uint64_t prompt_tokens = 0, prompt_ns = 0;
  uint64_t generated_tokens = 0, generated_ns = 0;
  uint64_t sampled_tokens = 0, sample_ns = 0;
};

// Of a session for which nobody names a context: what the model was trained for, but no more than most programs want
// and most machines can hold. Never a function of the memory that is free: the same program must end its texts at the
// same place everywhere.
constexpr uint32_t kMostDefaultContext = 8192;
constexpr uint32_t default_context(uint32_t trained) {
  return trained < kMostDefaultContext ? trained : kMostDefaultContext;
}

class Session {
 public:
  Session(std::shared_ptr<const Runtime> runtime, const SessionOptions& options);
  // The same, but where there is not enough memory, the error says how much was needed and what takes less.
  static std::shared_ptr<Session> create(std::shared_ptr<const Runtime> runtime, const SessionOptions& options);
  std::shared_ptr<Session> fork() const;

  // What a session takes besides the model.
  static uint64_t bytes(const Model& model, const SessionOptions& options);

  const Runtime& runtime() const { return *runtime_; }
  const std::shared_ptr<const Runtime>& shared_runtime() const { return runtime_; }
  uint32_t position() const { return static_cast<uint32_t>(tokens_.size()); }
  uint32_t context() const { return cache_.context(); }
  std::span<const Token> tokens() const { return tokens_; }
  void rewind(uint32_t position);

  // Logits of row `index` of the last evaluation, and how many rows there are. Where the model's head has a screen,
  // those of a last token are computed only when they are asked for here, but for a session in a batch whose logits
  // before were all asked for: then a batch computes them together.
  std::span<const float> logits(size_t index) const;
  size_t logits_rows() const { return logits_rows_; }

  // All or nothing. *cancel, where given, cancels like options.abort does.
  void eval(std::span<const Token> tokens, bitnet_logits_of which, const std::atomic<bool>* cancel = nullptr);

  struct Item {
    Session* session;
    std::span<const Token> tokens;
    bitnet_logits_of which;
  };
  static void eval_batch(std::span<const Item> items, const std::atomic<bool>* cancel = nullptr);

  // Draws a token from the last row of logits; the session's tokens count as recent.
  Token sample(Sampler& sampler);

  // session_state.cpp: tokens and KV cache as a compressed, checksummed block of bytes.
  std::vector<std::byte> save() const;
  void load(std::span<const std::byte> state);

  Perf perf;

 private:
  // What forks share: only one of them computes at a time.
  struct Compute {
    Compute(const Runtime& runtime, const SessionOptions& options);
    bool run(const std::function<bool()>& cancelled);
    void screen(std::span<const Item> items);

    std::mutex mutex;
    const uint32_t most_threads;
    ThreadPool threads;
    ThreadTuner tuner;
    ForwardPass forward;
    std::vector<Row> rows;  // with room for a batch
  };
  class Rows;

  Session(const Session& other);

  std::vector<std::byte> pack_state() const;

  size_t vocabulary() const { return runtime_->model().hyper.vocabulary; }
  void check(const Item& item) const;
  bool leaves_logits(const Item& item, bool alone) const;
  void prepare_logits(const Item& item, bool later);
  std::span<const float> all_logits(size_t index) const;
  bool sample_largest(Sampler& sampler, Token& token);
  void advance(const Item& item, uint64_t elapsed);

  std::shared_ptr<const Runtime> runtime_;
  SessionOptions options_;  // with defaults filled in
  std::shared_ptr<Compute> compute_;
  KvCache cache_;
  std::vector<Token> tokens_;  // has room for `context` of them
  mutable std::vector<float> logits_;
  size_t logits_rows_ = 0;
  std::vector<float> hidden_;          // of the last token
  mutable bool logits_later_ = false;  // row 0 of the logits is still to be computed from hidden_
  mutable bool all_wanted_ = false;    // some use of the last logits takes all of them
  Screened screened_;
  bool is_screened_ = false;  // from hidden_
};

}  // namespace bitnet
