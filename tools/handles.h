// SPDX-License-Identifier: MIT
// The C API as the program uses it: objects that free themselves, and errors as exceptions.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>

#include "bitnet.h"

namespace bitnet::program {

// What the program ends with; documented in bitnet.1.
enum ExitCode { kSuccess = 0, kFailure = 1, kUsage = 2, kInterrupted = 130 };

// Ends the command: its message is the line that the user reads, if it has one.
class Stop : public std::runtime_error {
 public:
  Stop(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

inline ExitCode exit_code(bitnet_status status) {
  switch (status) {
    case BITNET_ERROR_CANCELLED:
      return kInterrupted;
    case BITNET_ERROR_ARGUMENT:
      return kUsage;
    case BITNET_OK:
    case BITNET_END:
    case BITNET_ERROR_MEMORY:
    case BITNET_ERROR_NOT_FOUND:
    case BITNET_ERROR_IO:
    case BITNET_ERROR_FORMAT:
    case BITNET_ERROR_UNSUPPORTED:
    case BITNET_ERROR_CONTEXT:
    case BITNET_ERROR_BUFFER:
    case BITNET_ERROR_MISMATCH:
    case BITNET_ERROR_INTERNAL:
    case BITNET_ERROR_BUSY:
      break;
  }
  return kFailure;
}

// A call of the library that failed.
class LibraryError : public Stop {
 public:
  explicit LibraryError(bitnet_status status) : Stop(exit_code(status), bitnet_last_error()), status_(status) {}
  bitnet_status status() const { return status_; }

 private:
  bitnet_status status_;
};

inline void check(bitnet_status status) {
  if (status < 0) throw LibraryError(status);
}

template <auto release>
struct Release {
  template <typename T>
  void operator()(T* object) const {
    release(object);
  }
};
using Model = std::unique_ptr<bitnet_model, Release<bitnet_close>>;
using Engine = std::unique_ptr<bitnet_engine, Release<bitnet_engine_free>>;
using Session = std::unique_ptr<bitnet_session, Release<bitnet_session_free>>;
using Sampler = std::unique_ptr<bitnet_sampler, Release<bitnet_sampler_free>>;
using ChatHandle = std::unique_ptr<bitnet_chat, Release<bitnet_chat_free>>;
using Generation = std::unique_ptr<bitnet_generation, Release<bitnet_generation_free>>;
using Queue = std::unique_ptr<bitnet_queue, Release<bitnet_queue_free>>;

}  // namespace bitnet::program
