// SPDX-License-Identifier: MIT
// Folders of files that belong together, written beside their final place and renamed when whole.
#pragma once

#include <string>
#include <vector>

namespace bitnet {

// A folder being written under a temporary name beside the place where it will be. Only commit() gives it its final
// name; without it the destructor removes it with all that was made in it. There may be an empty folder at `path`,
// which it replaces, with its permissions; nothing else is ever replaced.
class OutputFolder {
 public:
  explicit OutputFolder(const std::string& path);
  OutputFolder(const OutputFolder&) = delete;
  OutputFolder& operator=(const OutputFolder&) = delete;
  ~OutputFolder();

  // Where it is meanwhile.
  const std::string& path() const { return temporary_; }
  // The path of a file that will be written there.
  std::string file(const std::string& name);
  // A folder in it, for such files: file("within/name").
  void make(const std::string& name);
  // Nothing may be written afterwards.
  void commit();

 private:
  const std::string path_;  // as asked for
  std::string target_, temporary_;
  std::vector<std::string> files_, folders_;  // that were made in it
};

// What the system does.
// A new folder, with the permissions of `like` if that is one. False, without a word, if the name is taken.
bool make_folder(const std::string& path, const std::string& like);
void remove_quietly(const std::string& file_or_empty_folder);
// `to` is missing, or an empty folder.
void rename_folder(const std::string& from, const std::string& to);

}  // namespace bitnet
