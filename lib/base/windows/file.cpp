// SPDX-License-Identifier: MIT
#include "base/file.h"

#include <windows.h>

#include <algorithm>
#include <cstdio>
#include <limits>
#include <vector>

#include "base/error.h"
#include "base/memory.h"
#include "base/path.h"
#include "base/windows/system.h"

namespace bitnet {
namespace {

// The largest piece that is read or written at once.
constexpr size_t kMostStep = size_t{1} << 30;

bool is_missing(DWORD error) {
  return error == ERROR_FILE_NOT_FOUND || error == ERROR_PATH_NOT_FOUND || error == ERROR_INVALID_NAME ||
         error == ERROR_BAD_PATHNAME;
}

// A regular file, open for reading, and its size.
struct RegularFile {
  RegularFile(const std::string& path, const char* expected) : file(open(path)) {
    const DWORD error = GetLastError();
    // Opened without a flag of its own, a folder looks like a file that may not be read.
    const bool folder = !file && path_kind(path) == PathKind::folder;
    if (!file && !folder) {
      fail(is_missing(error) ? BITNET_ERROR_NOT_FOUND : BITNET_ERROR_IO, "cannot open the file: ", describe(error));
    }
    require(!folder && GetFileType(file.get()) == FILE_TYPE_DISK, BITNET_ERROR_IO,
            folder ? "is a directory" : "is not a regular file", "; name ", expected);
    LARGE_INTEGER length;
    if (!GetFileSizeEx(file.get(), &length)) {
      fail(BITNET_ERROR_IO, "cannot examine the file: ", describe(GetLastError()));
    }
    size = static_cast<uint64_t>(length.QuadPart);
  }

  static HANDLE open(const std::string& path) {
    return CreateFileW(system_path(path).c_str(), GENERIC_READ, kShareAll, nullptr, OPEN_EXISTING, 0, nullptr);
  }

  Handle file;
  uint64_t size;
};

OVERLAPPED at(uint64_t offset) {
  OVERLAPPED place = {};
  place.Offset = static_cast<DWORD>(offset);
  place.OffsetHigh = static_cast<DWORD>(offset >> 32);
  return place;
}

// Reads from the beginning until the memory is full or the file ends, and returns how much that was.
size_t read_all(HANDLE file, std::span<std::byte> memory, const char* action) {
  size_t done = 0;
  while (done < memory.size()) {
    OVERLAPPED place = at(done);
    DWORD length = 0;
    const auto step = static_cast<DWORD>(std::min(memory.size() - done, kMostStep));
    if (!ReadFile(file, memory.data() + done, step, &length, &place) && GetLastError() != ERROR_HANDLE_EOF) {
      fail(BITNET_ERROR_IO, "cannot ", action, " the file: ", describe(GetLastError()));
    }
    if (length == 0) break;
    done += length;
  }
  return done;
}

// The bytes of a file that cannot be mapped.
Buffer read_whole(HANDLE file, size_t size) {
  const auto need = [&] {
    return MemoryNeed{size, "a file on a file system that cannot map files", "copy it to a local disk"};
  };
  Buffer memory = with_memory(need, [&] { return Buffer(size); });
  const size_t done = read_all(file, memory.bytes(), "map or read");
  require(done == size, BITNET_ERROR_IO, "the file ends after ", done, " of ", size,
          " bytes; it was changed meanwhile");
  return memory;
}

// A view of the whole file; it stays when the handles are closed. Null with the system's error if there is none.
const std::byte* map(HANDLE file) {
  const Handle mapping(CreateFileMappingW(file, nullptr, PAGE_READONLY, 0, 0, nullptr));
  return mapping ? static_cast<const std::byte*>(MapViewOfFile(mapping.get(), FILE_MAP_READ, 0, 0, 0)) : nullptr;
}

// Who may do what with a file: what a new one in its place is made with. Empty where the system does not say.
std::vector<std::byte> access_to(const std::wstring& path) {
  DWORD size = 0;
  GetFileSecurityW(path.c_str(), DACL_SECURITY_INFORMATION, nullptr, 0, &size);
  std::vector<std::byte> access(size);
  if (size == 0 || !GetFileSecurityW(path.c_str(), DACL_SECURITY_INFORMATION, access.data(), size, &size)) return {};
  return access;
}

bool is_full(DWORD error) {
  constexpr DWORD kDiskQuotaExceeded = 1295;  // ERROR_DISK_QUOTA_EXCEEDED, which MinGW's headers lack
  return error == ERROR_DISK_FULL || error == ERROR_HANDLE_DISK_FULL || error == ERROR_FILE_TOO_LARGE ||
         error == kDiskQuotaExceeded || error == ERROR_NOT_ENOUGH_QUOTA;
}

// What keeps a file from being replaced.
bool is_held(DWORD error) {
  return error == ERROR_ACCESS_DENIED || error == ERROR_SHARING_VIOLATION || error == ERROR_USER_MAPPED_FILE ||
         error == ERROR_LOCK_VIOLATION;
}

HANDLE handle(intptr_t file) { return reinterpret_cast<HANDLE>(file); }

}  // namespace

std::string read_start(const std::string& path, size_t most) {
  const RegularFile source(path, "a file of text");
  std::string text(static_cast<size_t>(std::min<uint64_t>(most, source.size)), '\0');
  text.resize(read_all(source.file.get(), std::as_writable_bytes(std::span(text)), "read"));
  return text;
}

MappedFile::MappedFile(const std::string& path, const char* expected) {
  const RegularFile source(path, expected);
  require(source.size > 0, BITNET_ERROR_FORMAT, "the file is empty");
  require(source.size <= std::numeric_limits<size_t>::max() / 2, BITNET_ERROR_MEMORY,
          "the file is too large for this address space");
  size_ = static_cast<size_t>(source.size);
  data_ = map(source.file.get());
  if (data_ != nullptr) return;
  require(GetLastError() != ERROR_NOT_ENOUGH_MEMORY, BITNET_ERROR_MEMORY, "cannot map the file: its ", size_text(size_),
          " do not fit the address space that this process may have");
  memory_ = read_whole(source.file.get(), size_);
  data_ = memory_.data();
}

MappedFile::~MappedFile() {
  if (is_mapped()) UnmapViewOfFile(data_);
}

// Pages that are "unlocked" without having been locked leave the working set, as the system's manual says.
void drop_pages(std::span<const std::byte> range) {
  SYSTEM_INFO system;
  GetSystemInfo(&system);
  const uintptr_t page = system.dwPageSize;
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(range.data()) + page - 1) / page * page;
  const uintptr_t end = reinterpret_cast<uintptr_t>(range.data() + range.size()) / page * page;
  if (begin < end) VirtualUnlock(reinterpret_cast<void*>(begin), end - begin);
}

OutputFile::OutputFile(const std::string& path) : path_(path), target_(path) {
  require(!path.empty(), BITNET_ERROR_IO, "the name of the file to write is empty");
  const PathKind kind = path_kind(path);
  const bool exists = kind != PathKind::missing;
  require(!exists || kind == PathKind::file, BITNET_ERROR_IO, "cannot write ", path,
          kind == PathKind::folder ? ": it is a directory" : ": it exists and is not a regular file");
  require(exists || !is_separator(path.back()), BITNET_ERROR_IO, "cannot write ", path,
          ": a file's name does not end in ", path.back());
  std::vector<std::byte> access;
  if (exists) {
    target_ = full_path(path);
    const std::wstring target = system_path(target_);
    require((GetFileAttributesW(target.c_str()) & FILE_ATTRIBUTE_READONLY) == 0, BITNET_ERROR_IO, "cannot write ", path,
            ": it is read-only; change that, or write under another name");
    access = access_to(target);
  }
  SECURITY_ATTRIBUTES security = {sizeof security, access.data(), FALSE};
  const std::string folder = folder_of(target_);
  do {
    temporary_ = temporary_path(folder);
    file_ = reinterpret_cast<intptr_t>(CreateFileW(system_path(temporary_).c_str(), GENERIC_READ | GENERIC_WRITE, 0,
                                                   access.empty() ? nullptr : &security, CREATE_NEW,
                                                   FILE_ATTRIBUTE_NORMAL, nullptr));
  } while (file_ == -1 && GetLastError() == ERROR_FILE_EXISTS);
  if (file_ == -1) {
    const DWORD error = GetLastError();
    fail(BITNET_ERROR_IO, "cannot write ", path, ": cannot create a file in ", folder, ": ", describe(error));
  }
}

OutputFile::~OutputFile() {
  if (file_ == -1) return;
  CloseHandle(handle(file_));
  DeleteFileW(system_path(temporary_).c_str());
}

void OutputFile::fail_to(const char* action, uint64_t needed) const {
  const DWORD error = GetLastError();
  if (is_full(error)) {
    fail(BITNET_ERROR_IO, "cannot write ", path_, ": ", describe(error), " (at least ", needed,
         " bytes are needed); free some space or write elsewhere");
  }
  fail(BITNET_ERROR_IO, "cannot ", action, " ", path_, ": ", describe(error));
}

void OutputFile::reserve(uint64_t size) {
  FILE_ALLOCATION_INFO wanted;
  wanted.AllocationSize.QuadPart = static_cast<LONGLONG>(size);
  // Where the file system cannot reserve, it is found to be full later.
  if (!SetFileInformationByHandle(handle(file_), FileAllocationInfo, &wanted, sizeof wanted) &&
      is_full(GetLastError())) {
    fail_to("write", size);
  }
}

void OutputFile::write_at(uint64_t offset, std::span<const std::byte> bytes) {
  const uint64_t end = offset + bytes.size();
  while (!bytes.empty()) {
    OVERLAPPED place = at(offset);
    DWORD written = 0;
    const auto step = static_cast<DWORD>(std::min(bytes.size(), kMostStep));
    if (!WriteFile(handle(file_), bytes.data(), step, &written, &place)) fail_to("write", end);
    bytes = bytes.subspan(written);
    offset += written;
  }
}

void OutputFile::truncate(uint64_t size) {
  FILE_END_OF_FILE_INFO end;
  end.EndOfFile.QuadPart = static_cast<LONGLONG>(size);
  if (!SetFileInformationByHandle(handle(file_), FileEndOfFileInfo, &end, sizeof end)) fail_to("write", size);
}

void OutputFile::commit() {
  if (!FlushFileBuffers(handle(file_))) fail_to("flush", 0);
  CloseHandle(handle(file_));
  file_ = -1;
  const std::wstring from = system_path(temporary_);
  if (MoveFileExW(from.c_str(), system_path(target_).c_str(), MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH))
    return;
  const DWORD error = GetLastError();
  DeleteFileW(from.c_str());
  require(!is_held(error) || !exists(target_), BITNET_ERROR_IO, "cannot replace ", path_, ": ", describe(error),
          "; a program has it open, or may not change it: close that program, or write under another name");
  SetLastError(error);
  fail_to("give its final name to", 0);
}

}  // namespace bitnet
