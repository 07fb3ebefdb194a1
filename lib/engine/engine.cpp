// SPDX-License-Identifier: MIT
#include "engine/engine.h"

#include <algorithm>
#include <system_error>

#include "base/cores.h"
#include "base/error.h"

namespace bitnet {
namespace {

using std::chrono::milliseconds;

constexpr uint32_t kMaxBatch = 4096;
constexpr uint32_t kDefaultBatch = 256;
// How long passes wait for sessions (engine.h).
constexpr int kPatience = 20;  // this part of the last pass
constexpr milliseconds kGap{2};
// How often a waiting caller asks the functions that may abort its requests.
constexpr milliseconds kAskEvery{1};
// While several callers compute, a slice of a prompt is cut so that its pass takes about as long.
constexpr milliseconds kPassTime{100};
constexpr std::chrono::seconds kCompany{1};  // so long after they were last seen
constexpr uint32_t kLeastSlice = 4;
constexpr uint32_t kOldestPart = 4;  // of the rows for prompts, what the oldest gets at least

void ask_abort(const Caller& caller) {
  for (Seat* seat : caller.seats) {
    const Request& request = seat->request;
    if (request.abort != nullptr && request.abort(request.abort_user) != 0) seat->aborted.store(true);
  }
}

}  // namespace

EngineOptions with_defaults(EngineOptions options) {
  if (options.threads == 0) options.threads = std::min(usable_cores(), ThreadPool::kMostThreads);
  if (options.batch == 0) options.batch = kDefaultBatch;
  if (options.prefix_bytes == 0) options.prefix_bytes = kDefaultPrefixBytes;
  require(options.threads <= ThreadPool::kMostThreads, BITNET_ERROR_ARGUMENT, options.threads,
          " threads asked for; the most is ", ThreadPool::kMostThreads);
  // Threads beyond the CPUs would wait for one another, and the work would be cut finer for nothing. How many CPUs
  // there are to a caller's own pool, the caller knows.
  if (options.parallel == nullptr) options.threads = std::min(options.threads, usable_cpus());
  options.generation_threads = std::min(options.generation_threads, options.threads);
  require(options.batch <= kMaxBatch, BITNET_ERROR_ARGUMENT, "batch of ", options.batch,
          " tokens asked for; the most is ", kMaxBatch);
  return options;
}

Engine::Engine(std::shared_ptr<const Runtime> runtime, const EngineOptions& options)
    : runtime_(std::move(runtime)),
      options_(options),
      pages_(runtime_->model().hyper, options.prefix_bytes),
      threads_(options.threads, options.parallel, options.parallel_user),
      tuner_(options.generation_threads != 0 ? options.generation_threads : options.threads,
             options.generation_threads != 0 || options.parallel != nullptr),
      forward_(runtime_->model(), runtime_->kernels(), threads_, options.batch) {
  parts_.reserve(options.batch);
  rows_.reserve(options.batch);
}

Engine::~Engine() {
  {
    const Lock lock(mutex_);
    stopping_ = true;
    driver_changed_.notify_one();
  }
  if (driver_.joinable()) driver_.join();
}

uint64_t Engine::bytes(const Model& model, const EngineOptions& options) {
  return ForwardPass::bytes(model, options.threads, options.batch);
}

// Makes room for the seat wherever it may stand, so that evaluation allocates nothing.
void Engine::add(Seat&) {
  const Lock lock(mutex_);
  for (auto* list : {&queue_, &awaited_, &prompts_}) list->reserve(seats_ + 1);
  seats_++;
}

void Engine::remove(Seat& seat) {
  const Lock lock(mutex_);
  seats_--;
  if (!seat.awaited) return;
  std::erase(awaited_, &seat);
  hand_over();  // it may be the last that is waited for
}

// ------------------------------------------------------------------------------------------------ who leads, and when

void Engine::run(std::span<Seat* const> seats) {
  Caller caller{seats, seats.size()};
  Lock lock(mutex_);
  for (Seat* seat : seats) arrive(*seat, caller);
  if (!lone() && options_.parallel == nullptr) start_driver();
  hand_over();
  while (caller.open != 0) {
    if (callers_may_lead()) {
      step(lock, &caller, caller.changed);
    } else {
      wait(lock, caller);
    }
  }
  hand_over();  // somebody may have relied on this caller to lead
}

void Engine::arrive(Seat& seat, Caller& caller) {
  const auto now = Clock::now();
  if (std::ranges::any_of(queue_, [&](const Seat* other) { return other->caller != &caller; })) company_ = now;
  seat.quick = seat.left == Clock::time_point{} || now - seat.left <= std::max<Duration>(kGap, pass_time_ / kPatience);
  if (std::exchange(seat.awaited, false)) std::erase(awaited_, &seat);
  seat.state = Seat::State::waiting;
  seat.computed = 0;
  seat.rows = 0;
  seat.nanoseconds = seat.passes = seat.pass_sessions = 0;
  seat.logits_later = seat.screened = false;
  seat.error = nullptr;
  seat.caller = &caller;
  seat.aborted.store(false, std::memory_order_relaxed);
  queue_.push_back(&seat);
  latest_ = now;
}

bool Engine::callers_may_lead() const {
  if (led_ || gatherer_ != nullptr || turns_waiting_ != 0) return false;
  return !driver_.joinable() || lone();
}

// Whether all that is asked for is one caller's, and nobody else is expected.
bool Engine::lone() const {
  return awaited_.empty() &&
         std::ranges::all_of(queue_, [&](const Seat* seat) { return seat->caller == queue_.front()->caller; });
}

void Engine::start_driver() {
  if (driver_.joinable()) return;
  try {
    driver_ = std::thread([this] { drive(); });
  } catch (const std::system_error&) {
    // The system allows no more threads: callers go on leading.
  }
}

void Engine::drive() {
  Lock lock(mutex_);
  while (!stopping_) {
    if (led_ || gatherer_ != nullptr || turns_waiting_ != 0 || queue_.empty() || lone()) {
      hand_over();
      driver_changed_.wait(lock);
    } else {
      step(lock, nullptr, driver_changed_);
    }
  }
}

// Waits for those who are awaited, or else computes a pass. `leader`: null for the driver.
void Engine::step(Lock& lock, Caller* leader, std::condition_variable& changed) {
  if (awaited_.empty() || Clock::now() >= deadline()) return pass(lock, leader);
  gatherer_ = &changed;
  changed.wait_until(lock, deadline());
  gatherer_ = nullptr;
}

// For the seats of the last pass.
Engine::Clock::time_point Engine::deadline() const {
  return std::min<Clock::time_point>(pass_end_ + pass_time_ / kPatience, latest_ + kGap);
}

// If nobody computes, wakes one who will.
void Engine::hand_over() {
  if (led_) return;
  if (turns_waiting_ != 0) return turn_free_.notify_one();
  if (gatherer_ != nullptr) return awaited_.empty() ? gatherer_->notify_one() : void();
  if (queue_.empty()) return;
  if (driver_.joinable() && !lone()) return driver_changed_.notify_one();
  queue_.front()->caller->changed.notify_one();
}

// Until something changes for the caller. May return earlier.
void Engine::wait(Lock& lock, Caller& caller) {
  const bool asks = std::ranges::any_of(caller.seats, [](const Seat* s) { return s->request.abort != nullptr; });
  if (!asks) return caller.changed.wait(lock);
  caller.changed.wait_for(lock, kAskEvery);
  lock.unlock();
  ask_abort(caller);
  lock.lock();
}

void Engine::stop_awaiting() {
  for (Seat* seat : awaited_) seat->awaited = false;
  awaited_.clear();
}

Engine::Turn::Turn(Engine& engine) : engine_(engine) {
  Lock lock(engine.mutex_);
  engine.turns_waiting_++;
  engine.turn_free_.wait(lock, [&] { return !engine.led_; });
  engine.turns_waiting_--;
  engine.led_ = true;
}

Engine::Turn::~Turn() {
  const Lock lock(engine_.mutex_);
  engine_.led_ = false;
  engine_.hand_over();
}

// ------------------------------------------------------------------------------------------------------------- passes

void Engine::pass(Lock& lock, Caller* leader) {
  drop_waiting();
  stop_awaiting();
  if (queue_.empty()) return;
  led_ = true;
  compose();
  append_rows(leader != nullptr && parts_.size() == 1);
  lock.unlock();
  const bool single = rows_.size() == 1;
  threads_.use(single ? tuner_.threads() : options_.threads);
  std::exception_ptr error;
  const auto start = Clock::now();
  try {
    forward_.run(rows_, [&] { return some_left(leader); });
  } catch (...) {
    error = std::current_exception();
  }
  const Duration time = Clock::now() - start;
  if (single) tuner_.record(time);
  lock.lock();
  settle(time, error);
  led_ = false;
  hand_over();
}

// The oldest request gets on in any case. Then come the sessions that generate, then prompts, the shortest first.
void Engine::compose() {
  parts_.clear();
  prompts_.clear();
  room_ = options_.batch;
  const auto generates = [](const Seat* seat) { return seat->remaining() == 1; };
  const auto generating = static_cast<uint32_t>(std::ranges::count_if(queue_, generates));
  uint32_t slice = prompt_rows(generating);
  Seat* const oldest = queue_.front();
  take(*oldest, generates(oldest) ? 1 : std::max(slice / kOldestPart, 1u));
  for (Seat* seat : queue_) {
    if (!generates(seat)) {
      prompts_.push_back(seat);
    } else if (seat != oldest) {
      take(*seat, 1);
    }
  }
  slice -= std::min(slice, generates(oldest) ? 0 : oldest->rows);
  std::ranges::sort(prompts_, {}, &Seat::remaining);
  for (Seat* seat : prompts_) {
    const uint32_t before = seat->rows;
    take(*seat, slice);
    slice -= seat->rows - before;
  }
}

// How many rows of prompts go into a pass beside those that generate. Where nobody else computes, as many as fit.
uint32_t Engine::prompt_rows(uint32_t generating) const {
  const uint32_t room = options_.batch - std::min(options_.batch, generating);
  if (Clock::now() - company_ > kCompany) return room;
  const uint32_t in_time = costs_.rows_within(kPassTime, options_.batch);
  return std::min(room, std::max(in_time, generating + kLeastSlice) - generating);
}

// Gives the seat more rows in the pass, as far as it wants them and there is room.
void Engine::take(Seat& seat, uint32_t rows) {
  rows = std::min({rows, seat.remaining() - seat.rows, room_});
  if (rows == 0) return;
  if (seat.rows == 0) parts_.push_back(&seat);
  seat.state = Seat::State::computing;
  seat.rows += rows;
  room_ -= rows;
}

void Engine::append_rows(bool lone) {
  rows_.clear();
  const size_t vocabulary = runtime_->model().hyper.vocabulary;
  for (Seat* seat : parts_) {
    seat->passes++;
    seat->pass_sessions += parts_.size();
    const Request& request = seat->request;
    for (uint32_t i = seat->computed; i < seat->computed + seat->rows; i++) {
      rows_.push_back({.token = request.tokens[i], .position = request.position + i, .cache = request.cache});
      if (request.which == BITNET_LOGITS_ALL) rows_.back().logits = request.logits + i * vocabulary;
    }
    if (request.which == BITNET_LOGITS_LAST && seat->remaining() == seat->rows) want_last(*seat, rows_.back(), lone);
  }
}

// The screen is used once for all that share a pass. A session alone does that itself, if it draws a token by it.
void Engine::want_last(Seat& seat, Row& row, bool lone) {
  const Request& request = seat.request;
  if (!forward_.head().has_screen() || (request.wants_all && !lone)) {
    row.logits = request.logits;
    return;
  }
  seat.logits_later = true;
  row.hidden = request.hidden;
  if (lone) return;
  seat.screened = true;
  row.screened = request.screened;
}

// Called between layers: whether rows have been marked because their sessions have left.
bool Engine::some_left(Caller* leader) {
  if (leader != nullptr) ask_abort(*leader);
  const Lock lock(mutex_);
  const size_t before = parts_.size();
  size_t first = 0, kept = 0;
  for (Seat* seat : parts_) {
    const auto rows = std::span(rows_).subspan(first, seat->rows);
    first += seat->rows;
    if (seat->wants_out()) {
      for (Row& row : rows) row.left = true;
      finish(*seat, Seat::State::cancelled);
    } else {
      parts_[kept++] = seat;
    }
  }
  parts_.resize(kept);
  drop_waiting();
  return kept < before;
}

// Those that want out and are in no pass.
void Engine::drop_waiting() {
  for (size_t i = 0; i < queue_.size();) {
    if (queue_[i]->state == Seat::State::waiting && queue_[i]->wants_out()) {
      finish(*queue_[i], Seat::State::cancelled);
    } else {
      i++;
    }
  }
}

// What the pass has come to.
void Engine::settle(Duration time, const std::exception_ptr& error) {
  pass_time_ = time;
  pass_end_ = latest_ = Clock::now();
  if (!rows_.empty() && error == nullptr) costs_.record(static_cast<uint32_t>(rows_.size()), time);
  for (Seat* seat : parts_) {
    seat->state = Seat::State::waiting;
    seat->computed += seat->rows;
    seat->nanoseconds += static_cast<uint64_t>(time.count()) * std::exchange(seat->rows, 0) / rows_.size();
    seat->error = error;
    if (error != nullptr) {
      finish(*seat, Seat::State::failed);
    } else if (seat->remaining() == 0) {
      finish(*seat, Seat::State::done);
      seat->awaited = seat->quick;
      if (seat->awaited) awaited_.push_back(seat);
    }
  }
}

void Engine::finish(Seat& seat, Seat::State state) {
  std::erase(queue_, &seat);
  seat.state = state;
  seat.rows = 0;
  seat.left = Clock::now();
  if (--seat.caller->open == 0) seat.caller->changed.notify_one();
}

EngineOptions Engines::with_defaults(const EngineOptions& asked) {
  if (asked == EngineOptions{}) {
    const std::lock_guard lock(mutex_);
    if (default_) return default_->options();
  }
  return bitnet::with_defaults(asked);
}

std::shared_ptr<Engine> Engines::get(const EngineOptions& asked) {
  const EngineOptions options = with_defaults(asked);
  const std::lock_guard lock(mutex_);
  if (default_ && default_->options() == options) return default_;
  for (const auto& other : others_) {
    if (auto engine = other.lock(); engine && engine->options() == options) return engine;
  }
  auto engine = std::make_shared<Engine>(runtime_, options);
  if (asked == EngineOptions{}) {
    default_ = engine;
  } else {
    std::erase_if(others_, [](const auto& other) { return other.expired(); });
    others_.push_back(engine);
  }
  return engine;
}

}  // namespace bitnet
