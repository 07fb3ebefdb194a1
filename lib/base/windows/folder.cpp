// SPDX-License-Identifier: MIT
#include "base/folder.h"

#include "base/error.h"
#include "base/path.h"
#include "base/windows/system.h"

namespace bitnet {

// Who may do what with a folder is inherited from the one that it lies in.
bool make_folder(const std::string& path, const std::string&) {
  if (CreateDirectoryW(system_path(path).c_str(), nullptr)) return true;
  const DWORD error = GetLastError();
  if (error == ERROR_ALREADY_EXISTS) return false;
  fail(BITNET_ERROR_IO, "cannot make a folder in ", folder_of(path), ": ", describe(error));
}

void remove_quietly(const std::string& file_or_empty_folder) {
  const std::wstring path = system_path(file_or_empty_folder);
  if (!DeleteFileW(path.c_str())) RemoveDirectoryW(path.c_str());
}

void rename_folder(const std::string& from, const std::string& to) {
  const std::wstring target = system_path(to);
  RemoveDirectoryW(target.c_str());  // an empty one, which Windows does not replace
  if (MoveFileExW(system_path(from).c_str(), target.c_str(), MOVEFILE_WRITE_THROUGH)) return;
  fail(BITNET_ERROR_IO, "cannot give its final name to ", to, ": ", describe(GetLastError()));
}

}  // namespace bitnet
