// SPDX-License-Identifier: MIT
#include "engine/session.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "base/cores.h"
#include "base/error.h"
#include "base/memory.h"

namespace bitnet {
namespace {

constexpr uint32_t kMaxBatch = 4096;
constexpr uint32_t kMaxContext = 1 << 24;  // positions are exact as floats up to here
constexpr uint32_t kDefaultBatch = 256;

SessionOptions with_defaults(SessionOptions options, const HyperParameters& hyper) {
  if (options.context == 0) options.context = default_context(hyper.context);
  if (options.threads == 0) options.threads = std::min(usable_cores(), ThreadPool::kMostThreads);
  if (options.batch == 0) options.batch = kDefaultBatch;
  require(options.context <= kMaxContext, BITNET_ERROR_ARGUMENT, "context of ", counted(options.context, "token"),
          " asked for; the most is ", kMaxContext);
  require(options.threads <= ThreadPool::kMostThreads, BITNET_ERROR_ARGUMENT, options.threads,
          " threads asked for; the most is ", ThreadPool::kMostThreads);
  // Threads beyond the CPUs would wait for one another, and the work would be cut finer for nothing. How many CPUs
  // there are to a caller's own pool, the caller knows.
  if (options.parallel == nullptr) options.threads = std::min(options.threads, usable_cpus());
  options.generation_threads = std::min(options.generation_threads, options.threads);
  require(options.batch <= kMaxBatch, BITNET_ERROR_ARGUMENT, "batch of ", options.batch,
          " tokens asked for; the most is ", kMaxBatch);
  options.batch = std::min(options.batch, options.context);
  return options;
}

uint64_t work_bytes(const Model& model, const SessionOptions& options) {
  const uint64_t rows_of_logits = model.screen.data != nullptr ? 2 : 1;
  return ForwardPass::bytes(model, options.threads, options.batch, options.context) +
         uint64_t{options.context} * sizeof(Token) +
         (rows_of_logits * model.hyper.vocabulary + model.hyper.hidden) * sizeof(float);
}

// Of options with their defaults filled in.
MemoryNeed need_of(const Model& model, const SessionOptions& options) {
  const uint64_t cache = KvCache::bytes(model.hyper, options.kv, options.context), work = work_bytes(model, options);
  const bool shrinks = code_bytes(options.kv) > code_bytes(KvType::int8);
  return {cache + work,
          "a session of " + counted(options.context, "token") + " (KV cache " + size_text(cache) + ", work space " +
              size_text(work) + ")",
          cache < work ? "fewer threads or a smaller batch take less"
          : shrinks    ? "a smaller context or an int8 KV cache takes less"
                       : "a smaller context takes less"};
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

Session::Compute::Compute(const Runtime& runtime, const SessionOptions& options)
    : most_threads(options.threads),
      threads(options.threads, options.parallel, options.parallel_user),
      tuner(options.generation_threads != 0 ? options.generation_threads : options.threads,
            options.generation_threads != 0 || options.parallel != nullptr),
      forward(runtime.model(), runtime.kernels(), threads, options.batch, options.context) {
  rows.reserve(options.batch);
}

// Evaluates the rows; a single one with as many threads as are best for that.
bool Session::Compute::run(const std::function<bool()>& cancelled) {
  const bool single = rows.size() == 1;
  threads.use(single ? tuner.threads() : most_threads);
  const auto start = std::chrono::steady_clock::now();
  if (!forward.run(rows, cancelled)) return false;
  if (single) tuner.record(std::chrono::steady_clock::now() - start);
  return true;
}

// What the items' sessions have left for later is screened together.
void Session::Compute::screen(std::span<const Item> items) {
  std::vector<float> states;
  std::vector<Screened*> screened;
  for (const Item& item : items) {
    Session& session = *item.session;
    if (!session.logits_later_) continue;
    states.insert(states.end(), session.hidden_.begin(), session.hidden_.end());
    screened.push_back(&session.screened_);
    session.is_screened_ = true;
  }
  forward.head().screen(states.data(), screened);
}

Session::Session(std::shared_ptr<const Runtime> runtime, const SessionOptions& options)
    : runtime_(std::move(runtime)),
      options_(with_defaults(options, runtime_->model().hyper)),
      compute_(std::make_shared<Compute>(*runtime_, options_)),
      cache_(runtime_->model().hyper, options_.kv, options_.context) {
  tokens_.reserve(options_.context);
  logits_.reserve(vocabulary());
  hidden_.resize(runtime_->model().hyper.hidden);
}

Session::Session(const Session& other)
    : perf(other.perf),
      runtime_(other.runtime_),
      options_(other.options_),
      compute_(other.compute_),
      cache_(runtime_->model().hyper, options_.kv, options_.context),
      logits_(other.logits_),
      logits_rows_(other.logits_rows_),
      hidden_(other.hidden_),
      logits_later_(other.logits_later_),
      all_wanted_(other.all_wanted_) {
  tokens_.reserve(options_.context);
  tokens_.assign(other.tokens_.begin(), other.tokens_.end());
  logits_.reserve(vocabulary());
  cache_.copy(other.cache_, tokens_.size());
}

std::shared_ptr<Session> Session::create(std::shared_ptr<const Runtime> runtime, const SessionOptions& asked) {
  const Model& model = runtime->model();
  const SessionOptions options = with_defaults(asked, model.hyper);
  const auto need = [&] { return need_of(model, options); };
  return with_memory(need, [&] {
    require_memory(need(), model.owned_bytes, memory_limit());
    auto session = std::make_shared<Session>(runtime, options);
    if (asked.context == 0 && model.hyper.context > options.context) {
      runtime->log(BITNET_LOG_INFO, "context: " + std::to_string(options.context) + " of the " +
                                        std::to_string(model.hyper.context) +
                                        " tokens that the model was trained for; name a context for more");
    }
    return session;
  });
}

std::shared_ptr<Session> Session::fork() const {
  const auto need = [&] { return need_of_fork(runtime_->model(), options_); };
  return with_memory(need, [&] {
    const Model& model = runtime_->model();
    require_memory(need(), model.owned_bytes + bytes(model, options_), memory_limit());
    return std::shared_ptr<Session>(new Session(*this));
  });
}

uint64_t Session::bytes(const Model& model, const SessionOptions& asked) {
  const SessionOptions options = with_defaults(asked, model.hyper);
  return KvCache::bytes(model.hyper, options.kv, options.context) + work_bytes(model, options);
}

void Session::rewind(uint32_t position) {
  require(position <= tokens_.size(), BITNET_ERROR_ARGUMENT, "cannot rewind to position ", position,
          ": the session holds ", counted(tokens_.size(), "token"));
  tokens_.resize(position);
  logits_rows_ = 0;
  logits_later_ = false;
}

std::span<const float> Session::logits(size_t index) const {
  all_wanted_ = true;
  return all_logits(index);
}

std::span<const float> Session::all_logits(size_t index) const {
  require(index < logits_rows_, BITNET_ERROR_ARGUMENT, "there are no logits of row ", index,
          ": the last evaluation left ", counted(logits_rows_, "row"));
  const size_t n = vocabulary();
  if (logits_later_) {
    const std::lock_guard lock(compute_->mutex);
    float* const out = logits_.data();
    compute_->forward.head().logits(hidden_.data(), {&out, 1});
    logits_later_ = false;
  }
  return std::span<const float>(logits_).subspan(index * n, n);
}

void Session::eval(std::span<const Token> tokens, bitnet_logits_of which, const std::atomic<bool>* cancel) {
  const Item item{this, tokens, which};
  eval_batch({&item, 1}, cancel);
}

void Session::check(const Item& item) const {
  require(!item.tokens.empty(), BITNET_ERROR_ARGUMENT, "no tokens to evaluate");
  require(item.which == BITNET_LOGITS_LAST || item.which == BITNET_LOGITS_ALL || item.which == BITNET_LOGITS_NONE,
          BITNET_ERROR_ARGUMENT, "logits of kind ", static_cast<int>(item.which), " asked for, which does not exist");
  require(item.tokens.size() <= context() - position(), BITNET_ERROR_CONTEXT, counted(item.tokens.size(), "token"),
          item.tokens.size() == 1 ? " does" : " do", " not fit: the session holds ", position(), " of ", context(),
          "; rewind it, or make one with a larger context");
  for (size_t i = 0; i < item.tokens.size(); i++) {
    const Token token = item.tokens[i];
    require(token >= 0 && static_cast<size_t>(token) < vocabulary(), BITNET_ERROR_ARGUMENT, "token ", token,
            " at index ", i, " is out of range: the vocabulary has ", vocabulary());
  }
}

Token Session::sample(Sampler& sampler) {
  require(
      logits_rows_ != 0, BITNET_ERROR_ARGUMENT,
      "there are no logits to draw a token from: evaluate tokens with BITNET_LOGITS_LAST or BITNET_LOGITS_ALL first");
  const auto start = std::chrono::steady_clock::now();
  Token token;
  if (!sample_largest(sampler, token)) {
    all_wanted_ |= logits_later_ || sampler.count_needed(vocabulary(), tokens_) == 0;
    token = sampler.sample(all_logits(logits_rows_ - 1), tokens_, runtime_->kernels());
  }
  perf.sampled_tokens++;
  perf.sample_ns += nanoseconds_since(start);
  return token;
}

// Draws the token that sample() draws, if that takes only a few of the logits and the others are not there yet.
bool Session::sample_largest(Sampler& sampler, Token& token) {
  if (!logits_later_) return false;
  const size_t count = sampler.count_needed(vocabulary(), tokens_);
  if (count == 0) return false;
  std::vector<TokenLogit> found;
  {
    const std::lock_guard lock(compute_->mutex);
    Head& head = compute_->forward.head();
    Screened* const screened = &screened_;
    if (!is_screened_) head.screen(hidden_.data(), {&screened, 1});
    is_screened_ = true;
    if (!head.find_largest(screened_, hidden_.data(), count, sampler.adjusted(), found, &compute_->threads)) {
      return false;
    }
  }
  token = sampler.sample(found, vocabulary(), tokens_, runtime_->kernels());
  return true;
}

// Where evaluation of a batch stands: hands out its rows in pieces, item by item.
class Session::Rows {
 public:
  explicit Rows(std::span<const Item> items) : items_(items) {}

  // Fills `rows` with the next ones, up to its capacity. Returns false when there are none left.
  bool next(std::vector<Row>& rows) {
    rows.clear();
    for (; item_ < items_.size() && rows.size() < rows.capacity(); item_++, token_ = 0) {
      const Item& item = items_[item_];
      Session& session = *item.session;
      for (; token_ < item.tokens.size() && rows.size() < rows.capacity(); token_++) {
        rows.push_back({item.tokens[token_], session.position() + static_cast<uint32_t>(token_), &session.cache_,
                        logits(item, token_), hidden(item, token_)});
      }
      if (token_ < item.tokens.size()) break;
    }
    return !rows.empty();
  }

 private:
  static float* logits(const Item& item, size_t token) {
    Session& session = *item.session;
    if (item.which == BITNET_LOGITS_ALL) return session.logits_.data() + token * session.vocabulary();
    return is_last(item, token) && !session.logits_later_ ? session.logits_.data() : nullptr;
  }
  static float* hidden(const Item& item, size_t token) {
    Session& session = *item.session;
    return is_last(item, token) && session.logits_later_ ? session.hidden_.data() : nullptr;
  }
  static bool is_last(const Item& item, size_t token) {
    return item.which == BITNET_LOGITS_LAST && token + 1 == item.tokens.size();
  }

  std::span<const Item> items_;
  size_t item_ = 0, token_ = 0;
};

void Session::eval_batch(std::span<const Item> items, const std::atomic<bool>* cancel) {
  require(!items.empty(), BITNET_ERROR_ARGUMENT, "no sessions to evaluate");
  Session* widest = items.front().session;
  for (size_t i = 0; i < items.size(); i++) {
    Session& session = *items[i].session;
    const bool again =
        std::any_of(items.begin(), items.begin() + i, [&](const Item& x) { return x.session == &session; });
    require(!again, BITNET_ERROR_ARGUMENT, "a session appears twice in the batch");
    require(session.runtime_ == widest->runtime_, BITNET_ERROR_ARGUMENT,
            "the sessions of a batch must be of the same open model");
    session.check(items[i]);
    if (session.context() > widest->context()) widest = &session;
  }
  const bool alone = items.size() == 1;
  for (const Item& item : items) item.session->prepare_logits(item, item.session->leaves_logits(item, alone));

  const auto start = std::chrono::steady_clock::now();
  const SessionOptions& options = widest->options_;
  const auto cancelled = [&] {
    return (cancel != nullptr && cancel->load(std::memory_order_relaxed)) ||
           (options.abort != nullptr && options.abort(options.abort_user) != 0);
  };
  {
    Compute& compute = *widest->compute_;
    const std::lock_guard lock(compute.mutex);
    for (Rows rows(items); rows.next(compute.rows);) {
      require(compute.run(cancelled), BITNET_ERROR_CANCELLED, "the evaluation was cancelled");
    }
    if (!alone) compute.screen(items);
  }
  const uint64_t elapsed = nanoseconds_since(start);
  for (const Item& item : items) item.session->advance(item, elapsed);
}

// Whether the logits of the item are not computed before they are asked for.
bool Session::leaves_logits(const Item& item, bool alone) const {
  return item.which == BITNET_LOGITS_LAST && compute_->forward.head().has_screen() && (alone || !all_wanted_);
}

// Makes room for the logits of the item; there are none until it has been evaluated.
void Session::prepare_logits(const Item& item, bool later) {
  const size_t rows = item.which == BITNET_LOGITS_ALL ? item.tokens.size() : item.which == BITNET_LOGITS_LAST;
  logits_rows_ = 0;
  const auto need = [&] {
    return MemoryNeed{rows * vocabulary() * sizeof(float), "the logits of " + counted(rows, "token"),
                      "ask for those of fewer tokens at a time"};
  };
  with_memory(need, [&] { logits_.resize(rows * vocabulary()); });
  logits_later_ = later;
  all_wanted_ = false;
  is_screened_ = false;
}

void Session::advance(const Item& item, uint64_t elapsed) {
  tokens_.insert(tokens_.end(), item.tokens.begin(), item.tokens.end());
  logits_rows_ = logits_.size() / vocabulary();
  const bool prompt = item.tokens.size() > 1;
  (prompt ? perf.prompt_tokens : perf.generated_tokens) += item.tokens.size();
  (prompt ? perf.prompt_ns : perf.generated_ns) += elapsed;
}

}  // namespace bitnet
