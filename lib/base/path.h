// SPDX-License-Identifier: MIT
// Names of files as the whole library keeps them: text in UTF-8, on every system. Not std::filesystem, which reads such
// text in the code page of the user on Windows, and does not take long names there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bitnet {

// What is at a path, after all links; `missing` also where the system does not say.
enum class PathKind : uint8_t { missing, file, folder, other };
PathKind path_kind(const std::string& path);
inline bool exists(const std::string& path) { return path_kind(path) != PathKind::missing; }

// Of a regular file; empty where the system does not say.
std::optional<uint64_t> file_size(const std::string& path);

// What a symbolic link names; "" of anything else, and on Windows.
std::string link_target(const std::string& path);

// The names in a folder; of very many, `most`. Throws.
std::vector<std::string> names_in(const std::string& folder, size_t most);

// The path from the root, without links, ".." and "."; as it was given where the system cannot tell.
std::string full_path(const std::string& path);

// What stands between the parts of a path: '/', and on Windows '\' and the ':' after a drive.
bool is_separator(char c);

// The folder that a path names a part of, "." if it does not say; and the last part, "" after a final separator.
std::string folder_of(const std::string& path);
std::string last_part(const std::string& path);
// The path of what has that name in a folder.
std::string joined(const std::string& folder, const std::string& name);
// A path in that folder that nobody else writes to: 64 random bits. The name is short, since the final one may be as
// long as names can be.
std::string temporary_path(const std::string& folder);

}  // namespace bitnet
