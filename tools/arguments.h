// SPDX-License-Identifier: MIT
// The words of the command line, made ready for the parser: it would read "-temp 0.5" as "-t emp".
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace bitnet::program {

struct Arguments {
  std::vector<std::string> words;  // each option under a name of its own, each value in a word of its own
  std::vector<std::string> notes;  // for the user: options that are accepted but have no effect
};

// Throws Stop for a word with a single dash that is none of the command's options. Values are never changed.
Arguments read_arguments(const CLI::App& program, const std::vector<std::string>& given);

}  // namespace bitnet::program
