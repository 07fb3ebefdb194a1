// SPDX-License-Identifier: MIT
#include <new>
#include <stdexcept>

#include "api/handles.h"

namespace {

struct LastError {
  std::string text;
  const char* fixed = "";  // instead of text, where that could not be stored
  const char* get() const { return fixed != nullptr ? fixed : text.c_str(); }
};
thread_local LastError last_error;

void remember(const char* message) noexcept {
  try {
    last_error.text = bitnet::one_line(message);
    last_error.fixed = nullptr;
  } catch (...) {
    last_error.fixed = "out of memory";
  }
}

}  // namespace

namespace bitnet {

std::string one_line(std::string_view text) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string line;
  line.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : 0);
    const bool c1 = byte == 0xc2 && next >= 0x80 && next < 0xa0;  // U+0080 to U+009F in UTF-8
    if (byte >= 0x20 && byte != 0x7f && !c1) {
      line += text[i];
      continue;
    }
    const unsigned char shown = c1 ? next : byte;
    if (c1) ++i;
    if (shown == '\n') {
      line += "\\n";
    } else {
      line.append("\\x").append(1, kDigits[shown >> 4]).append(1, kDigits[shown & 15]);
    }
  }
  return line;
}

bitnet_status remember_exception() noexcept {
  try {
    throw;
  } catch (const Error& error) {
    remember(error.what());
    return error.status();
  } catch (const std::bad_alloc&) {
    last_error.fixed = "out of memory: the system, or a limit of this process (ulimit -v), allows no more";
    return BITNET_ERROR_MEMORY;
  } catch (const std::length_error&) {
    last_error.fixed = "out of memory: more was asked for than can be addressed";
    return BITNET_ERROR_MEMORY;
  } catch (const std::exception& error) {
    remember(error.what());
    return BITNET_ERROR_INTERNAL;
  } catch (...) {
    last_error.fixed = "an exception of unknown type: this is a mistake in libbitnet";
    return BITNET_ERROR_INTERNAL;
  }
}

}  // namespace bitnet

const char* bitnet_last_error(void) { return last_error.get(); }

const char* bitnet_status_message(bitnet_status status) {
  switch (status) {
    case BITNET_OK:
      return "success";
    case BITNET_END:
      return "the end has been reached";
    case BITNET_ERROR_ARGUMENT:
      return "wrong argument";
    case BITNET_ERROR_MEMORY:
      return "out of memory";
    case BITNET_ERROR_NOT_FOUND:
      return "the file does not exist";
    case BITNET_ERROR_IO:
      return "a file could not be read or written";
    case BITNET_ERROR_FORMAT:
      return "damaged or malformed data";
    case BITNET_ERROR_UNSUPPORTED:
      return "not supported by this version, build or CPU";
    case BITNET_ERROR_CONTEXT:
      return "the tokens do not fit the context";
    case BITNET_ERROR_CANCELLED:
      return "cancelled";
    case BITNET_ERROR_BUFFER:
      return "the output buffer is too small";
    case BITNET_ERROR_MISMATCH:
      return "the state belongs to another model or kind of session";
    case BITNET_ERROR_INTERNAL:
      return "a mistake in libbitnet";
    case BITNET_ERROR_BUSY:
      return "another call uses the session";
  }
  return "unknown status";
}
