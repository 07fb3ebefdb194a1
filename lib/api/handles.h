// SPDX-License-Identifier: MIT
// What the C API's pointers point to, and what every function of it does: check, translate, catch.
#pragma once

#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "bitnet.h"
#include "engine/chat.h"
#include "engine/completion_queue.h"
#include "engine/engine.h"
#include "engine/generation.h"
#include "engine/runtime.h"
#include "engine/session.h"
#include "engine/thread_pool.h"
#include "sample/sampler.h"
#include "text/decoder.h"

struct bitnet_model {
  std::shared_ptr<const bitnet::Runtime> runtime;
  std::unique_ptr<bitnet::DefaultEngine> engine;
  std::vector<std::pair<std::string, std::string>> metadata;
  std::string name, license, architecture;  // zero-terminated copies
};

// Handles share what they stand for, so that they may be freed in any order.
struct bitnet_session {
  std::shared_ptr<bitnet::Session> session;
};

struct bitnet_pool {
  std::shared_ptr<bitnet::ThreadPool> pool;
};

struct bitnet_engine {
  std::shared_ptr<bitnet::Engine> engine;
};

struct bitnet_queue {
  std::shared_ptr<bitnet::CompletionQueue> queue;
};

struct bitnet_sampler {
  bitnet::Sampler sampler;
  const bitnet::Kernels* kernels = nullptr;  // of bitnet_sample_logits, which has no model; chosen at its first call
};

struct bitnet_decoder {
  std::shared_ptr<const bitnet::Runtime> runtime;
  bitnet::StreamDecoder decoder;
  std::string text;
};

struct bitnet_generation {
  bitnet::Generation generation;
  std::unique_ptr<bitnet::ChatReply> reply = nullptr;  // of a chat; goes before the generation, which it refers to
};

struct bitnet_chat {
  std::shared_ptr<bitnet::Chat> chat;
};

namespace bitnet {

// The text with its control characters written out (a newline as \n): messages quote files, templates and paths, which
// may hold any bytes.
std::string one_line(std::string_view text);

// Remembers the message of a failure for bitnet_last_error, in the catch block of any exception, and returns its
// status.
bitnet_status remember_exception() noexcept;

// Runs the body of an API function: what it throws becomes a status.
template <typename Body>
bitnet_status guard(const Body& body) noexcept {
  try {
    if constexpr (std::is_void_v<decltype(body())>) {
      body();
      return BITNET_OK;
    } else {
      return body();
    }
  } catch (...) {
    return remember_exception();
  }
}

inline void check_flags(uint32_t flags, uint32_t known) {
  require((flags & ~known) == 0, BITNET_ERROR_ARGUMENT, "flags has bits that this function does not know: ", flags);
}

inline void require_pointer(const void* pointer, const char* name) {
  require(pointer != nullptr, BITNET_ERROR_ARGUMENT, name, " is NULL");
}
inline const Runtime& runtime_of(const bitnet_model* model) {
  require_pointer(model, "model");
  return *model->runtime;
}

// A copy of the caller's options in this version's shape: members beyond the caller's size are zero, and those that
// this version does not know must be.
template <typename Options>
Options read_options(const Options* options, const char* name) {
  constexpr size_t kLargest = 4096;
  Options copy = {};
  if (options == nullptr) return copy;
  const size_t size = options->size;
  require(size >= sizeof size && size <= kLargest, BITNET_ERROR_ARGUMENT, name, ".size is ", size,
          "; set it to sizeof(", name, ")");
  const auto* bytes = reinterpret_cast<const unsigned char*>(options);
  for (size_t i = sizeof copy; i < size; i++) {
    require(bytes[i] == 0, BITNET_ERROR_UNSUPPORTED, name, " uses a member that libbitnet ", bitnet_version_string(),
            " does not have");
  }
  std::memcpy(&copy, options, std::min(size, sizeof copy));
  return copy;
}

// Fills in as much of the caller's struct as its size covers, leaving size as it is.
template <typename Info>
void write_info(const Info& info, Info* out, const char* name) {
  require_pointer(out, name);
  const size_t size = out->size;
  require(size >= sizeof size, BITNET_ERROR_ARGUMENT, name, "->size is ", size, "; set it to sizeof(", name, ")");
  std::memcpy(reinterpret_cast<char*>(out) + sizeof size, reinterpret_cast<const char*>(&info) + sizeof size,
              std::min(size, sizeof info) - sizeof size);
}

inline std::string_view read_text(const char* text, size_t length, const char* name) {
  require(text != nullptr || length == 0, BITNET_ERROR_ARGUMENT, name, " is NULL");
  if (text == nullptr) return {};
  return length == BITNET_NUL_TERMINATED ? std::string_view(text) : std::string_view(text, length);
}

template <typename T>
std::span<const T> read_array(const T* data, size_t count, const char* name) {
  require(data != nullptr || count == 0, BITNET_ERROR_ARGUMENT, name, " is NULL");
  return {data, count};
}

// Stores the number of items, and the items if they fit.
template <typename T>
bitnet_status write_array(std::span<const T> items, T* out, size_t capacity, size_t* count) {
  require_pointer(count, "the output count");
  require(out != nullptr || capacity == 0, BITNET_ERROR_ARGUMENT, "the output buffer is NULL, but its capacity is ",
          capacity);
  *count = items.size();
  if (items.size() > capacity) {
    if (out == nullptr) return BITNET_ERROR_BUFFER;
    fail(BITNET_ERROR_BUFFER, "the output buffer holds ", capacity, ", but ", items.size(), " are needed");
  }
  if (!items.empty()) std::memcpy(out, items.data(), items.size_bytes());
  return BITNET_OK;
}

// The same for text, which gets a zero byte if there is room.
inline bitnet_status write_text(std::string_view text, char* out, size_t capacity, size_t* length) {
  const bitnet_status status = write_array(std::span<const char>(text), out, capacity, length);
  if (status == BITNET_OK && text.size() < capacity) out[text.size()] = '\0';
  return status;
}

inline Progress make_progress(bitnet_progress_fn progress, void* user) {
  if (progress == nullptr) return nullptr;
  return [=](uint64_t done, uint64_t total) { return progress(user, done, total) == 0; };
}

inline Log make_log(bitnet_log_fn log, void* user) {
  if (log == nullptr) return nullptr;
  return [=](bitnet_log_level level, const std::string& message) { log(user, level, one_line(message).c_str()); };
}

Priority make_priority(bitnet_priority priority);
// The engine of that handle; NULL: the model's default one. `name` is what the caller calls it.
std::shared_ptr<Engine> engine_of(const bitnet_model& model, const bitnet_engine* engine, const char* name);
GenerationOptions make_generation_options(const bitnet_generate_options* options);
SamplerOptions make_sampler_options(const bitnet_sampler_options* options);

// All of the text. The callback may stop it; NULL: nobody is told.
void push_text(bitnet_generation& generation, bitnet_text_fn callback, void* user);

}  // namespace bitnet
