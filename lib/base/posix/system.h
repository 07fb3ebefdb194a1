// SPDX-License-Identifier: MIT
// What POSIX's system says.
#pragma once

#include <string>
#include <system_error>

namespace bitnet {

// The system's text for a value of errno.
inline std::string describe(int error) { return std::generic_category().message(error); }

}  // namespace bitnet
