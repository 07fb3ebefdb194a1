// SPDX-License-Identifier: MIT
// Files: read by mapping them, written beside their final place and renamed when whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "base/buffer.h"

namespace bitnet {

// A whole regular file, mapped for reading; where its file system cannot map files, read into memory. Whoever cuts the
// file short while it is mapped breaks the reader (SIGBUS), as with every mapped file; Windows lets nobody do it.
class MappedFile {
 public:
  MappedFile() = default;
  // `expected` is what the caller asks for, where the path names something else than a file.
  explicit MappedFile(const std::string& path, const char* expected = "a .bitnet or .gguf file");
  MappedFile(MappedFile&& other) noexcept { swap(other); }
  MappedFile& operator=(MappedFile&& other) noexcept {
    MappedFile(std::move(other)).swap(*this);
    return *this;
  }
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  // Whether the bytes are pages of the file, which can be dropped and read again.
  bool is_mapped() const { return data_ != nullptr && memory_.empty(); }
  // Memory of this process alone.
  size_t owned_bytes() const { return memory_.size(); }

 private:
  void swap(MappedFile& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(memory_, other.memory_);
  }

  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  Buffer memory_;  // where the file is not mapped
};

// The first `most` bytes of a regular file, or all if it has fewer. The error does not name the path.
std::string read_start(const std::string& path, size_t most);

// Takes the whole pages of a mapped file's range out of this process's memory; touching them reads them again.
// Only for ranges of a MappedFile that is_mapped(): other memory would be zero afterwards.
void drop_pages(std::span<const std::byte> range);

// A file being written under a temporary name in the directory where it will be. Only commit() gives it its final name;
// without it the destructor removes it, so that a half-written file is never seen. Where `path` is a symbolic link,
// what it points to is written, and the link stays. A file that is replaced passes its permissions on;
// nobody who could not read it can read the new one, not even while it is written. Windows refuses to replace a file
// that is mapped, or open in a program that does not allow it.
class OutputFile {
 public:
  explicit OutputFile(const std::string& path);
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  ~OutputFile();

  // Asks for the disk space that will be needed, so that a full disk is found before the work is done.
  void reserve(uint64_t size);
  void write_at(uint64_t offset, std::span<const std::byte> bytes);
  void truncate(uint64_t size);
  // Flushes to the disk and renames. Nothing may be written afterwards.
  void commit();

 private:
  [[noreturn]] void fail_to(const char* action, uint64_t needed) const;  // for the last error of the system

  const std::string path_;  // as asked for
  std::string target_;      // what it points to
  std::string temporary_;
  intptr_t file_ = -1;  // what the system knows it by: a descriptor or a handle
};

}  // namespace bitnet
