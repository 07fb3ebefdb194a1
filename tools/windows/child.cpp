// SPDX-License-Identifier: MIT
#include "child.h"

#include <array>
#include <cstdio>

#include "base/windows/system.h"

namespace bitnet::program {

ChildResult run_child(const std::vector<std::string>& words, ChildErrors errors) {
  std::string line;
  for (const std::string& word : words) {
    if (word.find('"') != word.npos) return {-1, ""};  // cmd.exe has no sure way to pass it on
    line += (line.empty() ? "\"" : " \"") + word + "\"";
  }
  line = "\"" + line + (errors == ChildErrors::dropped ? " 2>NUL" : "") + "\"";
  FILE* const pipe = _wpopen(to_utf16(line).c_str(), L"rt");
  if (pipe == nullptr) return {-1, ""};
  ChildResult result;
  std::array<char, 65536> block;
  for (size_t count; (count = std::fread(block.data(), 1, block.size(), pipe)) > 0;) {
    result.output.append(block.data(), count);
  }
  result.status = _pclose(pipe);
  return result;
}

}  // namespace bitnet::program
