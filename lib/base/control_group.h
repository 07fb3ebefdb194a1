// SPDX-License-Identifier: MIT
// Linux's control groups, version 1 and 2: where the limits of this process stand. On other systems there are none, and
// Windows lacks these functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bitnet {

struct ControlGroup {
  std::string folder;
  int version;  // of the hierarchy: 1 or 2
};

// The groups of this process in the hierarchies that have the controller ("cpu", "memory"): its own, and those above it
// as far as they can be seen. Some folders may not exist. `root` stands before /proc and /sys.
std::vector<ControlGroup> control_groups(std::string_view controller, const std::string& root = {});

// The text of a small file of the system, "" if there is none. No stream: those depend on the host's locale.
std::string read_system_file(const std::string& path);

// Takes a whole number off the front of the text, and the character after it.
bool take_number(std::string_view& text, uint64_t& number);

}  // namespace bitnet
