// SPDX-License-Identifier: MIT
// Windows as the library sees it: text in UTF-16, handles, and errors in words.
#pragma once

#include <windows.h>

#include <string>
#include <string_view>

namespace bitnet {

// Bytes that are not UTF-8 are an error of the caller.
std::wstring to_utf16(std::string_view text);
// Half a surrogate pair, which names of files may hold, becomes U+FFFD.
std::string to_utf8(std::wstring_view text);

// A path for the system's functions, also where it is longer than the 260 characters that they take as it is.
std::wstring system_path(const std::string& path);

// What an error of GetLastError means, in a line.
std::string describe(DWORD error);

// Others may read, write, rename and delete an open file meanwhile, as on other systems.
constexpr DWORD kShareAll = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;

class Handle {
 public:
  explicit Handle(HANDLE handle) : handle_(handle) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() {
    if (*this) CloseHandle(handle_);
  }
  explicit operator bool() const { return handle_ != nullptr && handle_ != INVALID_HANDLE_VALUE; }
  HANDLE get() const { return handle_; }

 private:
  HANDLE handle_;
};

}  // namespace bitnet
