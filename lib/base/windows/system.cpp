// SPDX-License-Identifier: MIT
#include "base/windows/system.h"

#include <algorithm>
#include <iterator>
#include <limits>

#include "base/error.h"

namespace bitnet {
namespace {

constexpr size_t kMostText = std::numeric_limits<int>::max();

// Names beyond this are passed on in a form of their own; folders must leave room for a name of 8.3 characters.
constexpr size_t kLongPath = MAX_PATH - 12;

}  // namespace

std::wstring to_utf16(std::string_view text) {
  if (text.empty()) return {};
  require(text.size() <= kMostText, BITNET_ERROR_ARGUMENT, "a name of ", text.size(), " bytes is too long");
  const auto size = static_cast<int>(text.size());
  std::wstring wide(text.size(), L'\0');
  const int length = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text.data(), size, wide.data(), size);
  require(length > 0, BITNET_ERROR_ARGUMENT, "the name is not UTF-8, in which all text is given to this library");
  wide.resize(static_cast<size_t>(length));
  return wide;
}

std::string to_utf8(std::wstring_view text) {
  if (text.empty() || text.size() > kMostText / 3) return {};
  std::string narrow(text.size() * 3, '\0');
  const int length = WideCharToMultiByte(CP_UTF8, 0, text.data(), static_cast<int>(text.size()), narrow.data(),
                                         static_cast<int>(narrow.size()), nullptr, nullptr);
  narrow.resize(static_cast<size_t>(length));
  return narrow;
}

std::wstring system_path(const std::string& path) {
  std::wstring wide = to_utf16(path);
  require(wide.find(L'\0') == wide.npos, BITNET_ERROR_ARGUMENT, "the name holds a zero byte");
  if (wide.starts_with(L"\\\\?\\") || wide.starts_with(L"\\\\.\\")) {
    std::replace(wide.begin(), wide.end(), L'/', L'\\');  // here it would be part of a name, where it cannot stand
    return wide;
  }
  std::wstring full(GetFullPathNameW(wide.c_str(), 0, nullptr, nullptr), L'\0');
  const DWORD length = GetFullPathNameW(wide.c_str(), static_cast<DWORD>(full.size()), full.data(), nullptr);
  if (length < kLongPath || length >= full.size()) return wide;
  full.resize(length);
  // In that form nothing is replaced any more, which GetFullPathName has done, and a share has another beginning.
  if (full.starts_with(L"\\\\")) return L"\\\\?\\UNC" + full.substr(1);
  return L"\\\\?\\" + full;
}

std::string describe(DWORD error) {
  wchar_t text[512];
  const DWORD length = FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, nullptr, error, 0,
                                      text, static_cast<DWORD>(std::size(text)), nullptr);
  std::string line = to_utf8({text, length});
  while (!line.empty() && (static_cast<unsigned char>(line.back()) <= ' ' || line.back() == '.')) line.pop_back();
  return line.empty() ? "error " + std::to_string(error) : line;
}

}  // namespace bitnet
