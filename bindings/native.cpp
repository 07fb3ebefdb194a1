// SPDX-License-Identifier: MIT
#include "native.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <new>
#include <thread>

namespace bitnet::binding {

bool (*interrupted)() = nullptr;

namespace {

[[noreturn]] void refuse(std::string message) { throw Error{BITNET_ERROR_ARGUMENT, std::move(message)}; }

bitnet_status check(bitnet_status status) {
  if (status < 0) throw Error{status, bitnet_last_error()};
  return status;
}

// A C string; a zero byte inside would cut it short unseen.
std::string c_string(std::string_view text, const char* what) {
  if (text.find('\0') != std::string_view::npos) refuse(std::string(what) + " contains a zero byte");
  return std::string(text);
}

// Calls fill(data, capacity, size*) until what it writes fits.
template <typename Container, typename Fill>
Container fill_buffer(size_t guess, const Fill& fill) {
  Container result(guess, {});
  size_t size = 0;
  bitnet_status status;
  while ((status = fill(result.data(), result.size(), &size)) == BITNET_ERROR_BUFFER) result.resize(size);
  check(status);
  result.resize(size);
  return result;
}

// The C object, freed with the last that shares it, and with it what it needs as long as it lives.
template <typename T>
std::shared_ptr<T> own(T* object, void (*release)(T*), std::shared_ptr<const void> needed = nullptr) {
  return {object, [release, needed](T* o) { release(o); }};
}

int forward_progress(void* user, uint64_t done, uint64_t total) {
  try {
    const bool go_on = static_cast<Listener*>(user)->progress(static_cast<int64_t>(done), static_cast<int64_t>(total));
    return !go_on || (interrupted != nullptr && interrupted());
  } catch (...) {
    return 1;
  }
}

void forward_log(void* user, bitnet_log_level level, const char* message) {
  try {
    static_cast<Listener*>(user)->log(level, message);
  } catch (...) {
    // A listener that fails has no say in what it was told.
    return;
  }
}

}  // namespace

bool Listener::progress(int64_t, int64_t) { return true; }
void Listener::log(bitnet_log_level, std::string_view) {}

// ------------------------------------------------------------------ options

OpenOptions::OpenOptions() : bitnet_open_options{} { size = sizeof(bitnet_open_options); }
ConvertOptions::ConvertOptions() : bitnet_convert_options{} { size = sizeof(bitnet_convert_options); }
PoolOptions::PoolOptions() : bitnet_pool_options{} { size = sizeof(bitnet_pool_options); }
EngineOptions::EngineOptions() : bitnet_engine_options{} { size = sizeof(bitnet_engine_options); }
SessionOptions::SessionOptions() : bitnet_session_options{} { size = sizeof(bitnet_session_options); }
EmbedOptions::EmbedOptions() : bitnet_embed_options{} { size = sizeof(bitnet_embed_options); }
SamplerOptions::SamplerOptions() : bitnet_sampler_options{} { size = sizeof(bitnet_sampler_options); }
GenerateOptions::GenerateOptions() : bitnet_generate_options{} { size = sizeof(bitnet_generate_options); }

namespace {

// What opening and converting are told in the same way.
template <typename Options>
Options complete(Options options, const std::string& chat_template, Listener* listener) {
  if (!chat_template.empty()) options.chat_template = chat_template.c_str();
  if (listener != nullptr) {
    options.progress = forward_progress;
    options.log = forward_log;
    options.progress_user = options.log_user = listener;
  }
  return options;
}

}  // namespace

void OpenOptions::set_isa(std::string_view name) { isa_ = c_string(name, "the name of the kernel set"); }

void OpenOptions::set_chat_template(std::string_view given) { chat_template_ = c_string(given, "the chat template"); }

bitnet_open_options OpenOptions::get(Listener* listener) const {
  auto options = complete(static_cast<const bitnet_open_options&>(*this), chat_template_, listener);
  if (!isa_.empty()) options.isa = isa_.c_str();
  return options;
}

void ConvertOptions::set_chat_template(std::string_view given) {
  chat_template_ = c_string(given, "the chat template");
}

bitnet_convert_options ConvertOptions::get(Listener* listener) const {
  return complete(static_cast<const bitnet_convert_options&>(*this), chat_template_, listener);
}

bitnet_sampler_options SamplerOptions::get() const {
  auto options = static_cast<const bitnet_sampler_options&>(*this);
  options.logit_bias = biases_.data();
  options.logit_bias_count = biases_.size();
  return options;
}

void GenerateOptions::add_stop(std::string_view text) { stops_.push_back(c_string(text, "a stop string")); }

void Conversation::add(std::string_view role, std::string_view content) {
  messages_.emplace_back(c_string(role, "a message's role"), content);
}

std::vector<bitnet_message> Conversation::get() const {
  std::vector<bitnet_message> messages;
  for (const auto& [role, content] : messages_) {
    messages.push_back({sizeof(bitnet_message), role.c_str(), content.data(), content.size()});
  }
  return messages;
}

// -------------------------------------------------------------------- model

ModelInfo::ModelInfo(std::shared_ptr<bitnet_model> model) : bitnet_model_info{}, model_(std::move(model)) {
  size = sizeof(bitnet_model_info);
  check(bitnet_model_get_info(model_.get(), this));
}

Model* Model::open(std::string_view path, const OpenOptions& options, Listener* listener) {
  const bitnet_open_options c_options = options.get(listener);
  bitnet_model* model = nullptr;
  check(bitnet_open(c_string(path, "the path").c_str(), &c_options, &model));
  return new Model(own(model, bitnet_close));
}

Model* Model::open_memory(std::string_view data, const OpenOptions& options, Listener* listener) {
  constexpr std::align_val_t alignment{64};
  const std::shared_ptr<void> memory(::operator new(data.size(), alignment),
                                     [](void* address) { ::operator delete(address, alignment); });
  std::copy(data.begin(), data.end(), static_cast<char*>(memory.get()));
  const bitnet_open_options c_options = options.get(listener);
  bitnet_model* model = nullptr;
  check(bitnet_open_memory(memory.get(), data.size(), &c_options, &model));
  return new Model(own(model, bitnet_close, memory));
}

std::vector<std::string> Model::metadata() const {
  const auto model = model_.share();
  std::vector<std::string> result;
  const char* key = nullptr;
  const char* value = nullptr;
  while (check(bitnet_model_metadata(model.get(), result.size() / 2, &key, &value)) == BITNET_OK) {
    result.insert(result.end(), {key, value});
  }
  return result;
}

std::vector<bitnet_token> Model::tokenize(std::string_view text, uint32_t flags) const {
  const auto model = model_.share();
  return fill_buffer<std::vector<bitnet_token>>(text.size() / 2 + 16, [&](auto* out, size_t capacity, size_t* count) {
    return bitnet_tokenize(model.get(), text.data(), text.size(), flags, out, capacity, count);
  });
}

std::string Model::detokenize(Tokens tokens, uint32_t flags) const {
  const auto model = model_.share();
  return fill_buffer<std::string>(tokens.size() * 8 + 16, [&](char* out, size_t capacity, size_t* length) {
    return bitnet_detokenize(model.get(), tokens.data(), tokens.size(), flags, out, capacity, length);
  });
}

bool Model::is_control(bitnet_token token) const { return bitnet_token_is_control(model_.share().get(), token) != 0; }
bool Model::is_end(bitnet_token token) const { return bitnet_token_is_end(model_.share().get(), token) != 0; }

std::string Model::chat_format(const Conversation& conversation, uint32_t flags) const {
  const auto model = model_.share();
  const auto messages = conversation.get();
  return fill_buffer<std::string>(256, [&](char* out, size_t capacity, size_t* length) {
    return bitnet_chat_format(model.get(), messages.data(), messages.size(), flags, out, capacity, length);
  });
}

std::vector<bitnet_token> Model::chat_tokenize(const Conversation& conversation, uint32_t flags) const {
  const auto model = model_.share();
  const auto messages = conversation.get();
  return fill_buffer<std::vector<bitnet_token>>(256, [&](bitnet_token* out, size_t capacity, size_t* count) {
    return bitnet_chat_tokenize(model.get(), messages.data(), messages.size(), flags, out, capacity, count);
  });
}

std::string Model::embed(const Texts& texts, const EmbedOptions& options, const Engine* engine, Cancel* cancel) const {
  const auto model = model_.share();
  const auto computes = engine != nullptr ? engine->engine_.share() : nullptr;
  std::vector<bitnet_token> tokens;
  std::vector<size_t> counts;
  for (const Texts::Item& item : texts.texts_) {
    const auto some = item.is_tokens ? item.tokens : tokenize(item.text, BITNET_TEXT_BOS_EOS);
    tokens.insert(tokens.end(), some.begin(), some.end());
    counts.push_back(some.size());
  }
  bitnet_embed_options c_options = options;
  c_options.engine = computes.get();
  c_options.abort_user = cancel;
  c_options.abort = [](void* user) -> int {
    if (user != nullptr && static_cast<Cancel*>(user)->requested()) return 1;
    return interrupted != nullptr && interrupted();
  };
  std::string out(counts.size() * static_cast<size_t>(embed_size(options)), '\0');
  check(bitnet_embed_tokens(model.get(), tokens.data(), counts.data(), counts.size(), &c_options, out.data(),
                            out.size()));
  return out;
}

int64_t Model::embed_size(const EmbedOptions& options) const {
  size_t bytes = 0;
  check(bitnet_embed_size(model_.share().get(), &options, &bytes));
  return static_cast<int64_t>(bytes);
}

int64_t Model::session_memory(const SessionOptions& options) const {
  uint64_t bytes = 0;
  check(bitnet_session_memory(model_.share().get(), &options, &bytes));
  return static_cast<int64_t>(bytes);
}

int64_t Model::engine_memory(const EngineOptions& options) const {
  uint64_t bytes = 0;
  check(bitnet_engine_memory(model_.share().get(), &options, &bytes));
  return static_cast<int64_t>(bytes);
}

int64_t Model::trim() const {
  uint64_t bytes = 0;
  check(bitnet_engine_trim(model_.share().get(), nullptr, &bytes));
  return static_cast<int64_t>(bytes);
}

// ------------------------------------------------------------- pool, engine

namespace {

std::shared_ptr<bitnet_pool> make_pool(const PoolOptions& options) {
  bitnet_pool* pool = nullptr;
  check(bitnet_pool_create(&options, &pool));
  return own(pool, bitnet_pool_free);
}

std::shared_ptr<bitnet_engine> make_engine(const std::shared_ptr<bitnet_model>& model, const EngineOptions& options,
                                           const std::shared_ptr<bitnet_pool>& pool) {
  bitnet_engine_options c_options = options;
  c_options.pool = pool.get();
  bitnet_engine* engine = nullptr;
  check(bitnet_engine_create(model.get(), &c_options, &engine));
  return own(engine, bitnet_engine_free, model);
}

}  // namespace

Pool::Pool(const PoolOptions& options) : pool_("pool", make_pool(options)) {}

Engine::Engine(const Model& model, const EngineOptions& options, const Pool* pool)
    : model_(model.model_.share()),
      engine_("engine", make_engine(model_, options, pool != nullptr ? pool->pool_.share() : nullptr)) {}

int64_t Engine::trim() const {
  uint64_t bytes = 0;
  check(bitnet_engine_trim(model_.get(), engine_.share().get(), &bytes));
  return static_cast<int64_t>(bytes);
}

// ---------------------------------------------------------- sampler, decoder

namespace {

std::shared_ptr<bitnet_sampler> make_sampler(const SamplerOptions& options) {
  const bitnet_sampler_options c_options = options.get();
  bitnet_sampler* sampler = nullptr;
  check(bitnet_sampler_create(&c_options, &sampler));
  return own(sampler, bitnet_sampler_free);
}

std::shared_ptr<bitnet_decoder> make_decoder(const std::shared_ptr<bitnet_model>& model, uint32_t flags) {
  bitnet_decoder* decoder = nullptr;
  check(bitnet_decoder_create(model.get(), flags, &decoder));
  return own(decoder, bitnet_decoder_free, model);
}

}  // namespace

Sampler::Sampler(const SamplerOptions& options) : sampler_("sampler", make_sampler(options)) {}

void Sampler::reseed(uint64_t seed) {
  sampler_.with([&](bitnet_sampler* sampler) { bitnet_sampler_reseed(sampler, seed); });
}

bitnet_token Sampler::sample_logits(Floats logits, Tokens recent) {
  return sampler_.with([&](bitnet_sampler* sampler) {
    bitnet_token token = BITNET_NO_TOKEN;
    check(bitnet_sample_logits(sampler, logits.data(), logits.size(), recent.data(), recent.size(), &token));
    return token;
  });
}

Decoder::Decoder(const Model& model, uint32_t flags) : decoder_("decoder", make_decoder(model.model_.share(), flags)) {}

std::string Decoder::push(bitnet_token token) {
  return decoder_.with([&](bitnet_decoder* decoder) {
    const char* text = nullptr;
    size_t length = 0;
    check(bitnet_decoder_push(decoder, token, &text, &length));
    return std::string(text, length);
  });
}

std::string Decoder::finish() {
  return decoder_.with([&](bitnet_decoder* decoder) {
    const char* text = nullptr;
    size_t length = 0;
    check(bitnet_decoder_finish(decoder, &text, &length));
    return std::string(text, length);
  });
}

// -------------------------------------------------------------------- queue

class QueueState {
 public:
  QueueState() {
    bitnet_queue* made = nullptr;
    check(bitnet_queue_create(&made));
    queue = own(made, bitnet_queue_free);
  }

  // Of a generation that was freed before C's queue could give it.
  void give(uint64_t number) {
    {
      const std::scoped_lock lock(mutex);
      ended.push_back(number);
    }
    bitnet_queue_wake(queue.get());
  }

  // The next of these; 0 if there is none.
  uint64_t take() {
    const std::scoped_lock lock(mutex);
    if (ended.empty()) return 0;
    const uint64_t number = ended.front();
    ended.pop_front();
    return number;
  }

  std::shared_ptr<bitnet_queue> queue;

 private:
  std::mutex mutex;
  std::deque<uint64_t> ended;
};

Queue::Queue() : state_(std::make_shared<QueueState>()) {}

uint64_t Queue::next(uint32_t timeout_ms) const {
  if (const uint64_t number = state_->take()) return number;
  void* user = nullptr;
  if (check(bitnet_queue_next(state_->queue.get(), timeout_ms, &user)) == BITNET_OK) {
    return reinterpret_cast<uintptr_t>(user);
  }
  return state_->take();
}

void Queue::wake() const { bitnet_queue_wake(state_->queue.get()); }

// ------------------------------------------------------------------ session

// What a session and its generation share. Everything but the atomics is guarded by the mutex. To write the pointers
// takes the other one, too, which is never held for long: with it alone any thread may cancel what they point to.
class SessionState {
 public:
  std::mutex mutex;
  std::mutex pointers;
  std::atomic<std::thread::id> user;        // who holds the mutex
  std::atomic<bool> closing = false;        // calls find it closed
  std::atomic<size_t> views = 0;            // objects of class Logits
  std::shared_ptr<bitnet_session> session;  // null when closed
  std::shared_ptr<bitnet_generation> generation;
  uint64_t generations = 0;           // the number of the latest
  std::shared_ptr<QueueState> queue;  // that the generation is submitted to, or was until next() is called
  uint64_t submission = 0;            // under which number
  std::atomic<uint64_t> stopped = 0;  // the number of the generation that close() found submitted
  uint32_t vocabulary = 0;

  void begin(bitnet_generation* begun) {
    const std::scoped_lock lock(pointers);
    generation = own(begun, bitnet_generation_free);
    ++generations;
  }

  void end() {
    std::shared_ptr<bitnet_generation> ended;
    {
      const std::scoped_lock lock(pointers);
      ended = std::move(generation);
    }
    ended.reset();  // who waits for it is told after that
    if (queue != nullptr) std::exchange(queue, nullptr)->give(submission);
  }

  void cancel() {
    const std::scoped_lock lock(pointers);
    bitnet_session_cancel(session.get(), 1);
  }

  void cancel_generation(uint64_t number) {
    const std::scoped_lock lock(pointers);
    if (generations == number) bitnet_generation_cancel(generation.get());
  }

  void close() {
    if (queue != nullptr) stopped = generations;
    end();
    const std::scoped_lock lock(pointers);
    session.reset();
  }
};

namespace {

// Holds the session for one call. A signal handler that a language runs in the midst of a call must not wait for it.
class Use {
 public:
  explicit Use(SessionState& state) : state_(state) {
    if (state.user == std::this_thread::get_id()) refuse("the session is in the midst of another call of this thread");
    state.mutex.lock();
    // Whoever has waited longer than close() comes after it all the same.
    if (state.closing || state.session == nullptr) {
      state.mutex.unlock();
      refuse("the session is closed");
    }
    state.user = std::this_thread::get_id();
  }
  ~Use() {
    state_.user = std::thread::id();
    state_.mutex.unlock();
  }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;

  bitnet_session* session() const { return state_.session.get(); }

 protected:
  SessionState& state_;
};

// The same for a call that changes it.
class Change : public Use {
 public:
  explicit Change(SessionState& state) : Use(state) {
    if (state.views != 0) refuse("the session cannot change while arrays of its logits are in use");
    state.end();
  }
};

// Cancellation is told to the library by whoever asks for it. Only where a language has signals that its own code must
// handle, or threads that can be interrupted, the thread that called is asked, and by this.
int abort_interrupted(void*) { return interrupted() ? 1 : 0; }

std::shared_ptr<bitnet_session> make_session(const std::shared_ptr<bitnet_model>& model, const SessionOptions& options,
                                             const std::shared_ptr<bitnet_engine>& engine) {
  bitnet_session_options c_options = options;
  if (interrupted != nullptr) c_options.abort = abort_interrupted;
  c_options.engine = engine.get();
  bitnet_session* session = nullptr;
  check(bitnet_session_create(model.get(), &c_options, &session));
  return own(session, bitnet_session_free, model);
}

}  // namespace

void Cancel::request() {
  const std::scoped_lock lock(mutex_);
  requested_ = true;
  for (bitnet_session* session : running_) bitnet_session_cancel(session, 1);
}

// A call that evaluates sessions, which are held, and a request that may cancel it.
class Cancellable {
 public:
  Cancellable(std::vector<bitnet_session*> sessions, Cancel* cancel) : sessions_(std::move(sessions)), cancel_(cancel) {
    if (cancel == nullptr) return;
    const std::scoped_lock lock(cancel->mutex_);
    if (cancel->requested_) throw Error{BITNET_ERROR_CANCELLED, "the call was cancelled"};
    cancel->running_.insert(cancel->running_.end(), sessions_.begin(), sessions_.end());
  }
  ~Cancellable() {
    if (cancel_ == nullptr) return;
    const std::scoped_lock lock(cancel_->mutex_);
    for (bitnet_session* session : sessions_) {
      cancel_->running_.erase(std::ranges::find(cancel_->running_, session));
      // A request that came too late is not for the session's next call.
      if (cancel_->requested_) bitnet_session_cancel(session, 0);
    }
  }
  Cancellable(const Cancellable&) = delete;
  Cancellable& operator=(const Cancellable&) = delete;

 private:
  std::vector<bitnet_session*> sessions_;
  Cancel* cancel_;
};

Session::Session(std::shared_ptr<bitnet_session> session, uint32_t vocabulary)
    : state_(std::make_shared<SessionState>()) {
  state_->session = std::move(session);
  state_->vocabulary = vocabulary;
}

Session::Session(const Model& model, const SessionOptions& options, const Engine* engine)
    : Session(make_session(model.model_.share(), options, engine != nullptr ? engine->engine_.share() : nullptr),
              model.info().vocabulary) {}

void Session::close() {
  if (state_->user == std::this_thread::get_id()) refuse("the session is in the midst of another call of this thread");
  state_->closing = true;
  state_->cancel();
  const std::scoped_lock lock(state_->mutex);
  state_->close();
}

Session* Session::fork() const {
  const Use use(*state_);
  bitnet_session* fork = nullptr;
  check(bitnet_session_fork(use.session(), &fork));
  return new Session(own(fork, bitnet_session_free, state_->session), state_->vocabulary);
}

uint32_t Session::position() const { return bitnet_session_position(Use(*state_).session()); }
std::string Session::describe() const {
  if (state_->closing) return "closed";
  if (state_->user == std::this_thread::get_id()) return "in a call";  // of a signal handler
  const std::unique_lock lock(state_->mutex, std::try_to_lock);
  if (!lock) return "in a call";
  if (state_->session == nullptr) return "closed";
  const auto number = [](uint32_t count) { return std::to_string(count); };
  return number(bitnet_session_position(state_->session.get())) + " of " +
         number(bitnet_session_context(state_->session.get())) + " tokens";
}

uint32_t Session::context() const { return bitnet_session_context(Use(*state_).session()); }

std::vector<bitnet_token> Session::tokens() const {
  const Use use(*state_);
  const bitnet_token* tokens = nullptr;
  size_t count = 0;
  check(bitnet_session_tokens(use.session(), &tokens, &count));
  return {tokens, tokens + count};
}

void Session::rewind(uint32_t position) { check(bitnet_session_rewind(Change(*state_).session(), position)); }

void Session::save(std::string_view path) const {
  check(bitnet_session_save(Use(*state_).session(), c_string(path, "the path").c_str()));
}

void Session::load(std::string_view path) {
  check(bitnet_session_load(Change(*state_).session(), c_string(path, "the path").c_str()));
}

std::string Session::save_memory() const {
  const Use use(*state_);
  return fill_buffer<std::string>(0, [&](char* out, size_t capacity, size_t* length) {
    return bitnet_session_save_memory(use.session(), capacity != 0 ? out : nullptr, capacity, length);
  });
}

void Session::load_memory(std::string_view data) {
  check(bitnet_session_load_memory(Change(*state_).session(), data.data(), data.size()));
}

bitnet_perf Session::perf() const {
  bitnet_perf perf = {};
  perf.size = sizeof perf;
  check(bitnet_session_get_perf(Use(*state_).session(), &perf));
  return perf;
}

void Session::reset_perf() { bitnet_session_reset_perf(Use(*state_).session()); }

void Session::eval(Tokens tokens, bitnet_logits_of logits, Cancel* cancel) {
  const Change change(*state_);
  const Cancellable call({change.session()}, cancel);
  check(bitnet_eval(change.session(), tokens.data(), tokens.size(), logits));
}

Logits* Session::logits(size_t index) const { return new Logits(state_, index); }

bitnet_token Session::sample(Sampler& sampler) {
  return sampler.sampler_.with([&](bitnet_sampler* c_sampler) {
    bitnet_token token = BITNET_NO_TOKEN;
    check(bitnet_sample(c_sampler, Use(*state_).session(), &token));
    return token;
  });
}

Generation* Session::generate(std::string_view prompt, const GenerateOptions& options) {
  const Change change(*state_);
  bitnet_generation* generation = nullptr;
  options.with([&](const bitnet_generate_options* c_options) {
    check(bitnet_generation_start(change.session(), prompt.data(), prompt.size(), c_options, &generation));
  });
  state_->begin(generation);
  return new Generation(state_, state_->generations);
}

Generation* Session::generate_tokens(Tokens prompt, const GenerateOptions& options) {
  const Change change(*state_);
  bitnet_generation* generation = nullptr;
  options.with([&](const bitnet_generate_options* c_options) {
    check(bitnet_generation_start_tokens(change.session(), prompt.data(), prompt.size(), c_options, &generation));
  });
  state_->begin(generation);
  return new Generation(state_, state_->generations);
}

Logits::Logits(std::shared_ptr<SessionState> state, size_t index) : state_(std::move(state)) {
  const Use use(*state_);
  const float* values = nullptr;
  check(bitnet_session_logits(use.session(), index, &values));
  values_ = {values, state_->vocabulary};
  session_ = state_->session;
  ++state_->views;
}

Logits::~Logits() { --state_->views; }

// --------------------------------------------------------------- generation

Generation::~Generation() {
  cancel();
  if (state_->user == std::this_thread::get_id() || !state_->mutex.try_lock()) return;
  if (state_->generations == number_) state_->end();
  state_->mutex.unlock();
}

void Generation::close() {
  cancel();
  if (state_->user == std::this_thread::get_id()) refuse("the session is in the midst of another call of this thread");
  const std::scoped_lock lock(state_->mutex);
  if (state_->generations == number_) state_->end();
}

void Generation::cancel() {
  cancelled_ = true;
  state_->cancel_generation(number_);
}

// Of a generation whose session is held.
void Generation::check_going() const {
  if (cancelled_) {
    if (state_->generations == number_) state_->end();
    throw Error{BITNET_ERROR_CANCELLED, "the generation was cancelled"};
  }
  if (state_->generations != number_ || state_->generation == nullptr) {
    refuse("the generation is over: it was closed, or its session has been used for something else");
  }
  if (state_->views != 0) refuse("the session cannot change while arrays of its logits are in use");
}

Piece Generation::next() {
  // Closing the session cancels the step under way, whoever waits for it.
  uint64_t stopped = number_;
  if (state_->stopped.compare_exchange_strong(stopped, 0)) {
    throw Error{BITNET_ERROR_CANCELLED, "the generation was cancelled: its session was closed"};
  }
  const Use use(*state_);
  check_going();
  bitnet_piece piece = {};
  piece.size = sizeof piece;
  const bitnet_status status = bitnet_generation_next(state_->generation.get(), &piece);
  if (status != BITNET_ERROR_BUSY) state_->queue = nullptr;
  check(status);
  return {{piece.text, piece.length}, piece.token, piece.finish};
}

void Generation::submit(const Queue& queue, uint64_t number) {
  const Use use(*state_);
  check_going();
  void* const user = reinterpret_cast<void*>(static_cast<uintptr_t>(number));
  check(bitnet_generation_submit(state_->generation.get(), queue.state_->queue.get(), user));
  state_->queue = queue.state_;
  state_->submission = number;
}

// --------------------------------------------------------------------- chat

namespace {

std::shared_ptr<bitnet_chat> make_chat(SessionState& state, uint32_t flags, bitnet_chat_fit fit, uint32_t reserve) {
  const Use use(state);
  bitnet_chat_options options = {};
  options.size = sizeof options;
  options.flags = flags;
  options.fit = fit;
  options.reserve = reserve;
  bitnet_chat* chat = nullptr;
  check(bitnet_chat_create(use.session(), &options, &chat));
  return own(chat, bitnet_chat_free);
}

// Calls use(message), whose strings end with it.
template <typename Function>
void with_message(std::string_view role, std::string_view content, const Function& use) {
  const std::string name = c_string(role, "the role"), text(content);
  bitnet_message message = {};
  message.size = sizeof message;
  message.role = name.c_str();
  message.content = text.c_str();
  message.length = text.size();
  use(&message);
}

bitnet_message message_at(const bitnet_chat* chat, size_t index) {
  bitnet_message message = {};
  message.size = sizeof message;
  check(bitnet_chat_message(chat, index, &message));
  return message;
}

}  // namespace

Chat::Chat(const Session& session, uint32_t flags, bitnet_chat_fit fit, uint32_t reserve)
    : state_(session.state_), chat_("chat", make_chat(*state_, flags, fit, reserve)) {}

void Chat::add(std::string_view role, std::string_view content) {
  with_message(role, content, [&](const bitnet_message* message) {
    chat_.with([&](bitnet_chat* chat) { check(bitnet_chat_add(chat, message)); });
  });
}

void Chat::insert(size_t index, std::string_view role, std::string_view content) {
  with_message(role, content, [&](const bitnet_message* message) {
    chat_.with([&](bitnet_chat* chat) { check(bitnet_chat_insert(chat, index, message)); });
  });
}

void Chat::remove(size_t index, size_t count) {
  chat_.with([&](bitnet_chat* chat) { check(bitnet_chat_remove(chat, index, count)); });
}

void Chat::remove_from(size_t index) { remove(index, SIZE_MAX); }

size_t Chat::count() const {
  return chat_.with([](bitnet_chat* chat) { return bitnet_chat_count(chat); });
}

std::string Chat::role(size_t index) const {
  return chat_.with([&](bitnet_chat* chat) { return std::string(message_at(chat, index).role); });
}

std::string Chat::content(size_t index) const {
  return chat_.with([&](bitnet_chat* chat) {
    const bitnet_message message = message_at(chat, index);
    return std::string(message.content, message.length);
  });
}

Generation* Chat::start(Start start, const GenerateOptions& options) {
  const std::shared_ptr<bitnet_chat> chat = chat_.share();  // which others may use while the session is awaited
  const Change change(*state_);
  bitnet_generation* generation = nullptr;
  options.with([&](const bitnet_generate_options* c_options) { check(start(chat.get(), c_options, &generation)); });
  state_->begin(generation);
  return new Generation(state_, state_->generations);
}

Generation* Chat::reply(const GenerateOptions& options) { return start(bitnet_chat_reply, options); }
Generation* Chat::regenerate(const GenerateOptions& options) { return start(bitnet_chat_regenerate, options); }

ChatPrompt Chat::prompt() const {
  bitnet_chat_prompt prompt = {};
  prompt.size = sizeof prompt;
  chat_.with([&](bitnet_chat* chat) { check(bitnet_chat_get_prompt(chat, &prompt)); });
  return {static_cast<int64_t>(prompt.left_out), static_cast<int64_t>(prompt.left_out_from), prompt.tokens,
          prompt.tokens_needed};
}

void Chat::save(std::string_view path) const {
  chat_.with([&](bitnet_chat* chat) { check(bitnet_chat_save(chat, c_string(path, "the path").c_str())); });
}

void Chat::load(std::string_view path) {
  chat_.with([&](bitnet_chat* chat) { check(bitnet_chat_load(chat, c_string(path, "the path").c_str())); });
}

std::string Chat::save_memory() const {
  return chat_.with([](bitnet_chat* chat) {
    return fill_buffer<std::string>(0, [&](char* out, size_t capacity, size_t* length) {
      return bitnet_chat_save_memory(chat, capacity != 0 ? out : nullptr, capacity, length);
    });
  });
}

void Chat::load_memory(std::string_view text) {
  chat_.with([&](bitnet_chat* chat) { check(bitnet_chat_load_memory(chat, text.data(), text.size())); });
}

// -------------------------------------------------------------------- batch

void Batch::add(const Session& session, Tokens tokens, bitnet_logits_of logits) {
  items_.push_back({session.state_, {tokens.begin(), tokens.end()}, logits});
}

void Batch::eval(Cancel* cancel) const {
  std::vector<SessionState*> states;
  for (const Item& item : items_) states.push_back(item.state.get());
  std::ranges::sort(states);  // one order of locking for all
  if (std::ranges::adjacent_find(states) != states.end()) refuse("a session is twice in the batch");
  std::vector<std::unique_ptr<Change>> changes;
  for (SessionState* state : states) changes.push_back(std::make_unique<Change>(*state));

  std::vector<bitnet_batch_item> c_items;
  for (const Item& item : items_) {
    c_items.push_back({item.state->session.get(), item.tokens.data(), item.tokens.size(), item.logits});
  }
  std::vector<bitnet_session*> sessions;
  for (const SessionState* state : states) sessions.push_back(state->session.get());
  const Cancellable call(std::move(sessions), cancel);
  check(bitnet_eval_batch(c_items.data(), c_items.size()));
}

// ---------------------------------------------------------------- functions

void convert(std::string_view input, std::string_view output, const ConvertOptions& options, Listener* listener) {
  const bitnet_convert_options c_options = options.get(listener);
  check(bitnet_convert(c_string(input, "the input path").c_str(), c_string(output, "the output path").c_str(),
                       &c_options));
}

void verify(std::string_view path, Listener* listener) {
  check(bitnet_verify(c_string(path, "the path").c_str(), listener != nullptr ? forward_progress : nullptr, listener));
}

void verify_against(std::string_view path, std::string_view original, Listener* listener) {
  check(bitnet_verify_against(c_string(path, "the path").c_str(), c_string(original, "the original's path").c_str(),
                              listener != nullptr ? forward_progress : nullptr, listener));
}

std::string version() { return bitnet_version_string(); }
std::string cpu_features() { return bitnet_cpu_features(); }

std::vector<std::string> chat_template_names() {
  std::vector<std::string> names;
  while (const char* name = bitnet_chat_template_name(names.size())) names.emplace_back(name);
  return names;
}

std::vector<std::string> isa_names() {
  std::vector<std::string> names;
  while (const char* name = bitnet_isa_name(names.size())) names.emplace_back(name);
  return names;
}

}  // namespace bitnet::binding
