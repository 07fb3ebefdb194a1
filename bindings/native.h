// SPDX-License-Identifier: MIT
// What the language bindings call: bitnet.h with owners, exceptions and locks, and nothing that is shaped for one
// language. bitnet.i shows this file to SWIG; README.md says how the layers are cut.
//
// Every object may be used by any thread at any time: calls to one object queue up, except those that are said to come
// from any thread, and after close() they are errors. close() may be called twice.
#pragma once

#include <bitnet.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bitnet::binding {

// All text crosses as UTF-8 bytes, file names as the bytes that the system calls take: std::string_view in, std::string
// out. Tokens and floats cross as arrays.
using Tokens = std::span<const bitnet_token>;
using Floats = std::span<const float>;

// What every function here throws.
struct Error {
  bitnet_status status;
  std::string message;
};

// Asked now and then during long work, on the calling thread, where a language has signals that its own code must
// handle; true cancels the call. Set once, when the language's module is loaded.
extern bool (*interrupted)();

// What a language derives from to be called back. Its methods must not throw: they remember, cancel, and the layer
// throws again after the call. It must live as long as what was opened with it.
class Listener {
 public:
  virtual ~Listener() = default;
  virtual bool progress(int64_t done, int64_t total);  // on the calling thread; false cancels
  virtual void log(bitnet_log_level level, std::string_view message);
};

// A request to stop, which stays made. Any thread may make it, before or during the call that it is given to.
class Cancel {
 public:
  void request();
  bool requested() const { return requested_; }

 private:
  friend class Cancellable;
  std::atomic<bool> requested_ = false;
  std::mutex mutex_;
  std::vector<bitnet_session*> running_;  // of the calls under way, guarded by the mutex
};

// ------------------------------------------------------------------ options
// The structs of bitnet.h, whose numbers are set as members; what they point to is given by methods, and copied.

struct OpenOptions : bitnet_open_options {
  OpenOptions();
  void set_isa(std::string_view name);
  void set_chat_template(std::string_view given);
  bitnet_open_options get(Listener* listener) const;

 private:
  std::string isa_, chat_template_;
};

struct ConvertOptions : bitnet_convert_options {
  ConvertOptions();
  void set_chat_template(std::string_view given);
  bitnet_convert_options get(Listener* listener) const;

 private:
  std::string chat_template_;
};

struct PoolOptions : bitnet_pool_options {
  PoolOptions();
};

struct EngineOptions : bitnet_engine_options {
  EngineOptions();
};

struct SessionOptions : bitnet_session_options {
  SessionOptions();
};

struct EmbedOptions : bitnet_embed_options {
  EmbedOptions();
};

struct SamplerOptions : bitnet_sampler_options {
  SamplerOptions();
  void add_bias(bitnet_token token, float bias) { biases_.push_back({token, bias}); }
  bitnet_sampler_options get() const;

 private:
  std::vector<bitnet_logit_bias> biases_;
};

struct GenerateOptions : bitnet_generate_options {
  GenerateOptions();
  void set_sampler(const SamplerOptions& options) { sampler_ = options; }
  void add_stop(std::string_view text);

  // Calls use(const bitnet_generate_options*), whose pointers are good during that call.
  template <typename Use>
  void with(const Use& use) const {
    const bitnet_sampler_options sampler_options = sampler_.get();
    std::vector<const char*> stops;
    for (const std::string& text : stops_) stops.push_back(text.c_str());
    auto options = static_cast<const bitnet_generate_options&>(*this);
    options.sampler = &sampler_options;
    options.stop = stops.data();
    options.stop_count = stops.size();
    use(&options);
  }

 private:
  SamplerOptions sampler_;
  std::vector<std::string> stops_;
};

class Conversation {
 public:
  void add(std::string_view role, std::string_view content);  // the content may hold zero bytes

 private:
  friend class Model;
  std::vector<bitnet_message> get() const;  // views of what is here

  std::vector<std::pair<std::string, std::string>> messages_;
};

// What is to be embedded: texts, or tokens to which nothing is added.
class Texts {
 public:
  void add(std::string_view text) { texts_.push_back({std::string(text), {}, false}); }
  void add_tokens(Tokens tokens) { texts_.push_back({"", {tokens.begin(), tokens.end()}, true}); }

 private:
  friend class Model;
  struct Item {
    std::string text;
    std::vector<bitnet_token> tokens;
    bool is_tokens;
  };
  std::vector<Item> texts_;
};

// ------------------------------------------------------------------ objects

#ifndef SWIG
// A C object that one thread uses at a time, until it is closed.
template <typename T>
class Locked {
 public:
  Locked(const char* name, std::shared_ptr<T> object) : name_(name), object_(std::move(object)) {}

  // Calls use(T*) and returns what it returns.
  template <typename Use>
  auto with(const Use& use) const {
    const std::scoped_lock lock(mutex_);
    if (object_ == nullptr) throw Error{BITNET_ERROR_ARGUMENT, std::string("the ") + name_ + " is closed"};
    return use(object_.get());
  }

  std::shared_ptr<T> share() const {
    return with([&](T*) { return object_; });
  }

  void close() {
    const std::scoped_lock lock(mutex_);
    object_.reset();
  }

 private:
  const char* name_;
  mutable std::mutex mutex_;
  std::shared_ptr<T> object_;
};
#endif

// The members of bitnet_model_info; its strings live until it is closed.
struct ModelInfo : bitnet_model_info {
  explicit ModelInfo(std::shared_ptr<bitnet_model> model);
  void close() { model_.reset(); }

 private:
  std::shared_ptr<bitnet_model> model_;
};

class Engine;

// Calls of one model run at the same time. Sessions and decoders keep what they need of it after close().
class Model {
 public:
  static Model* open(std::string_view path, const OpenOptions& options, Listener* listener);
  // Copies the data: no language's own memory is aligned and stays where it is.
  static Model* open_memory(std::string_view data, const OpenOptions& options, Listener* listener);
  void close() { model_.close(); }

  ModelInfo info() const { return ModelInfo(model_.share()); }
  std::vector<std::string> metadata() const;  // key, value, key, value, ...
  std::vector<bitnet_token> tokenize(std::string_view text, uint32_t flags) const;
  std::string detokenize(Tokens tokens, uint32_t flags) const;
  bool is_control(bitnet_token token) const;
  bool is_end(bitnet_token token) const;
  std::string chat_format(const Conversation& conversation, uint32_t flags) const;
  std::vector<bitnet_token> chat_tokenize(const Conversation& conversation, uint32_t flags) const;
  // The bytes of the embeddings, one after the other; null: the model's own engine, and nobody cancels.
  std::string embed(const Texts& texts, const EmbedOptions& options, const Engine* engine, Cancel* cancel) const;
  int64_t embed_size(const EmbedOptions& options) const;
  int64_t session_memory(const SessionOptions& options) const;
  int64_t engine_memory(const EngineOptions& options) const;
  int64_t trim() const;  // its own engine

 private:
  friend class Engine;
  friend class Session;
  friend class Decoder;
  explicit Model(std::shared_ptr<bitnet_model> model) : model_("model", std::move(model)) {}

  Locked<bitnet_model> model_;
};

// Threads that compute. Engines that use it keep it after close().
class Pool {
 public:
  explicit Pool(const PoolOptions& options);
  void close() { pool_.close(); }

 private:
  friend class Engine;
  Locked<bitnet_pool> pool_;
};

// Computes what its sessions ask for, together. Sessions that use it keep it after close().
class Engine {
 public:
  Engine(const Model& model, const EngineOptions& options, const Pool* pool);  // null: as bitnet_engine_options says
  void close() { engine_.close(); }
  int64_t trim() const;

 private:
  friend class Model;
  friend class Session;
  const std::shared_ptr<bitnet_model> model_;
  Locked<bitnet_engine> engine_;
};

class Sampler {
 public:
  explicit Sampler(const SamplerOptions& options);
  void close() { sampler_.close(); }

  void reseed(uint64_t seed);
  bitnet_token sample_logits(Floats logits, Tokens recent);

 private:
  friend class Session;
  Locked<bitnet_sampler> sampler_;
};

class Decoder {
 public:
  Decoder(const Model& model, uint32_t flags);
  void close() { decoder_.close(); }

  std::string push(bitnet_token token);
  std::string finish();

 private:
  Locked<bitnet_decoder> decoder_;
};

class SessionState;

// One row of logits where it lies. While this exists the session refuses to change; it may be closed.
class Logits {
 public:
  ~Logits();
  Logits(const Logits&) = delete;
  Logits& operator=(const Logits&) = delete;

  uint64_t address() const { return reinterpret_cast<uintptr_t>(values_.data()); }  // SWIG's uintptr_t has 32 bits
  size_t size() const { return values_.size(); }
  std::vector<float> copy() const { return {values_.begin(), values_.end()}; }

 private:
  friend class Session;
  Logits(std::shared_ptr<SessionState> state, size_t index);

  std::shared_ptr<SessionState> state_;
  std::shared_ptr<bitnet_session> session_;
  Floats values_;
};

struct Piece {
  std::string text;  // whole UTF-8 characters
  bitnet_token token;
  bitnet_finish finish;  // BITNET_FINISH_NOT while there is more to come
};

class QueueState;

// Where one thread waits for the pieces of any number of generations.
class Queue {
 public:
  Queue();

  // Waits for what has been submitted, and returns its number, which may be given twice; 0 if nothing came in this
  // time, or wake() was called.
  uint64_t next(uint32_t timeout_ms) const;
  void wake() const;  // any thread

 private:
  friend class Generation;
  std::shared_ptr<QueueState> state_;
};

// Text being generated. Anything else that changes the session ends it: its next call is then an error.
class Generation {
 public:
  ~Generation();
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;
  void close();

  Piece next();
  // Asks for the next piece without waiting for it. The queue gives the number, which is not 0, as soon as next() would
  // return or throw at once, for whatever reason.
  void submit(const Queue& queue, uint64_t number);
  void cancel();  // any thread: the call of next() under way, or the next one, throws CANCELLED

 private:
  friend class Chat;
  friend class Session;
  Generation(std::shared_ptr<SessionState> state, uint64_t number) : state_(std::move(state)), number_(number) {}

  void check_going() const;

  std::shared_ptr<SessionState> state_;
  uint64_t number_;
  std::atomic<bool> cancelled_ = false;
};

class Session {
 public:
  Session(const Model& model, const SessionOptions& options, const Engine* engine);  // null: the model's own
  // Cancels what another thread is doing with the session, then frees it.
  void close();

  Session* fork() const;
  // "12 of 4096 tokens", "in a call" or "closed", for people to read; never waits.
  std::string describe() const;
  uint32_t position() const;
  uint32_t context() const;
  std::vector<bitnet_token> tokens() const;
  void rewind(uint32_t position);
  void save(std::string_view path) const;
  void load(std::string_view path);
  std::string save_memory() const;
  void load_memory(std::string_view data);
  bitnet_perf perf() const;
  void reset_perf();

  void eval(Tokens tokens, bitnet_logits_of logits, Cancel* cancel);
  Logits* logits(size_t index) const;
  bitnet_token sample(Sampler& sampler);
  Generation* generate(std::string_view prompt, const GenerateOptions& options);
  Generation* generate_tokens(Tokens prompt, const GenerateOptions& options);

 private:
  friend class Batch;
  friend class Chat;
  Session(std::shared_ptr<bitnet_session> session, uint32_t vocabulary);

  std::shared_ptr<SessionState> state_;
};

// The numbers of bitnet_chat_prompt.
struct ChatPrompt {
  int64_t left_out, left_out_from;
  uint32_t tokens, tokens_needed;
};

// A conversation, whose replies the session generates. It keeps what it needs of the session after that is closed, but
// then gives no more replies. Calls wait for one another, but not for a reply that another thread pulls.
class Chat {
 public:
  Chat(const Session& session, uint32_t flags, bitnet_chat_fit fit, uint32_t reserve);
  void close() { chat_.close(); }

  void add(std::string_view role, std::string_view content);
  void insert(size_t index, std::string_view role, std::string_view content);
  void remove(size_t index, size_t count);
  void remove_from(size_t index);
  size_t count() const;
  std::string role(size_t index) const;
  std::string content(size_t index) const;
  Generation* reply(const GenerateOptions& options);
  Generation* regenerate(const GenerateOptions& options);
  ChatPrompt prompt() const;
  void save(std::string_view path) const;
  void load(std::string_view path);
  std::string save_memory() const;
  void load_memory(std::string_view text);

 private:
  using Start = bitnet_status (*)(bitnet_chat*, const bitnet_generate_options*, bitnet_generation**);
  Generation* start(Start start, const GenerateOptions& options);

  std::shared_ptr<SessionState> state_;
  Locked<bitnet_chat> chat_;
};

// For bitnet_eval_batch.
class Batch {
 public:
  void add(const Session& session, Tokens tokens, bitnet_logits_of logits);
  void eval(Cancel* cancel) const;

 private:
  struct Item {
    std::shared_ptr<SessionState> state;
    std::vector<bitnet_token> tokens;
    bitnet_logits_of logits;
  };
  std::vector<Item> items_;
};

// ---------------------------------------------------------------- functions

void convert(std::string_view input, std::string_view output, const ConvertOptions& options, Listener* listener);
void verify(std::string_view path, Listener* listener);
void verify_against(std::string_view path, std::string_view original, Listener* listener);
std::string version();
std::string cpu_features();
std::vector<std::string> isa_names();
std::vector<std::string> chat_template_names();

}  // namespace bitnet::binding
