// SPDX-License-Identifier: MIT
#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <limits>

#include "base/error.h"
#include "base/memory.h"
#include "base/path.h"
#include "base/posix/system.h"

namespace bitnet {
namespace {

// Not strerror: that one may share a buffer between threads.

struct Descriptor {
  int fd;
  explicit Descriptor(int opened) : fd(opened) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
};

// A regular file, open for reading, and what the system says about it.
struct RegularFile {
  // O_NONBLOCK: a pipe of that name is refused instead of waited for.
  RegularFile(const std::string& path, const char* expected)
      : file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    if (file.fd < 0) {
      fail(errno == ENOENT ? BITNET_ERROR_NOT_FOUND : BITNET_ERROR_IO, "cannot open the file: ", describe(errno));
    }
    if (fstat(file.fd, &info) != 0) fail(BITNET_ERROR_IO, "cannot examine the file: ", describe(errno));
    require(S_ISREG(info.st_mode), BITNET_ERROR_IO, S_ISDIR(info.st_mode) ? "is a directory" : "is not a regular file",
            "; name ", expected);
  }

  Descriptor file;
  struct stat info;
};

int descriptor(intptr_t file) { return static_cast<int>(file); }

std::string read_link(const std::string& path) {
  std::string text(PATH_MAX, '\0');
  const ssize_t length = readlink(path.c_str(), text.data(), text.size());
  text.resize(static_cast<size_t>(std::max<ssize_t>(length, 0)));
  return text;
}

// What a path points to after all symbolic links in its last part; that need not exist.
std::string resolve(const std::string& path) {
  constexpr int kMostLinks = 40;  // as Linux
  std::string target = path;
  struct stat info;
  for (int links = 0; lstat(target.c_str(), &info) == 0 && S_ISLNK(info.st_mode); links++) {
    const std::string link = read_link(target);
    require(links < kMostLinks && !link.empty(), BITNET_ERROR_IO, "cannot write ", path,
            ": too many symbolic links, or one that cannot be read");
    target = link.front() == '/' ? link : folder_of(target).append("/").append(link);
  }
  return target;
}

// Gives the file that replaces an old one its owner, group and permissions. A session that only its owner may read
// stays so when it is saved again. Where the owner cannot be kept, the permissions still are; where the group cannot,
// they are not for the group that the file has instead.
void pass_on_permissions(int fd, const struct stat& old) {
  mode_t mode = old.st_mode & 0777;
  if (fchown(fd, old.st_uid, old.st_gid) != 0 && fchown(fd, static_cast<uid_t>(-1), old.st_gid) != 0) {
    struct stat now;
    const bool same_group = fstat(fd, &now) == 0 && now.st_gid == old.st_gid;
    if (!same_group) mode &= ~mode_t{0070};
  }
  if (fchmod(fd, mode) != 0) errno = 0;  // it stays its owner's alone
}

// The bytes of a file that cannot be mapped.
Buffer read_whole(int fd, size_t size) {
  const auto need = [&] {
    return MemoryNeed{size, "a file on a file system that cannot map files", "copy it to a local disk"};
  };
  Buffer memory = with_memory(need, [&] {
    require_memory(need(), 0, memory_limit());
    return Buffer(size);
  });
  for (size_t done = 0; done < size;) {
    const size_t step = std::min(size - done, size_t{1} << 30);
    const ssize_t length = pread(fd, memory.data() + done, step, static_cast<off_t>(done));
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) fail(BITNET_ERROR_IO, "can neither map nor read the file: ", describe(errno));
    require(length != 0, BITNET_ERROR_IO, "the file ends after ", done, " of ", size,
            " bytes; it was changed meanwhile");
    done += static_cast<size_t>(length);
  }
  return memory;
}

}  // namespace

std::string read_start(const std::string& path, size_t most) {
  const RegularFile source(path, "a file of text");
  std::string text(std::min(most, static_cast<size_t>(source.info.st_size)), '\0');
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t length = pread(source.file.fd, text.data() + done, text.size() - done, static_cast<off_t>(done));
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) fail(BITNET_ERROR_IO, "cannot read the file: ", describe(errno));
    if (length == 0) break;
    done += static_cast<size_t>(length);
  }
  text.resize(done);
  return text;
}

MappedFile::MappedFile(const std::string& path, const char* expected) {
  const RegularFile source(path, expected);
  const int fd = source.file.fd;
  const auto& info = source.info;
  require(info.st_size > 0, BITNET_ERROR_FORMAT, "the file is empty");
  require(static_cast<uint64_t>(info.st_size) <= std::numeric_limits<size_t>::max() / 2, BITNET_ERROR_MEMORY,
          "the file is too large for this address space");
  const auto size = static_cast<size_t>(info.st_size);
  size_ = size;
  // Some file systems (FUSE with direct_io) cannot share a mapping, but give one of this process's own.
  for (const int kind : {MAP_SHARED, MAP_PRIVATE}) {
    void* const mapping = mmap(nullptr, size, PROT_READ, kind, fd, 0);
    if (mapping != MAP_FAILED) {
      data_ = static_cast<const std::byte*>(mapping);
      return;
    }
    require(errno != ENOMEM, BITNET_ERROR_MEMORY, "cannot map the file: its ", size_text(size),
            " do not fit the address space that this process may have; raise the limit (ulimit -v)");
  }
  memory_ = read_whole(fd, size);
  data_ = memory_.data();
}

MappedFile::~MappedFile() {
  if (is_mapped()) munmap(const_cast<std::byte*>(data_), size_);
}

void drop_pages(std::span<const std::byte> range) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(range.data()) + page - 1) / page * page;
  const uintptr_t end = reinterpret_cast<uintptr_t>(range.data() + range.size()) / page * page;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

OutputFile::OutputFile(const std::string& path) : path_(path) {
  require(!path.empty(), BITNET_ERROR_IO, "the name of the file to write is empty");
  struct stat old;
  // This also asks the system whether links may be followed here: not those of strangers in a folder like /tmp.
  const bool exists = stat(path.c_str(), &old) == 0;
  if (exists) {
    require(S_ISREG(old.st_mode), BITNET_ERROR_IO, "cannot write ", path,
            S_ISDIR(old.st_mode) ? ": it is a directory" : ": it exists and is not a regular file");
  } else if (errno != ENOENT) {
    fail_to("write", 0);
  }
  target_ = resolve(path);
  const std::string directory = folder_of(target_);
  require(exists || !target_.ends_with('/'), BITNET_ERROR_IO, "cannot write ", path,
          ": a file's name does not end in /");
  do {
    temporary_ = temporary_path(directory);
    file_ = open(temporary_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, exists ? 0600 : 0666);
  } while (file_ < 0 && errno == EEXIST);
  if (file_ < 0) {
    fail(BITNET_ERROR_IO, "cannot write ", path, ": cannot create a file in ", directory, ": ", describe(errno));
  }
  if (exists) pass_on_permissions(descriptor(file_), old);
}

OutputFile::~OutputFile() {
  if (file_ < 0) return;
  close(descriptor(file_));
  unlink(temporary_.c_str());
}

void OutputFile::fail_to(const char* action, uint64_t needed) const {
  const int error = errno;
  if (error == ENOSPC || error == EFBIG || error == EDQUOT) {
    fail(BITNET_ERROR_IO, "cannot write ", path_, ": ", describe(error), " (at least ", needed,
         " bytes are needed); free some space or write elsewhere");
  }
  fail(BITNET_ERROR_IO, "cannot ", action, " ", path_, ": ", describe(error));
}

void OutputFile::reserve(uint64_t size) {
#ifdef __linux__
  // Not posix_fallocate: where the file system cannot reserve, it would write the whole file in zeros.
  if (fallocate(descriptor(file_), 0, 0, static_cast<off_t>(size)) != 0 &&
      (errno == ENOSPC || errno == EFBIG || errno == EDQUOT)) {
    fail_to("write", size);
  }
#else
  (void)size;
#endif
}

void OutputFile::write_at(uint64_t offset, std::span<const std::byte> bytes) {
  const uint64_t end = offset + bytes.size();
  while (!bytes.empty()) {
    const size_t step = std::min(bytes.size(), size_t{1} << 30);
    const ssize_t written = pwrite(descriptor(file_), bytes.data(), step, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_to("write", end);
    bytes = bytes.subspan(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
}

void OutputFile::truncate(uint64_t size) {
  if (ftruncate(descriptor(file_), static_cast<off_t>(size)) != 0) fail_to("write", size);
}

void OutputFile::commit() {
  if (fsync(descriptor(file_)) != 0) fail_to("flush", 0);
  if (rename(temporary_.c_str(), target_.c_str()) != 0) fail_to("give its final name to", 0);
  close(descriptor(file_));
  file_ = -1;
  // The new name too should outlast a power cut; a file system that cannot promise it does not make the file wrong.
  const Descriptor directory(open(folder_of(target_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.fd >= 0) fsync(directory.fd);
}

}  // namespace bitnet
