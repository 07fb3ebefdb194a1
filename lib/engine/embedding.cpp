// SPDX-License-Identifier: MIT
#include "engine/embedding.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/float_environment.h"
#include "base/memory.h"
#include "engine/kv_cache.h"
#include "engine/session.h"

namespace bitnet {
namespace {

constexpr KvType kKvType = SessionOptions{}.kv;

unsigned bits_of(EmbeddingNumbers numbers) {
  switch (numbers) {
    case EmbeddingNumbers::f32:
      return 32;
    case EmbeddingNumbers::int8:
      return 8;
    case EmbeddingNumbers::int4:
      return 4;
    case EmbeddingNumbers::int2:
      return 2;
    case EmbeddingNumbers::int1:
      return 1;
  }
  fail(BITNET_ERROR_INTERNAL, "embeddings of unknown numbers");
}

// --- numbers --------------------------------------------------------------------------------------------------------

double length_of(std::span<const float> x) {
  double squares = 0;
  for (const float value : x) squares += double{value} * value;
  return std::sqrt(squares);
}

// Codes of `bits` bits, the first in the highest bits of the first byte. What is left of the last byte is 0.
template <typename Code>
void pack_codes(size_t count, unsigned bits, const Code& code, std::byte* out) {
  const size_t in_byte = 8 / bits;
  for (size_t i = 0; i < count; i += in_byte) {
    unsigned byte = 0;
    for (size_t j = 0; j < in_byte; j++) byte = byte << bits | (i + j < count ? code(i + j) : 0u);
    out[i / in_byte] = static_cast<std::byte>(byte);
  }
}

// Levels of a width with which the error of normally distributed numbers is least (Max, 1960), in units of their root
// mean square.
void pack_levels(std::span<const float> x, unsigned bits, std::byte* out) {
  const double width = (bits == 4 ? 0.3352 : 0.9957) * length_of(x) / std::sqrt(static_cast<double>(x.size()));
  const int levels = 1 << bits;
  pack_codes(
      x.size(), bits,
      [&](size_t i) {
        const double level = width == 0 ? 0 : std::floor(x[i] / width);
        return static_cast<unsigned>(
            std::clamp(static_cast<int>(std::clamp(level, -64.0, 64.0)), -levels / 2, levels / 2 - 1) + levels / 2);
      },
      out);
}

void write_int8(std::span<const float> x, std::byte* out) {
  float largest = 0;
  for (const float value : x) largest = std::max(largest, std::fabs(value));
  for (size_t i = 0; i < x.size(); i++) {
    const double code = largest == 0 ? 0 : std::nearbyint(double{x[i]} * 127 / largest);
    out[i] = static_cast<std::byte>(static_cast<int8_t>(code));
  }
}

void write_floats(std::span<const float> x, bool normalize, std::byte* out) {
  const double length = normalize ? length_of(x) : 1;
  for (size_t i = 0; i < x.size(); i++) {
    const float value = length == 0 ? 0 : static_cast<float>(x[i] / length);
    std::memcpy(out + i * sizeof value, &value, sizeof value);
  }
}

// --- texts ----------------------------------------------------------------------------------------------------------

// A text on its way through the engine.
class Work {
 public:
  Work(Engine& engine, std::span<const Token> tokens, const EmbeddingOptions& options,
       const std::atomic<bool>& cancelled)
      : engine_(engine), state_(engine.backend().make_state(kKvType, static_cast<uint32_t>(tokens.size()), false)) {
    const auto count = static_cast<uint32_t>(tokens.size());
    const uint32_t first = options.pooling == Pooling::last ? count - 1 : 0;
    const uint32_t states = options.pooling == Pooling::mean ? count : 1;
    hidden_ = engine.runtime().model().hyper.hidden;
    states_.resize(size_t{states} * hidden_);
    const bool has_room = state_->prepare(0, count);
    seat_.priority = options.priority;
    seat_.request = {.tokens = tokens,
                     .state = state_.get(),
                     .which = BITNET_LOGITS_NONE,
                     .has_room = has_room,
                     .state_rows = states_.data(),
                     .first_state = first,
                     .states = states,
                     .cancels = {&cancelled}};
    engine_.add(seat_);
  }
  ~Work() { engine_.remove(seat_); }
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;

  Seat& seat() { return seat_; }

  // The state that stands for the text, or null if the evaluation was cancelled.
  std::optional<std::span<const float>> result() {
    if (seat_.state == Seat::State::failed) std::rethrow_exception(seat_.error);
    if (seat_.state != Seat::State::done) return std::nullopt;
    const DefaultFloatEnvironment environment;
    const size_t count = states_.size() / hidden_;
    for (size_t i = 0; count > 1 && i < hidden_; i++) {
      double sum = 0;
      for (size_t t = 0; t < count; t++) sum += states_[t * hidden_ + i];
      states_[i] = static_cast<float>(sum / static_cast<double>(count));
    }
    return std::span<const float>(states_).first(hidden_);
  }

 private:
  Engine& engine_;
  Seat seat_;
  const std::unique_ptr<SequenceState> state_;
  size_t hidden_;
  std::vector<float> states_;
};

class Embedder {
 public:
  Embedder(Engine& engine, const EmbeddingOptions& options) : engine_(engine), options_(options) {}

  // The tokens of a text that are computed. A text that ends with the model's end token keeps it.
  std::span<const Token> checked(std::span<const Token> tokens, size_t index) {
    const Model& model = engine_.runtime().model();
    require(!tokens.empty(), BITNET_ERROR_ARGUMENT, "text ", index, " has no tokens, so that it has no embedding");
    for (size_t i = 0; i < tokens.size(); i++) {
      require(tokens[i] >= 0 && static_cast<uint32_t>(tokens[i]) < model.hyper.vocabulary, BITNET_ERROR_ARGUMENT,
              "text ", index, ": token ", tokens[i], " at index ", i, " is out of range: the vocabulary has ",
              model.hyper.vocabulary);
    }
    if (tokens.size() <= options_.most_tokens) return tokens;
    require(options_.cut, BITNET_ERROR_CONTEXT, "text ", index, " has ", counted(tokens.size(), "token"),
            "; the most is ", options_.most_tokens, ": split it, or have it cut");
    const bool ends = model.vocabulary.add_eos && tokens.back() == model.vocabulary.eos;
    cut_.assign(tokens.begin(), tokens.begin() + options_.most_tokens);
    if (ends) cut_.back() = tokens.back();
    return cut_;
  }

  // As many texts from `begin` on as fit into a pass, or one.
  size_t run(std::span<const std::span<const Token>> texts, size_t begin, std::byte* out) {
    const size_t batch = engine_.options().batch;
    std::vector<std::unique_ptr<Work>> works;
    std::vector<Seat*> seats;
    size_t rows = 0, end = begin;
    for (; end < texts.size(); end++) {
      const size_t length = std::min<size_t>(texts[end].size(), options_.most_tokens);
      if (end > begin && rows + length > batch) break;
      const std::span<const Token> tokens = checked(texts[end], end);
      require_room(tokens.size());
      works.push_back(std::make_unique<Work>(engine_, tokens, options_, cancelled_));
      seats.push_back(&works.back()->seat());
      rows += length;
      if (tokens.data() == cut_.data()) {  // which holds one text
        end++;
        break;
      }
    }
    seats.front()->abort = options_.abort != nullptr ? ask : nullptr;
    seats.front()->abort_user = this;
    engine_.run(seats);
    for (size_t i = 0; i < works.size(); i++) {
      const auto state = works[i]->result();
      require(state.has_value(), BITNET_ERROR_CANCELLED, "the evaluation was cancelled");
      const bool finite = std::ranges::all_of(*state, [](float value) { return std::isfinite(value); });
      require(finite, BITNET_ERROR_FORMAT, "the embedding of text ", begin + i,
              " is not of finite numbers; the model is damaged");
      write_embedding(*state, options_, out + (begin + i) * embedding_bytes(options_));
    }
    return end;
  }

 private:
  // Of all texts of the pass, asked for one.
  static int ask(void* user) {
    auto* const self = static_cast<Embedder*>(user);
    if (self->options_.abort(self->options_.abort_user) != 0) self->cancelled_.store(true);
    return self->cancelled_.load();
  }

  void require_room(size_t tokens) const {
    const Model& model = engine_.runtime().model();
    const auto context = static_cast<uint32_t>(tokens);
    require_memory({KvCache::bytes(model.hyper, kKvType, context), "the KV cache of " + counted(tokens, "token"),
                    "shorter texts take less"},
                   model.owned_bytes + Engine::bytes(model, engine_.options()), engine_.runtime().memory_limit());
  }

  Engine& engine_;
  const EmbeddingOptions& options_;
  std::atomic<bool> cancelled_{false};
  std::vector<Token> cut_;
};

}  // namespace

EmbeddingOptions with_defaults(EmbeddingOptions options, const Model& model) {
  if (options.pooling == Pooling::none) options.pooling = model.pooling;
  if (options.pooling == Pooling::none) options.pooling = Pooling::last;
  require(options.dimensions <= model.hyper.hidden, BITNET_ERROR_ARGUMENT, "embeddings of ", options.dimensions,
          " dimensions asked for; the model's have ", model.hyper.hidden);
  if (options.dimensions == 0) options.dimensions = model.hyper.hidden;
  require(options.most_tokens <= kContextBounds.high, BITNET_ERROR_ARGUMENT, "texts of ", options.most_tokens,
          " tokens asked for; the most is ", kContextBounds.high);
  if (options.most_tokens == 0) options.most_tokens = model.hyper.context;
  require(options.normalize || options.numbers == EmbeddingNumbers::f32, BITNET_ERROR_ARGUMENT,
          "embeddings in integers have no length to keep: ask for floats, or for length 1");
  return options;
}

size_t embedding_bytes(const EmbeddingOptions& options) {
  return (size_t{options.dimensions} * bits_of(options.numbers) + 7) / 8;
}

void write_embedding(std::span<const float> state, const EmbeddingOptions& options, std::byte* out) {
  const DefaultFloatEnvironment environment;
  const std::span<const float> x = state.first(options.dimensions);
  switch (options.numbers) {
    case EmbeddingNumbers::f32:
      return write_floats(x, options.normalize, out);
    case EmbeddingNumbers::int8:
      return write_int8(x, out);
    case EmbeddingNumbers::int4:
    case EmbeddingNumbers::int2:
      return pack_levels(x, bits_of(options.numbers), out);
    case EmbeddingNumbers::int1:
      return pack_codes(
          x.size(), 1, [&](size_t i) { return x[i] > 0 ? 1u : 0u; }, out);
  }
}

void embed(Engine& engine, std::span<const std::span<const Token>> texts, const EmbeddingOptions& options,
           std::byte* out) {
  Embedder embedder(engine, options);
  for (size_t i = 0; i < texts.size(); i++) embedder.checked(texts[i], i);  // before anything is computed
  const auto need = [] { return MemoryNeed{0, "embeddings", "shorter texts take less"}; };
  with_memory(need, [&] {
    for (size_t begin = 0; begin < texts.size();) begin = embedder.run(texts, begin, out);
  });
}

}  // namespace bitnet
