// SPDX-License-Identifier: MIT
// What the program asks of the system besides the streams of terminal.h: posix/ and windows/ know the answers.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "terminal.h"

namespace bitnet::program {

// The words of the command line after the program's name, in UTF-8.
std::vector<std::string> arguments(int argc, char** argv);

// A variable of the environment in UTF-8; "" if there is none.
std::string environment(const char* name);

// Where the program lies; "" if the system does not say.
std::string program_path();

// Whether the stream is a terminal that takes escape sequences for colours.
bool obeys_sequences(Stream stream);

// Of the terminal that progress is shown on.
size_t terminal_columns();

// Reads what has come on standard input, which is no terminal, a byte at least; 0 bytes at its end. Empty if Ctrl-C
// interrupts it.
std::optional<size_t> read_input(std::span<char> block);

// All of standard input where that is no terminal. Throws Stop if Ctrl-C interrupts it.
std::string read_piped_input();

}  // namespace bitnet::program
