// SPDX-License-Identifier: MIT
#include "base/folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/error.h"
#include "base/path.h"
#include "base/posix/system.h"

namespace bitnet {

bool make_folder(const std::string& path, const std::string& like) {
  struct stat old;
  const bool known = !like.empty() && stat(like.c_str(), &old) == 0;
  if (mkdir(path.c_str(), known ? 0700 : 0777) != 0) {
    if (errno == EEXIST) return false;
    fail(BITNET_ERROR_IO, "cannot make a folder in ", folder_of(path), ": ", describe(errno));
  }
  if (known && chmod(path.c_str(), old.st_mode & 07777) != 0) errno = 0;  // it stays its owner's alone
  return true;
}

void remove_quietly(const std::string& file_or_empty_folder) { std::remove(file_or_empty_folder.c_str()); }

void rename_folder(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) != 0) {
    fail(BITNET_ERROR_IO, "cannot give its final name to ", to, ": ", describe(errno));
  }
  // The new name should outlast a power cut; a file system that cannot promise it does not make the folder wrong.
  const int folder = open(folder_of(to).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return;
  fsync(folder);
  close(folder);
}

}  // namespace bitnet
