// SPDX-License-Identifier: MIT
// Computes what the sessions of one model ask for. What is ready together is computed together, in one pass over the
// weights.
//
// A caller that is alone leads its passes itself. The passes of several are led by a thread of the engine, which is
// started when they first meet: a caller that is cancelled can leave at once, and none runs what belongs to others.
// With the caller's own pool one of the callers leads, unless something is submitted that nobody waits for.
//
// A generation goes on by itself: after its pass it draws a token, and asks for the next evaluation before the token
// has reached the host program. It is at most one token ahead of what has been taken.
//
// Sessions that are evaluated without a generation mostly come again at once, with the token that they have drawn. So
// the next pass waits for them a moment, or sessions would fall into groups that alternate: up to a fifth of the time
// of the last pass, in which many draw their tokens on few CPUs. A session that misses this is not waited for until it
// is quick again. A session alone never waits.
//
// An evaluation for which there are no pages of keys and values waits aside. It gets them as soon as others leave
// enough, whoever came before it. Whoever leads or waits looks after that.
//
// Results do not depend on what shares a pass.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "bitnet.h"
#include "engine/backend.h"
#include "engine/pass_costs.h"
#include "engine/runtime.h"
#include "engine/screen.h"
#include "engine/seat.h"
#include "engine/thread_pool.h"

namespace bitnet {

// 51 pages, or 3264 tokens, of a model of the 2B-4T shape.
constexpr uint64_t kDefaultPrefixBytes = uint64_t{256} << 20;

struct EngineOptions {
  // Null: one of its own with `threads`, or the default one where that is 0 as well.
  std::shared_ptr<ThreadPool> pool = nullptr;
  uint32_t threads = 0;
  uint32_t generation_threads = 0;        // of the pool's, those that compute a row alone; 0: found while generating
  uint32_t batch = 0;                     // the most rows in a pass
  std::chrono::milliseconds pass_time{};  // what a pass is to take while several sessions compute
  uint64_t prefix_bytes = 0;  // the most that is kept of prefixes that no session holds; 0: kDefaultPrefixBytes
  uint64_t kv_bytes = 0;      // the most that pages take; 0: no limit
  bool overcommit = false;    // sessions may reserve more than that
  std::chrono::milliseconds patience{};  // how long an evaluation then waits for pages
  // Makes what computes, of the options with defaults filled in; null: the pool's threads (cpu_backend.h).
  std::function<std::unique_ptr<Backend>(const Runtime&, const EngineOptions&)> backend = nullptr;
};
// With defaults filled in. Throws Error for counts out of range.
EngineOptions with_defaults(EngineOptions options);

// A thread that waits until what it asked for is there.
struct Caller {
  std::span<Seat* const> seats;
  size_t open;  // of them, those for which that is still to come
  std::condition_variable changed = {};
};

class Engine {
 public:
  // Where there is not enough memory, the error says how much was needed and what takes less.
  static std::shared_ptr<Engine> create(std::shared_ptr<const Runtime> runtime, const EngineOptions& options);
  // `options` with defaults filled in, and a pool.
  Engine(std::shared_ptr<const Runtime> runtime, const EngineOptions& options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  static uint64_t bytes(const Model& model, const EngineOptions& options);

  const Runtime& runtime() const { return *runtime_; }
  const std::shared_ptr<const Runtime>& shared_runtime() const { return runtime_; }
  const EngineOptions& options() const { return options_; }
  Backend& backend() { return *backend_; }
  const Backend& backend() const { return *backend_; }
  const Screen& screen() const { return screen_; }

  void add(Seat& seat);
  void remove(Seat& seat);

  // What follows is thread-safe for different seats.

  // Computes the requests of the seats, and returns when each is done, cancelled or failed. They may share passes with
  // others, and a long one takes several.
  void run(std::span<Seat* const> seats);

  // For seats with a follower. Whether neither a request is under way nor an answer there.
  bool is_idle(const Seat& seat);
  // Enters the request that has been filled in.
  void enter(Seat& seat);
  // The follower goes on without a request.
  void proceed(Seat& seat);
  // Returns when there is an answer (true), or else the request is cancelled or failed.
  bool await(Seat& seat);
  // The same without waiting: then the ticket goes to its queue.
  void submit(Seat& seat, CompletionQueue::Ticket& ticket);
  // The answer has been taken. The follower goes on if it was held up by that.
  void take(Seat& seat);
  // Returns when the engine has nothing to do with the seat any more. Its request may have been computed or not.
  // True if a ticket was to be given to its queue, which has not been done.
  bool withdraw(Seat& seat);

  // Runs function(threads) while no pass runs.
  template <typename Function>
  auto alone(const Function& function) {
    if (leader_.load(std::memory_order_relaxed) == std::this_thread::get_id()) return function(*pool_);
    const Turn turn(*this);
    return function(*pool_);
  }
  // In there: a pass of the head alone.
  void compute_head(const Row& row);

  // Gives memory back that nothing needs at the moment, when the pass that runs is over (backend.h).
  uint64_t trim();

  // What is wrong when there are no pages.
  [[noreturn]] void fail_for_pages() const;

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
    std::optional<ThreadPool::Turn> turn_;
  };

  void arrive(Seat& seat, Caller* caller);
  void feed();
  void lead_or_wait(Lock& lock, Caller& caller);
  bool callers_may_lead() const;
  bool lone() const;
  void start_driver();
  void drive();
  void step(Lock& lock, Caller* leader, std::condition_variable& changed);
  void hand_over();
  void wait(Lock& lock, Caller& caller);
  Duration patience() const;
  Clock::time_point deadline() const;
  void stop_awaiting();

  void pass(Lock& lock, Caller* leader);
  bool wait_for_pool(Lock& lock, ThreadPool::Turn& turn, Caller* leader);
  void compute(Lock& lock, Caller* leader);
  void compose();
  uint32_t compose(Priority priority, uint32_t rows);
  void compose_background(uint32_t rows);
  uint32_t give(Seat& seat, uint32_t rows);
  void append_rows(bool lone);
  void want_last(Seat& seat, Row& row, bool lone);
  void let_leave(Caller* leader);
  void drop_waiting();
  void settle(Duration time, const std::exception_ptr& error);
  void finish(Seat& seat, Seat::State state);
  void answer(Seat& seat);
  void follow_up(Lock& lock);
  void followed(Seat& seat, Follower::Next next);

  const std::shared_ptr<const Runtime> runtime_;
  const EngineOptions options_;
  const std::shared_ptr<ThreadPool> pool_;
  const std::unique_ptr<Backend> backend_;
  const Screen screen_;

  std::mutex mutex_;                             // guards what follows, and the seats
  bool led_ = false;                             // a pass or a turn runs
  std::condition_variable* gatherer_ = nullptr;  // of who waits for those that are awaited
  bool stopping_ = false;
  uint32_t turns_waiting_ = 0;
  std::condition_variable turn_free_, driver_changed_;
  std::thread driver_;
  uint32_t withdrawing_ = 0;
  std::condition_variable withdrawn_;
  std::atomic<std::thread::id> leader_{};  // who runs the followers
  size_t seats_ = 0;
  std::vector<Seat*> queue_;    // requests that are not done, in the order in which they came
  std::vector<Seat*> starved_;  // likewise, those for which there are no pages
  std::vector<Seat*> awaited_;  // seats of the last pass that have not come again
  Clock::time_point pass_end_;
  Duration pass_time_{};
  Clock::time_point company_;  // when several callers were last seen
  PassCosts costs_;
  uint32_t without_background_ = 0;  // passes, while there was something to compute in it

  // Of the current pass:
  std::vector<Seat*> parts_;    // their rows lie one after the other
  std::vector<Seat*> leaving_;  // have been such
  std::vector<Seat*> prompts_;
  std::vector<Seat*> following_;       // have got what they asked for, and go on by themselves
  std::vector<Follower::Next> nexts_;  // what they have come to
  uint32_t room_ = 0;
  std::vector<Row> rows_;      // its leader's, and the backend's
  std::vector<Row> head_row_;  // of compute_head, so that it allocates nothing
};

// The engine of those who ask for none: made when it is first asked for, and kept while the model is open.
class DefaultEngine {
 public:
  explicit DefaultEngine(std::shared_ptr<const Runtime> runtime) : runtime_(std::move(runtime)) {}

  const std::shared_ptr<const Runtime>& runtime() const { return runtime_; }
  std::shared_ptr<Engine> get();
  // Null if nobody has asked for it.
  std::shared_ptr<Engine> find();

 private:
  const std::shared_ptr<const Runtime> runtime_;
  std::mutex mutex_;
  std::shared_ptr<Engine> engine_;
};

}  // namespace bitnet
