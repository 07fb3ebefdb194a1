// SPDX-License-Identifier: MIT
#include "engine/engine.h"

#include <algorithm>
#include <system_error>

#include "base/error.h"
#include "base/memory.h"
#include "engine/cpu_backend.h"
#include "engine/kv_cache.h"

namespace bitnet {
namespace {

using std::chrono::milliseconds;

constexpr uint32_t kMaxBatch = 4096;
constexpr uint32_t kDefaultBatch = 256;
constexpr milliseconds kDefaultPassTime{100}, kMaxPassTime{60'000};
constexpr milliseconds kMaxPatience{3'600'000};
// How long passes wait for sessions (engine.h): this part of the last pass, or a little.
constexpr int kPatience = 5;
constexpr milliseconds kLeastPatience{2};
// How often a waiting caller asks the functions that may abort its requests, and whether there are pages.
constexpr milliseconds kAskEvery{1};
constexpr std::chrono::seconds kCompany{1};  // so long after several callers were last seen, prompts are cut for them
constexpr uint32_t kLeastSlice = 4;
constexpr uint32_t kOldestPart = 4;         // of the rows for prompts, what the oldest gets at least
constexpr uint32_t kBackgroundPasses = 20;  // one of so many computes something in the background

void ask_abort(const Caller& caller) {
  for (Seat* seat : caller.seats) {
    if (seat->abort != nullptr && seat->abort(seat->abort_user) != 0) seat->aborted.store(true);
  }
}

}  // namespace

EngineOptions with_defaults(EngineOptions options) {
  options.threads = options.pool != nullptr ? options.pool->threads() : ThreadPool::usable(options.threads);
  if (options.batch == 0) options.batch = kDefaultBatch;
  if (options.pass_time == milliseconds::zero()) options.pass_time = kDefaultPassTime;
  if (options.prefix_bytes == 0) options.prefix_bytes = kDefaultPrefixBytes;
  options.generation_threads = std::min(options.generation_threads, options.threads);
  require(options.batch <= kMaxBatch, BITNET_ERROR_ARGUMENT, "batch of ", options.batch,
          " tokens asked for; the most is ", kMaxBatch);
  require(options.pass_time <= kMaxPassTime, BITNET_ERROR_ARGUMENT, "passes of ", options.pass_time.count(),
          " ms asked for; the most is ", kMaxPassTime.count());
  require(options.patience <= kMaxPatience, BITNET_ERROR_ARGUMENT, "queue_ms is ", options.patience.count(),
          "; the most is ", kMaxPatience.count());
  require(options.kv_bytes != 0 || !options.overcommit, BITNET_ERROR_ARGUMENT,
          "overcommit is asked for, but kv_bytes is 0, which is no limit: there is nothing to overcommit");
  require(options.overcommit || options.patience == milliseconds::zero(), BITNET_ERROR_ARGUMENT,
          "queue_ms is set without overcommit: evaluations never wait for memory then");
  return options;
}

namespace {

std::unique_ptr<Backend> make_backend(const Runtime& runtime, const EngineOptions& options) {
  if (options.backend != nullptr) return options.backend(runtime, options);
  const KvBudget budget = {.bytes = options.kv_bytes != 0 ? options.kv_bytes : UINT64_MAX,
                           .overcommit = options.overcommit,
                           .prefix_bytes = options.prefix_bytes};
  return std::make_unique<CpuBackend>(
      runtime.model(), runtime.kernels(), *options.pool,
      CpuOptions{.batch = options.batch, .generation_threads = options.generation_threads, .budget = budget});
}

// An engine that could hold no session at all is a mistake.
void check_budget(const HyperParameters& hyper, const EngineOptions& options) {
  if (options.kv_bytes == 0) return;
  const uint64_t least = KvCache::bytes(hyper, KvType::int8, 1);
  require(options.kv_bytes >= least, BITNET_ERROR_ARGUMENT, "kv_bytes is ", options.kv_bytes,
          ": no session of this model fits, the smallest takes ", least);
}

}  // namespace

std::shared_ptr<Engine> Engine::create(std::shared_ptr<const Runtime> runtime, const EngineOptions& asked) {
  EngineOptions options = with_defaults(asked);
  const Model& model = runtime->model();
  check_budget(model.hyper, options);
  const auto need = [&] {
    return MemoryNeed{bytes(model, options), "an engine of " + counted(options.threads, "thread"),
                      "fewer threads or a smaller batch take less"};
  };
  return with_memory(need, [&] {
    require_memory(need(), model.owned_bytes, runtime->memory_limit());
    if (options.pool == nullptr) {
      options.pool = asked.threads == 0 ? ThreadPool::shared_default() : ThreadPool::create({.threads = asked.threads});
      options.threads = options.pool->threads();
    }
    return std::make_shared<Engine>(std::move(runtime), options);
  });
}

Engine::Engine(std::shared_ptr<const Runtime> runtime, const EngineOptions& options)
    : runtime_(std::move(runtime)),
      options_(options),
      pool_(options.pool),
      backend_(make_backend(*runtime_, options)),
      screen_(runtime_->model(), runtime_->kernels()) {
  parts_.reserve(options.batch);
  leaving_.reserve(options.batch);
  following_.reserve(options.batch);
  nexts_.reserve(options.batch);
  rows_.reserve(options.batch);
  head_row_.reserve(1);
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
  return CpuBackend::bytes(model, options.threads, options.batch);
}

// Makes room for the seat wherever it may stand, so that evaluation allocates nothing. What a pass has of seats is no
// more than its rows, and stays where it is: it is read without the lock.
void Engine::add(Seat&) {
  const Lock lock(mutex_);
  for (auto* list : {&queue_, &starved_, &awaited_, &prompts_}) list->reserve(seats_ + 1);
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
  for (Seat* seat : seats) arrive(*seat, &caller);
  lead_or_wait(lock, caller);
}

// Until all is there that the caller waits for.
void Engine::lead_or_wait(Lock& lock, Caller& caller) {
  if (!lone() && !pool_->is_callers()) start_driver();
  hand_over();
  for (;;) {
    feed();
    if (caller.open == 0) break;
    if (callers_may_lead()) {
      step(lock, &caller, caller.changed);
    } else {
      wait(lock, caller);
    }
  }
  hand_over();  // somebody may have relied on this caller to lead
}

bool Engine::is_idle(const Seat& seat) {
  const Lock lock(mutex_);
  const bool tells = seat.state == Seat::State::failed || seat.state == Seat::State::cancelled;
  return !seat.answered && !seat.is_under_way() && !tells;
}

void Engine::enter(Seat& seat) {
  const Lock lock(mutex_);
  arrive(seat, nullptr);
}

void Engine::proceed(Seat& seat) {
  const Follower::Next next = seat.follower->follow(true);
  const Lock lock(mutex_);
  followed(seat, next);
  hand_over();
}

bool Engine::await(Seat& seat) {
  Seat* const seats[] = {&seat};
  Caller caller{seats, 1};
  Lock lock(mutex_);
  if (!seat.answered && seat.is_under_way()) {
    seat.caller = &caller;
    seat.driven = false;
    seat.driven = driver_.joinable() && !lone();
    lead_or_wait(lock, caller);
  }
  return seat.answered;
}

void Engine::submit(Seat& seat, CompletionQueue::Ticket& ticket) {
  const Lock lock(mutex_);
  if (seat.answered || !seat.is_under_way()) return CompletionQueue::push(ticket);
  start_driver();
  require(driver_.joinable(), BITNET_ERROR_MEMORY, "cannot start the thread that computes what is submitted");
  seat.ticket = &ticket;
  seat.driven = true;
  hand_over();
}

void Engine::take(Seat& seat) {
  {
    const Lock lock(mutex_);
    seat.answered = false;
    if (seat.state != Seat::State::held) return;
    seat.state = Seat::State::following;
  }
  proceed(seat);
}

bool Engine::withdraw(Seat& seat) {
  Lock lock(mutex_);
  seat.aborted.store(true, std::memory_order_relaxed);
  const bool submitted = std::exchange(seat.ticket, nullptr) != nullptr;
  withdrawing_++;
  withdrawn_.wait(lock, [&] { return seat.state != Seat::State::computing && seat.state != Seat::State::following; });
  withdrawing_--;
  if (seat.state == Seat::State::waiting || seat.state == Seat::State::starved) finish(seat, Seat::State::cancelled);
  seat.state = Seat::State::none;
  seat.answered = seat.driven = false;
  hand_over();
  return submitted;
}

void Engine::arrive(Seat& seat, Caller* caller) {
  const auto now = Clock::now();
  const auto others = [&](const Seat* other) { return other->caller != caller || caller == nullptr; };
  if (std::ranges::any_of(queue_, others)) company_ = now;
  seat.quick = seat.left == Clock::time_point{} || now - seat.left <= patience();
  if (std::exchange(seat.awaited, false)) std::erase(awaited_, &seat);
  seat.computed = 0;
  seat.rows = 0;
  seat.nanoseconds = seat.passes = seat.pass_sessions = 0;
  seat.logits_later = seat.screened = false;
  seat.error = nullptr;
  if (caller != nullptr) seat.caller = caller;
  seat.aborted.store(false, std::memory_order_relaxed);
  seat.state = seat.request.has_room ? Seat::State::waiting : Seat::State::starved;
  (seat.request.has_room ? queue_ : starved_).push_back(&seat);
  if (!seat.request.has_room) seat.patience_ends = now + options_.patience;
}

// Gives pages to those that have none, as far as there are any by now. Those that want out, or have waited long enough,
// leave.
void Engine::feed() {
  bool fed = false;
  for (size_t i = 0; i < starved_.size();) {
    Seat& seat = *starved_[i];
    Request& request = seat.request;
    if (seat.wants_out()) {
      finish(seat, Seat::State::cancelled);
    } else if (request.state->prepare(request.position, request.position + request.tokens.size())) {
      std::erase(starved_, &seat);
      request.has_room = fed = true;
      seat.state = Seat::State::waiting;
      queue_.push_back(&seat);
    } else if (Clock::now() >= seat.patience_ends) {
      try {
        fail_for_pages();
      } catch (...) {
        seat.error = std::current_exception();
      }
      finish(seat, Seat::State::failed);
    } else {
      i++;
    }
  }
  if (fed) hand_over();
}

void Engine::fail_for_pages() const {
  fail(BITNET_ERROR_MEMORY, "no memory for keys and values: other sessions use the ", size_text(options_.kv_bytes),
       " that the engine's kv_bytes allow; rewind or free some of them, or let evaluations wait longer (queue_ms)");
}

bool Engine::callers_may_lead() const {
  if (queue_.empty() || led_ || gatherer_ != nullptr || turns_waiting_ != 0) return false;
  return !driver_.joinable() || lone();
}

// Whether all that is asked for is one caller's, or of those who come and look, and nobody else is expected.
bool Engine::lone() const {
  const Caller* first = nullptr;
  for (const auto* list : {&queue_, &starved_}) {
    for (const Seat* seat : *list) {
      if (seat->driven) return false;
      if (seat->caller == nullptr) continue;
      if (first != nullptr && seat->caller != first) return false;
      first = seat->caller;
    }
  }
  return awaited_.empty();
}

void Engine::start_driver() {
  if (driver_.joinable()) return;
  try {
    driver_ = std::thread([this] { drive(); });
  } catch (const std::system_error&) {
    // The system allows no more threads: callers go on leading, and what is submitted is refused.
  }
}

void Engine::drive() {
  Lock lock(mutex_);
  while (!stopping_) {
    feed();
    if (led_ || gatherer_ != nullptr || turns_waiting_ != 0 || queue_.empty() || lone()) {
      hand_over();
      if (starved_.empty()) {
        driver_changed_.wait(lock);
      } else {
        driver_changed_.wait_for(lock, kAskEvery);
      }
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

Engine::Duration Engine::patience() const { return std::max<Duration>(kLeastPatience, pass_time_ / kPatience); }

// For the seats of the last pass.
Engine::Clock::time_point Engine::deadline() const { return pass_end_ + patience(); }

// If nobody computes, wakes one who will.
void Engine::hand_over() {
  if (led_) return;
  if (turns_waiting_ != 0) return turn_free_.notify_one();
  if (gatherer_ != nullptr) return awaited_.empty() ? gatherer_->notify_one() : void();
  if (driver_.joinable() && !lone()) return driver_changed_.notify_one();
  const auto waits = std::ranges::find_if(queue_, [](const Seat* seat) { return seat->caller != nullptr; });
  if (waits != queue_.end()) (*waits)->caller->changed.notify_one();
}

// Until something changes for the caller. May return earlier.
void Engine::wait(Lock& lock, Caller& caller) {
  const bool asks = std::ranges::any_of(caller.seats, [](const Seat* s) { return s->abort != nullptr; });
  if (!asks && starved_.empty()) return caller.changed.wait(lock);
  caller.changed.wait_for(lock, kAskEvery);
  if (!asks) return;
  lock.unlock();
  ask_abort(caller);
  lock.lock();
}

void Engine::stop_awaiting() {
  for (Seat* seat : awaited_) seat->awaited = false;
  awaited_.clear();
}

Engine::Turn::Turn(Engine& engine) : engine_(engine) {
  {
    Lock lock(engine.mutex_);
    engine.turns_waiting_++;
    engine.turn_free_.wait(lock, [&] { return !engine.led_; });
    engine.turns_waiting_--;
    engine.led_ = true;
  }
  turn_.emplace(*engine.pool_);
  while (!turn_->come(std::chrono::seconds(1))) {
  }
}

Engine::Turn::~Turn() {
  turn_.reset();
  const Lock lock(engine_.mutex_);
  engine_.led_ = false;
  engine_.hand_over();
}

// ------------------------------------------------------------------------------------------------------------- passes

void Engine::pass(Lock& lock, Caller* leader) {
  stop_awaiting();
  led_ = true;
  {
    ThreadPool::Turn turn(*pool_);
    if (wait_for_pool(lock, turn, leader)) compute(lock, leader);
  }
  led_ = false;
  hand_over();
}

// Returns whether there is something to compute.
bool Engine::wait_for_pool(Lock& lock, ThreadPool::Turn& turn, Caller* leader) {
  bool come = turn.come({});
  for (;;) {
    drop_waiting();
    if (queue_.empty() || come) return !queue_.empty();
    lock.unlock();
    come = turn.come(kAskEvery);
    if (leader != nullptr) ask_abort(*leader);
    lock.lock();
  }
}

void Engine::compute(Lock& lock, Caller* leader) {
  compose();
  append_rows(leader != nullptr && parts_.size() == 1);
  lock.unlock();
  std::exception_ptr error;
  const auto start = Clock::now();
  try {
    backend_->submit(rows_);
    do {
      let_leave(leader);
    } while (!backend_->wait());
  } catch (...) {
    error = std::current_exception();
  }
  const Duration time = Clock::now() - start;
  lock.lock();
  settle(time, error);
  follow_up(lock);
}

// What is interactive comes first. While several callers compute, a pass is to stay within its time.
void Engine::compose() {
  parts_.clear();
  room_ = options_.batch;
  const bool company = Clock::now() - company_ <= kCompany;
  const uint32_t rows = company ? costs_.rows_within(options_.pass_time, options_.batch) : options_.batch;
  const uint32_t taken = compose(Priority::interactive, rows);
  if (taken == 0) {
    compose(Priority::background, rows);
  } else {
    compose_background(rows - std::min(rows, taken));
  }
}

// The oldest request gets on in any case. Then come the sessions that generate, then prompts, the shortest first: as
// many rows of them as are left of `rows`, but at least a few.
uint32_t Engine::compose(Priority priority, uint32_t rows) {
  const uint32_t room = room_;
  Seat* oldest = nullptr;
  uint32_t generating = 0;
  prompts_.clear();
  for (Seat* seat : queue_) {
    if (seat->priority != priority) continue;
    if (oldest == nullptr) oldest = seat;
    generating += seat->generates() ? 1 : 0;
    if (!seat->generates()) prompts_.push_back(seat);
  }
  if (oldest == nullptr) return 0;
  uint32_t slice = std::max(rows, generating + kLeastSlice) - generating;
  if (oldest->generates()) {
    give(*oldest, 1);
  } else {
    slice -= give(*oldest, std::max(std::min(slice, room - std::min(room, generating)) / kOldestPart, 1u));
  }
  for (Seat* seat : queue_) {
    if (seat->priority == priority && seat->generates() && seat != oldest) give(*seat, 1);
  }
  std::ranges::sort(prompts_, {}, &Seat::remaining);
  for (Seat* seat : prompts_) slice -= give(*seat, slice);
  return room - room_;
}

// Beside what is interactive: as far as the pass's time allows, the oldest first; and a little now and then anyway.
void Engine::compose_background(uint32_t rows) {
  const bool due = ++without_background_ >= kBackgroundPasses;
  if (due) rows = std::max(rows, kLeastSlice);
  bool waits = false;
  for (Seat* seat : queue_) {
    if (seat->priority != Priority::background) continue;
    waits = true;
    const uint32_t given = give(*seat, rows);
    rows -= given;
    if (given != 0) without_background_ = 0;
  }
  if (!waits) without_background_ = 0;
}

// Gives the seat more rows in the pass, as far as it wants them and there is room. Returns how many.
uint32_t Engine::give(Seat& seat, uint32_t rows) {
  rows = std::min({rows, seat.remaining() - seat.rows, room_});
  if (rows == 0) return 0;
  if (seat.rows == 0) parts_.push_back(&seat);
  seat.state = Seat::State::computing;
  seat.rows += rows;
  room_ -= rows;
  return rows;
}

void Engine::append_rows(bool lone) {
  rows_.clear();
  const size_t vocabulary = runtime_->model().hyper.vocabulary, hidden = runtime_->model().hyper.hidden;
  for (Seat* seat : parts_) {
    seat->passes++;
    seat->pass_sessions += parts_.size();
    const Request& request = seat->request;
    for (uint32_t i = seat->computed; i < seat->computed + seat->rows; i++) {
      rows_.push_back({.token = request.tokens[i], .position = request.position + i, .state = request.state});
      if (request.which == BITNET_LOGITS_ALL) rows_.back().logits = request.logits + i * vocabulary;
      const uint32_t state = i - request.first_state;  // of those before it, too large
      if (state < request.states) rows_.back().hidden = request.state_rows + state * hidden;
    }
    if (request.which == BITNET_LOGITS_LAST && seat->remaining() == seat->rows) want_last(*seat, rows_.back(), lone);
  }
}

// The screen is used once for all that share a pass. A session alone does that itself, if it draws a token by it.
void Engine::want_last(Seat& seat, Row& row, bool lone) {
  const Request& request = seat.request;
  if (!backend_->has_screen() || (request.wants_all && !lone)) {
    row.logits = request.logits;
    return;
  }
  seat.logits_later = true;
  row.hidden = request.hidden;
  if (lone) return;
  seat.screened = true;
  row.screened = request.screened;
}

// Called between steps of the pass. Whoever wants out is told only when the backend has let go of what belongs to him.
void Engine::let_leave(Caller* leader) {
  if (leader != nullptr) ask_abort(*leader);
  Lock lock(mutex_);
  drop_waiting();
  feed();
  size_t first = 0, kept = 0;
  leaving_.clear();
  for (Seat* seat : parts_) {
    const auto rows = std::span(rows_).subspan(first, seat->rows);
    first += seat->rows;
    if (!seat->wants_out()) {
      parts_[kept++] = seat;
      continue;
    }
    for (Row& row : rows) row.left = true;
    leaving_.push_back(seat);
  }
  if (leaving_.empty()) return;
  parts_.resize(kept);
  lock.unlock();
  backend_->drop_left();
  lock.lock();
  for (Seat* seat : leaving_) finish(*seat, Seat::State::cancelled);
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
  pass_end_ = Clock::now();
  if (!rows_.empty() && error == nullptr) costs_.record(static_cast<uint32_t>(rows_.size()), time);
  following_.clear();
  for (Seat* seat : parts_) {
    seat->state = Seat::State::waiting;
    seat->computed += seat->rows;
    seat->nanoseconds += static_cast<uint64_t>(time.count()) * std::exchange(seat->rows, 0) / rows_.size();
    seat->error = error;
    if (error != nullptr) {
      finish(*seat, Seat::State::failed);
    } else if (seat->remaining() != 0) {
      continue;
    } else if (seat->follower == nullptr) {
      finish(*seat, Seat::State::done);
      seat->awaited = seat->quick;
      if (seat->awaited) awaited_.push_back(seat);
    } else {
      std::erase(queue_, seat);
      seat->state = seat->answered ? Seat::State::held : Seat::State::following;
      if (!seat->answered) following_.push_back(seat);
    }
  }
  if (withdrawing_ != 0) withdrawn_.notify_all();
}

void Engine::finish(Seat& seat, Seat::State state) {
  std::erase(queue_, &seat);
  std::erase(starved_, &seat);
  seat.state = state;
  seat.rows = 0;
  seat.left = Clock::now();
  answer(seat);
}

// Tells who waits for the seat.
void Engine::answer(Seat& seat) {
  if (Caller* const caller = std::exchange(seat.caller, nullptr); caller != nullptr && --caller->open == 0) {
    caller->changed.notify_one();
  }
  if (auto* const ticket = std::exchange(seat.ticket, nullptr); ticket != nullptr) CompletionQueue::push(*ticket);
  if (withdrawing_ != 0) withdrawn_.notify_all();
}

// The sessions that go on by themselves draw their tokens, each on a thread, and join the queue again.
void Engine::follow_up(Lock& lock) {
  if (following_.empty()) return;
  const auto count = static_cast<uint32_t>(following_.size());
  nexts_.assign(count, Follower::Next::needs_head);
  lock.unlock();
  leader_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  if (count > 1) pool_->each(count, [&](uint32_t i, uint32_t) { nexts_[i] = following_[i]->follower->follow(false); });
  for (uint32_t i = 0; i < count; i++) {
    if (nexts_[i] == Follower::Next::needs_head) nexts_[i] = following_[i]->follower->follow(true);
  }
  leader_.store({}, std::memory_order_relaxed);
  lock.lock();
  for (uint32_t i = 0; i < count; i++) followed(*following_[i], nexts_[i]);
}

void Engine::followed(Seat& seat, Follower::Next next) {
  seat.answered = true;
  seat.state = Seat::State::none;
  const bool driven = seat.driven;
  answer(seat);
  switch (next) {
    case Follower::Next::request:
      arrive(seat, nullptr);
      seat.driven = driven;
      return;
    case Follower::Next::nothing:
    case Follower::Next::needs_head:
      return;
  }
}

uint64_t Engine::trim() {
  return alone([&](ThreadPool&) { return backend_->trim(); });
}

void Engine::compute_head(const Row& row) {
  head_row_.assign(1, row);
  backend_->submit(head_row_);
  while (!backend_->wait()) {
  }
}

std::shared_ptr<Engine> DefaultEngine::get() {
  const std::lock_guard lock(mutex_);
  if (engine_ == nullptr) engine_ = Engine::create(runtime_, {});
  return engine_;
}

std::shared_ptr<Engine> DefaultEngine::find() {
  const std::lock_guard lock(mutex_);
  return engine_;
}

}  // namespace bitnet
