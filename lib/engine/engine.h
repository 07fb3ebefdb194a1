// SPDX-License-Identifier: MIT
// Computes what the sessions of one model ask for. What is ready together is computed together, in one pass over the
// weights.
//
// A caller that is alone leads its passes itself. The passes of several are led by a thread of the engine, which is
// started when they first meet: a caller that is cancelled can leave at once, and none runs what belongs to others.
// With the caller's own pool there is no such thread, and one of the callers leads.
//
// Sessions of a pass mostly come again at once, with the token that they have drawn. So the next pass waits for them a
// moment, or sessions would fall into groups that alternate: up to kPatience of the time of the last pass, and only as
// long as one comes every kGap. A session that misses this is not waited for until it is quick again. A session alone
// never waits.
//
// Results do not depend on what shares a pass.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "bitnet.h"
#include "engine/forward.h"
#include "engine/kv_pages.h"
#include "engine/pass_costs.h"
#include "engine/runtime.h"
#include "engine/seat.h"
#include "engine/thread_pool.h"
#include "engine/thread_tuner.h"

namespace bitnet {

// 51 pages, or 3264 tokens, of a model of the 2B-4T shape.
constexpr uint64_t kDefaultPrefixBytes = uint64_t{256} << 20;

struct EngineOptions {
  uint32_t threads = 0;
  uint32_t generation_threads = 0;  // of them, those that compute a row alone; 0: found while generating
  uint32_t batch = 0;               // the most rows in a pass
  uint64_t prefix_bytes = 0;        // the most that is kept of prefixes that no session holds; 0: kDefaultPrefixBytes
  bitnet_parallel_fn parallel = nullptr;
  void* parallel_user = nullptr;

  bool operator==(const EngineOptions&) const = default;
};
// With defaults filled in. Throws Error for counts out of range.
EngineOptions with_defaults(EngineOptions options);

// A thread that waits until what it asked for is done.
struct Caller {
  std::span<Seat* const> seats;
  size_t open;  // of them, those that are not done
  std::condition_variable changed = {};
};

class Engine {
 public:
  // `options` as with_defaults() gives them.
  Engine(std::shared_ptr<const Runtime> runtime, const EngineOptions& options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  static uint64_t bytes(const Model& model, const EngineOptions& options);

  const Runtime& runtime() const { return *runtime_; }
  const std::shared_ptr<const Runtime>& shared_runtime() const { return runtime_; }
  const EngineOptions& options() const { return options_; }
  KvPages& pages() { return pages_; }

  void add(Seat& seat);
  void remove(Seat& seat);

  // Computes the requests of the seats, and returns when each is done, cancelled or failed. They may share passes with
  // others, and a long one takes several. Thread-safe for different seats.
  void run(std::span<Seat* const> seats);

  // Runs function(head, threads) while no pass runs.
  template <typename Function>
  auto alone(const Function& function) {
    const Turn turn(*this);
    return function(forward_.head(), threads_);
  }
  // What may be asked of it while passes run.
  const Head& head() const { return forward_.head(); }

 private:
  using Clock = std::chrono::steady_clock;
  using Duration = std::chrono::nanoseconds;
  using Lock = std::unique_lock<std::mutex>;

  // The right to compute, for something else than a pass.
  class Turn {
   public:
    explicit Turn(Engine& engine);
    ~Turn();

   private:
    Engine& engine_;
  };

  void arrive(Seat& seat, Caller& caller);
  bool callers_may_lead() const;
  bool lone() const;
  void start_driver();
  void drive();
  void step(Lock& lock, Caller* leader, std::condition_variable& changed);
  void hand_over();
  void wait(Lock& lock, Caller& caller);
  Clock::time_point deadline() const;
  void stop_awaiting();

  void pass(Lock& lock, Caller* leader);
  void compose();
  uint32_t prompt_rows(uint32_t generating) const;
  void take(Seat& seat, uint32_t rows);
  void append_rows(bool lone);
  void want_last(Seat& seat, Row& row, bool lone);
  bool some_left(Caller* leader);
  void drop_waiting();
  void settle(Duration time, const std::exception_ptr& error);
  void finish(Seat& seat, Seat::State state);

  const std::shared_ptr<const Runtime> runtime_;
  const EngineOptions options_;
  KvPages pages_;
  ThreadPool threads_;
  ThreadTuner tuner_;
  ForwardPass forward_;

  std::mutex mutex_;                             // guards what follows, and the seats
  bool led_ = false;                             // a pass or a turn runs
  std::condition_variable* gatherer_ = nullptr;  // of who waits for those that are awaited
  bool stopping_ = false;
  uint32_t turns_waiting_ = 0;
  std::condition_variable turn_free_, driver_changed_;
  std::thread driver_;
  size_t seats_ = 0;
  std::vector<Seat*> queue_;    // requests that are not done, in the order in which they came
  std::vector<Seat*> awaited_;  // seats of the last pass that have not come again
  Clock::time_point latest_;    // when the last pass ended, or a request came since
  Clock::time_point pass_end_;
  Duration pass_time_{};
  Clock::time_point company_;  // when several callers were last seen
  PassCosts costs_;

  // Of the current pass:
  std::vector<Seat*> parts_;  // their rows lie one after the other
  std::vector<Seat*> prompts_;
  uint32_t room_ = 0;
  std::vector<Row> rows_;  // its leader's
};

// The engines of one model. Sessions that ask for the same share one.
class Engines {
 public:
  explicit Engines(std::shared_ptr<const Runtime> runtime) : runtime_(std::move(runtime)) {}

  const Runtime& runtime() const { return *runtime_; }
  std::shared_ptr<Engine> get(const EngineOptions& asked);
  // with_defaults(), which reads much of the system, but for those who ask for nothing: what their engine has.
  EngineOptions with_defaults(const EngineOptions& asked);

 private:
  const std::shared_ptr<const Runtime> runtime_;
  std::mutex mutex_;
  std::shared_ptr<Engine> default_;  // of those who ask for nothing; kept while the model is open
  std::vector<std::weak_ptr<Engine>> others_;
};

}  // namespace bitnet
