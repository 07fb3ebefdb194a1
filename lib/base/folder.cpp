// SPDX-License-Identifier: MIT
#include "base/folder.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/path.h"

namespace bitnet {
namespace {

std::string without_separators_behind(std::string path) {
  while (path.size() > 1 && is_separator(path.back())) path.pop_back();
  return path;
}

}  // namespace

OutputFolder::OutputFolder(const std::string& path) : path_(path), target_(without_separators_behind(path)) {
  require(!path.empty(), BITNET_ERROR_IO, "the name of the folder to write is empty");
  const PathKind kind = path_kind(target_);
  require(kind == PathKind::missing || kind == PathKind::folder, BITNET_ERROR_IO, "cannot write ", path,
          ": it exists and is not a folder");
  if (kind == PathKind::folder) {
    target_ = full_path(target_);
    require(names_in(target_, 1).empty(), BITNET_ERROR_IO, "cannot write ", path,
            ": the folder is not empty, and is never replaced; choose another name, or remove it first");
  }
  do {
    temporary_ = temporary_path(folder_of(target_));
  } while (!make_folder(temporary_, target_));
}

OutputFolder::~OutputFolder() {
  if (temporary_.empty()) return;
  for (const std::string& file : files_) remove_quietly(file);
  std::ranges::reverse(folders_);
  for (const std::string& folder : folders_) remove_quietly(folder);
  remove_quietly(temporary_);
}

std::string OutputFolder::file(const std::string& name) {
  files_.push_back(joined(temporary_, name));
  return files_.back();
}

void OutputFolder::make(const std::string& name) {
  folders_.push_back(joined(temporary_, name));
  require(make_folder(folders_.back(), ""), BITNET_ERROR_INTERNAL, "the folder ", folders_.back(), " is made twice");
}

void OutputFolder::commit() {
  rename_folder(temporary_, target_);
  temporary_.clear();
}

}  // namespace bitnet
