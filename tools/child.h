// SPDX-License-Identifier: MIT
// Other programs that this one runs. posix/ and windows/ know how.
#pragma once

#include <string>
#include <vector>

namespace bitnet::program {

struct ChildResult {
  int status = 0;  // 0: success; -1: it could not be started
  std::string output;
};

// Runs a program, found as a shell finds it, and waits for its end. Standard output is returned; standard error is
// shown, or dropped.
enum class ChildErrors { shown, dropped };
ChildResult run_child(const std::vector<std::string>& words, ChildErrors errors);

}  // namespace bitnet::program
