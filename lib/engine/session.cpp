// SPDX-License-Identifier: MIT
#include "engine/session.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "base/memory.h"
#include "engine/kv_cache.h"

namespace bitnet {
namespace {

constexpr uint32_t kMaxContext = 1 << 24;  // positions are exact as floats up to here

SessionOptions with_defaults(SessionOptions options, const HyperParameters& hyper) {
  if (options.context == 0) options.context = default_context(hyper.context);
  require(options.context <= kMaxContext, BITNET_ERROR_ARGUMENT, "context of ", counted(options.context, "token"),
          " asked for; the most is ", kMaxContext);
  return options;
}

// What follows is of options with their defaults filled in.

uint64_t work_bytes(const Model& model, const SessionOptions& options) {
  const uint64_t rows_of_logits = model.screen.data != nullptr ? 2 : 1;
  return uint64_t{options.context} * sizeof(Token) +
         (rows_of_logits * model.hyper.vocabulary + model.hyper.hidden) * sizeof(float);
}

MemoryNeed need_of(const Model& model, const SessionOptions& options) {
  const uint64_t cache = KvCache::bytes(model.hyper, options.kv, options.context), work = work_bytes(model, options);
  const bool shrinks = code_bytes(options.kv) > code_bytes(KvType::int8);
  return {cache + work,
          "a session of " + counted(options.context, "token") + " (KV cache " + size_text(cache) + ", work space " +
              size_text(work) + ")",
          shrinks ? "a smaller context or an int8 KV cache takes less" : "a smaller context takes less"};
}

MemoryNeed need_of_fork(const Model& model, const SessionOptions& options) {
  return {KvCache::bytes(model.hyper, options.kv, options.context),
          "the fork of a session of " + counted(options.context, "token"), "sessions with a smaller context take less"};
}

uint64_t nanoseconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

const char* kv_name(KvType type) {
  switch (type) {
    case KvType::int8:
      return "int8";
    case KvType::int16:
      return "int16";
    case KvType::f16:
      return "f16";
  }
  return "";
}

Session::Session(std::shared_ptr<Engine> engine, const SessionOptions& options)
    : engine_(std::move(engine)),
      options_(options),
      state_(engine_->backend().make_state(options.kv, options.context, options.prefix_scope != 0)),
      tokens_(options.context * sizeof(Token)),
      logits_(vocabulary() * sizeof(float)),
      hidden_(runtime().model().hyper.hidden * sizeof(float)) {
  seat_.priority = options.priority;
  seat_.abort = options.abort;
  seat_.abort_user = options.abort_user;
  engine_->add(seat_);
}

Session::Session(const Session& other) : Session(other.engine_, other.options_) {
  const Use use(other);
  perf_ = other.perf();
  std::memcpy(tokens_.data(), other.tokens_.data(), other.position() * sizeof(Token));
  state_->share(*other.state_, other.position());
  loaded_ = other.loaded_;
  if (other.logits_rows_ != 0 && !other.logits_later_) {
    const size_t bytes = other.logits_rows_ * vocabulary() * sizeof(float);
    if (logits_.size() < bytes) logits_ = Buffer(bytes);
    std::memcpy(logits_.data(), other.logits_.data(), bytes);
  }
  std::memcpy(hidden_.data(), other.hidden_.data(), hidden_.size());
  logits_rows_ = other.logits_rows_;
  logits_later_ = other.logits_later_;
  all_wanted_ = other.all_wanted_;
  set_position(other.position());
}

Session::~Session() { engine_->remove(seat_); }

std::shared_ptr<Session> Session::create(std::shared_ptr<Engine> engine, const SessionOptions& asked) {
  const Runtime& runtime = engine->runtime();
  const Model& model = runtime.model();
  const SessionOptions options = with_defaults(asked, model.hyper);
  const auto need = [&] { return need_of(model, options); };
  return with_memory(need, [&] {
    require_memory(need(), model.owned_bytes + Engine::bytes(model, engine->options()), runtime.memory_limit());
    auto session = std::make_shared<Session>(std::move(engine), options);
    if (asked.context == 0 && model.hyper.context > options.context) {
      runtime.log(BITNET_LOG_INFO, "context: " + std::to_string(options.context) + " of the " +
                                       std::to_string(model.hyper.context) +
                                       " tokens that the model was trained for; name a context for more");
    }
    return session;
  });
}

std::shared_ptr<Session> Session::fork() const {
  const auto need = [&] { return need_of_fork(runtime().model(), options_); };
  return with_memory(need, [&] {
    const Model& model = runtime().model();
    require_memory(need(), model.owned_bytes + Engine::bytes(model, engine_->options()) + bytes(model, options_),
                   runtime().memory_limit());
    return std::shared_ptr<Session>(new Session(*this));
  });
}

uint64_t Session::bytes(const Model& model, const SessionOptions& asked) {
  return need_of(model, with_defaults(asked, model.hyper)).bytes;
}

// A callback of the call that runs may free its own session: that call keeps it until it returns.
void Session::close() {
  if (!busy_.load(std::memory_order_acquire)) return;
  cancel(true);
  if (user_.load(std::memory_order_relaxed) == std::this_thread::get_id()) return;
  wait_while(busy_, true);
  cancel(false);  // a generation may go on with the session
}

Perf Session::perf() const {
  const std::lock_guard lock(perf_mutex_);
  return perf_;
}

void Session::reset_perf() {
  const std::lock_guard lock(perf_mutex_);
  perf_ = {};
}

void Session::rewind(uint32_t to) {
  const Use use(*this);
  require(to <= position(), BITNET_ERROR_ARGUMENT, "cannot rewind to position ", to, ": the session holds ",
          counted(position(), "token"));
  cut(to);
}

void Session::cut(uint32_t to) {
  set_position(to);
  state_->truncate(to);
  if (to == 0) loaded_ = false;
  logits_rows_ = 0;
  logits_later_ = false;
}

std::span<const float> Session::logits(size_t index) const {
  const Use use(*this);
  all_wanted_ = true;
  return last_logits(index);
}

std::span<const float> Session::last_logits(size_t index) const {
  require(index < logits_rows_, BITNET_ERROR_ARGUMENT, "there are no logits of row ", index,
          ": the last evaluation left ", counted(logits_rows_, "row"));
  if (logits_later_) {
    float* const out = logits_.as<float>();
    engine_->alone([&](ThreadPool&) { engine_->compute_head({.given = hidden_.as<float>(), .logits = out}); });
    logits_later_ = false;
  }
  return {logits_.as<float>() + index * vocabulary(), vocabulary()};
}

void Session::check(std::span<const Token> tokens, bitnet_logits_of which) const {
  require(!tokens.empty(), BITNET_ERROR_ARGUMENT, "no tokens to evaluate");
  require(which == BITNET_LOGITS_LAST || which == BITNET_LOGITS_ALL || which == BITNET_LOGITS_NONE,
          BITNET_ERROR_ARGUMENT, "logits of kind ", static_cast<int>(which), " asked for, which does not exist");
  require(which == BITNET_LOGITS_NONE || runtime().model().head.data != nullptr, BITNET_ERROR_UNSUPPORTED,
          "the model has no head: it makes embeddings (bitnet_embed; bitnet embed), and neither logits nor text");
  require(tokens.size() <= context() - position(), BITNET_ERROR_CONTEXT, counted(tokens.size(), "token"),
          tokens.size() == 1 ? " does" : " do", " not fit: the session holds ", position(), " of ", context(),
          "; rewind it, or make one with a larger context");
  for (size_t i = 0; i < tokens.size(); i++) {
    require(tokens[i] >= 0 && static_cast<size_t>(tokens[i]) < vocabulary(), BITNET_ERROR_ARGUMENT, "token ", tokens[i],
            " at index ", i, " is out of range: the vocabulary has ", vocabulary());
  }
}

Token Session::sample(Sampler& sampler) {
  const Use use(*this);
  require(
      logits_rows_ != 0, BITNET_ERROR_ARGUMENT,
      "there are no logits to draw a token from: evaluate tokens with BITNET_LOGITS_LAST or BITNET_LOGITS_ALL first");
  return *draw(sampler, true);
}

// Nothing if that takes the head, and it may not be used.
std::optional<Token> Session::draw(Sampler& sampler, bool with_head) {
  const auto start = std::chrono::steady_clock::now();
  Token token;
  if (!draw_largest(sampler, with_head, token)) {
    if (logits_later_ && !with_head) return std::nullopt;
    all_wanted_ |= logits_later_ || sampler.count_needed(vocabulary(), tokens()) == 0;
    token = sampler.sample(last_logits(logits_rows_ - 1), tokens(), runtime().kernels());
  }
  const std::lock_guard lock(perf_mutex_);
  perf_.sampled_tokens++;
  perf_.sample_ns += nanoseconds_since(start);
  return token;
}

// If that takes only a few of the logits, and the others are not there yet.
bool Session::draw_largest(Sampler& sampler, bool with_head, Token& token) {
  if (!logits_later_ || (!is_screened_ && !with_head)) return false;
  const size_t count = sampler.count_needed(vocabulary(), tokens());
  if (count == 0) return false;
  std::vector<TokenLogit> found;
  if (!find_largest(count, sampler.adjusted(), found)) return false;
  token = sampler.sample(found, vocabulary(), tokens(), runtime().kernels());
  return true;
}

// What a pass has screened is searched by this thread, while others may compute. Otherwise all threads do both.
bool Session::find_largest(size_t count, std::span<const Token> also, std::vector<TokenLogit>& found) {
  const float* const x = hidden_.as<float>();
  const Screen& screen = engine_->screen();
  if (is_screened_) return screen.find_largest(screened_, x, count, also, found);
  return engine_->alone([&](ThreadPool& threads) {
    engine_->compute_head({.given = x, .screened = &screened_});
    is_screened_ = true;
    return screen.find_largest(screened_, x, count, also, found, &threads);
  });
}

void Session::eval(std::span<const Token> tokens, bitnet_logits_of which) {
  const Use use(*this);
  check(tokens, which);
  ask(tokens, which);
  Seat* const seat = &seat_;
  engine_->run({&seat, 1});
  take_over();
}

void Session::eval_batch(std::span<const Item> items) {
  require(!items.empty(), BITNET_ERROR_ARGUMENT, "no sessions to evaluate");
  std::vector<Use> uses;
  for (size_t i = 0; i < items.size(); i++) {
    Session& session = *items[i].session;
    const bool again =
        std::any_of(items.begin(), items.begin() + i, [&](const Item& x) { return x.session == &session; });
    require(!again, BITNET_ERROR_ARGUMENT, "a session appears twice in the batch");
    require(&session.runtime() == &items.front().session->runtime(), BITNET_ERROR_ARGUMENT,
            "the sessions of a batch must be of the same open model");
    uses.emplace_back(session);
    session.check(items[i].tokens, items[i].which);
  }
  try {
    for (const Item& item : items) item.session->ask(item.tokens, item.which);
  } catch (...) {
    for (const Item& item : items) item.session->state_->truncate(item.session->position());
    throw;
  }

  std::vector<Session*> left;
  for (const Item& item : items) left.push_back(item.session);
  while (!left.empty()) {  // sessions with other options have another engine
    Engine& engine = *left.front()->engine_;
    std::vector<Seat*> seats;
    for (Session* session : left) {
      if (session->engine_.get() == &engine) seats.push_back(&session->seat_);
    }
    engine.run(seats);
    std::erase_if(left, [&](const Session* session) { return session->engine_.get() == &engine; });
  }
  std::exception_ptr error;
  for (const Item& item : items) {
    try {
      item.session->take_over();
    } catch (...) {
      if (error == nullptr) error = std::current_exception();
    }
  }
  if (error != nullptr) std::rethrow_exception(error);
}

// Fills in the request, with room for its logits. There are none until it is done.
void Session::ask(std::span<const Token> tokens, bitnet_logits_of which, const std::atomic<bool>* cancel) {
  logits_rows_ = 0;
  logits_later_ = is_screened_ = false;
  const size_t rows = which == BITNET_LOGITS_ALL ? tokens.size() : 1, bytes = rows * vocabulary() * sizeof(float);
  const auto need = [&] {
    return MemoryNeed{bytes, "the logits of " + counted(rows, "token"), "ask for those of fewer tokens at a time"};
  };
  with_memory(need, [&] {
    if (logits_.size() < bytes) logits_ = Buffer(bytes);
    if (engine_->backend().has_screen()) engine_->screen().prepare(screened_);
  });
  state_->truncate(position());
  const size_t reused = reuse(tokens, which), begin = position() + reused;
  const bool has_room = state_->prepare(begin, position() + tokens.size());
  seat_.request = {
      .tokens = tokens.subspan(reused),
      .position = static_cast<uint32_t>(begin),
      .state = state_.get(),
      .which = which,
      .logits = logits_.as<float>(),
      .hidden = hidden_.as<float>(),
      .screened = &screened_,
      .wants_all = all_wanted_,
      .has_room = has_room,
      .cancels = {&cancel_, cancel},
  };
}

// Takes over keys and values of the first of these tokens, in whole pages, but for the last token of all. Returns how
// many those are.
size_t Session::reuse(std::span<const Token> tokens, bitnet_logits_of which) {
  if (!shares_prefixes() || which == BITNET_LOGITS_ALL || position() % kKvBlock != 0 || tokens.size() < kKvBlock) {
    return 0;
  }
  std::ranges::copy(tokens, tokens_.as<Token>() + position());
  const size_t found =
      state_->find(options_.prefix_scope, {tokens_.as<Token>(), position() + tokens.size()}, position());
  return std::min(found, tokens.size() - 1);
}

// What the request has come to.
void Session::take_over() {
  const std::span<const Token> tokens = seat_.request.tokens;
  switch (seat_.state) {
    case Seat::State::done:
      break;
    case Seat::State::cancelled:
      seat_.state = Seat::State::none;
      cancel(false);
      state_->truncate(position());
      fail(BITNET_ERROR_CANCELLED, "the evaluation was cancelled");
    case Seat::State::failed:
      seat_.state = Seat::State::none;
      state_->truncate(position());
      std::rethrow_exception(seat_.error);
    case Seat::State::following:  // by the session's generation, which calls this
      break;
    case Seat::State::none:
    case Seat::State::starved:
    case Seat::State::waiting:
    case Seat::State::computing:
    case Seat::State::held:
      fail(BITNET_ERROR_INTERNAL, "an evaluation returned before it was done");
  }
  const uint32_t reused = seat_.request.position - position();
  std::ranges::copy(tokens, tokens_.as<Token>() + seat_.request.position);
  set_position(seat_.request.position + static_cast<uint32_t>(tokens.size()));
  state_->settle();
  if (shares_prefixes()) state_->keep(options_.prefix_scope, this->tokens());
  switch (seat_.request.which) {
    case BITNET_LOGITS_LAST:
      logits_rows_ = 1;
      break;
    case BITNET_LOGITS_ALL:
      logits_rows_ = tokens.size();
      break;
    case BITNET_LOGITS_NONE:
      break;
  }
  logits_later_ = seat_.logits_later;
  is_screened_ = seat_.screened;
  all_wanted_ = false;
  const bool prompt = reused + tokens.size() > 1;
  const std::lock_guard lock(perf_mutex_);
  (prompt ? perf_.prompt_tokens : perf_.generated_tokens) += tokens.size();
  (prompt ? perf_.prompt_ns : perf_.generated_ns) += seat_.nanoseconds;
  perf_.passes += seat_.passes;
  perf_.pass_sessions += seat_.pass_sessions;
  perf_.reused_tokens += reused;
}

}  // namespace bitnet
