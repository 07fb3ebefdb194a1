// SPDX-License-Identifier: MIT
// What terminal.cpp and keyboard.cpp share.
#pragma once

#include <windows.h>

#include <string_view>

#include "terminal.h"

namespace bitnet::program {

HANDLE handle_of(Stream stream);
bool is_console(HANDLE handle);

// Writes to a console, file or pipe. Returns 0, or the system's error.
DWORD write_all(HANDLE handle, std::string_view text) noexcept;

// Set while interrupted().
HANDLE interrupt_event();

}  // namespace bitnet::program
