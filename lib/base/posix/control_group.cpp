// SPDX-License-Identifier: MIT
#include "base/control_group.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace bitnet {
namespace {

// What comes before the separator, or all; it is taken off the text with the separator.
std::string_view take_until(std::string_view& text, char separator) {
  const std::string_view part = text.substr(0, text.find(separator));
  text.remove_prefix(std::min(part.size() + 1, text.size()));
  return part;
}

bool lists(std::string_view list, std::string_view name) {
  while (!list.empty()) {
    if (take_until(list, ',') == name) return true;
  }
  return false;
}

// A hierarchy is mounted at `folder`, from the group `top` down.
struct Mount {
  std::string folder, top;
};

// mountinfo writes blanks and backslashes in names as three octal digits: "\040".
std::string unescaped(std::string_view name) {
  const auto is_octal = [](char c) { return c >= '0' && c <= '7'; };
  std::string text;
  for (size_t i = 0; i < name.size(); i++) {
    const std::string_view digits = name.substr(i + 1, 3);
    if (name[i] == '\\' && digits.size() == 3 && std::ranges::all_of(digits, is_octal)) {
      text += static_cast<char>((digits[0] - '0') * 64 + (digits[1] - '0') * 8 + (digits[2] - '0'));
      i += digits.size();
    } else {
      text += name[i];
    }
  }
  return text;
}

// A line is "31 24 0:28 /top /folder rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct" (proc(5)).
std::optional<Mount> read_mount(std::string_view line, int version, std::string_view controller) {
  const std::string_view separator = " - ";
  const size_t middle = line.find(separator);
  if (middle == line.npos) return std::nullopt;
  std::string_view system = line.substr(middle + separator.size());
  const std::string_view type = take_until(system, ' ');
  take_until(system, ' ');  // the source
  const bool fits = version == 2 ? type == "cgroup2" : type == "cgroup" && lists(system, controller);
  if (!fits) return std::nullopt;
  for (int i = 0; i < 3; i++) take_until(line, ' ');
  const std::string top = unescaped(take_until(line, ' '));
  return Mount{unescaped(take_until(line, ' ')), top};
}

// The path of the group below the mount's top; "" for the top, and for a group that is not below it: a process in
// another namespace sees its path otherwise than the mount does.
std::string path_below(const Mount& mount, std::string_view group) {
  const std::string_view top = mount.top == "/" ? "" : std::string_view(mount.top);
  if (!group.starts_with(top)) return "";
  group.remove_prefix(top.size());
  return group.starts_with('/') && group != "/" ? std::string(group) : "";
}

Mount find_mount(std::string_view mounts, int version, std::string_view controller, std::string_view group) {
  std::optional<Mount> first;
  while (!mounts.empty()) {
    const auto mount = read_mount(take_until(mounts, '\n'), version, controller);
    if (!mount) continue;
    if (!path_below(*mount, group).empty()) return *mount;
    if (!first) first = mount;
  }
  if (first) return *first;
  std::string usual = "/sys/fs/cgroup";
  if (version == 1) usual.append("/").append(controller);
  return {usual, "/"};
}

}  // namespace

std::vector<ControlGroup> control_groups(std::string_view controller, const std::string& root) {
  const std::string own = read_system_file(root + "/proc/self/cgroup");
  const std::string mounts = own.empty() ? "" : read_system_file(root + "/proc/self/mountinfo");
  std::vector<ControlGroup> groups;
  for (std::string_view rest = own; !rest.empty();) {
    // "4:cpu,cpuacct:/path", of version 2 "0::/path".
    std::string_view line = take_until(rest, '\n');
    const std::string_view number = take_until(line, ':'), controllers = take_until(line, ':');
    const int version = number == "0" && controllers.empty() ? 2 : 1;
    if (version == 1 && !lists(controllers, controller)) continue;
    const Mount mount = find_mount(mounts, version, controller, line);
    for (std::string path = path_below(mount, line);; path.erase(path.rfind('/'))) {
      groups.push_back({std::string(root).append(mount.folder).append(path), version});
      if (path.empty()) break;
    }
  }
  return groups;
}

std::string read_system_file(const std::string& path) {
  constexpr size_t kMost = size_t{4} << 20;  // a machine with thousands of mounts has some hundred KiB of mountinfo
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  std::string text;
  try {
    char buffer[4096];
    for (ssize_t length; text.size() < kMost && (length = read(fd, buffer, sizeof buffer)) > 0;) {
      text.append(buffer, static_cast<size_t>(length));
    }
  } catch (...) {
    close(fd);
    throw;
  }
  close(fd);
  return text;
}

bool take_number(std::string_view& text, uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return false;
  text.remove_prefix(std::min<size_t>(end - text.data() + 1, text.size()));
  return true;
}

}  // namespace bitnet
