// SPDX-License-Identifier: MIT
#include "base/path.h"

#include "base/error.h"
#include "base/windows/system.h"

namespace bitnet {
namespace {

std::optional<BY_HANDLE_FILE_INFORMATION> information(HANDLE file) {
  BY_HANDLE_FILE_INFORMATION info;
  return GetFileInformationByHandle(file, &info) ? std::optional(info) : std::nullopt;
}

// Opened to ask what it is, which needs no right to read it; links are followed. Folders need the flag.
HANDLE open_to_ask(const std::wstring& path) {
  return CreateFileW(path.c_str(), FILE_READ_ATTRIBUTES, kShareAll, nullptr, OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS,
                     nullptr);
}

}  // namespace

PathKind path_kind(const std::string& path) {
  const Handle file(open_to_ask(system_path(path)));
  if (!file) return PathKind::missing;
  if (GetFileType(file.get()) != FILE_TYPE_DISK) return PathKind::other;
  const auto info = information(file.get());
  if (!info) return PathKind::missing;
  return (info->dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) != 0 ? PathKind::folder : PathKind::file;
}

std::optional<uint64_t> file_size(const std::string& path) {
  const Handle file(open_to_ask(system_path(path)));
  if (!file || GetFileType(file.get()) != FILE_TYPE_DISK) return std::nullopt;
  const auto info = information(file.get());
  if (!info || (info->dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) != 0) return std::nullopt;
  return uint64_t{info->nFileSizeHigh} << 32 | info->nFileSizeLow;
}

std::string link_target(const std::string&) { return ""; }

std::vector<std::string> names_in(const std::string& folder, size_t most) {
  WIN32_FIND_DATAW entry;
  const bool ends = folder.ends_with('/') || folder.ends_with('\\');  // as a drive's root does
  const HANDLE search = FindFirstFileW(system_path(folder + (ends ? "*" : "/*")).c_str(), &entry);
  require(search != INVALID_HANDLE_VALUE, BITNET_ERROR_IO, "cannot list the folder: ", describe(GetLastError()));
  std::vector<std::string> names;
  do {
    const std::wstring_view name = entry.cFileName;
    if (name != L"." && name != L"..") names.push_back(to_utf8(name));
  } while (names.size() < most && FindNextFileW(search, &entry));
  const DWORD error = names.size() < most ? GetLastError() : ERROR_NO_MORE_FILES;
  FindClose(search);
  require(error == ERROR_NO_MORE_FILES, BITNET_ERROR_IO, "cannot list the folder: ", describe(error));
  return names;
}

std::string full_path(const std::string& path) {
  const Handle file(open_to_ask(system_path(path)));
  if (!file) return path;
  std::wstring full(GetFinalPathNameByHandleW(file.get(), nullptr, 0, FILE_NAME_NORMALIZED), L'\0');
  const DWORD length =
      GetFinalPathNameByHandleW(file.get(), full.data(), static_cast<DWORD>(full.size()), FILE_NAME_NORMALIZED);
  if (length == 0 || length >= full.size()) return path;
  full.resize(length);
  constexpr std::wstring_view kShare = L"\\\\?\\UNC\\", kLocal = L"\\\\?\\";
  if (full.starts_with(kShare)) return to_utf8(L"\\\\" + full.substr(kShare.size()));
  if (full.starts_with(kLocal)) return to_utf8(full.substr(kLocal.size()));
  return to_utf8(full);
}

bool is_separator(char c) { return c == '/' || c == '\\' || c == ':'; }

}  // namespace bitnet
