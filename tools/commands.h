// SPDX-License-Identifier: MIT
// The program's commands. Each adds itself to the command line, and is called by the parser when it is chosen.
#pragma once

#include <CLI/CLI.hpp>

namespace bitnet::program {

void add_run(CLI::App& program);
void add_chat(CLI::App& program);
void add_info(CLI::App& program);
void add_convert(CLI::App& program);
void add_verify(CLI::App& program);
void add_tokenize(CLI::App& program);
void add_logits(CLI::App& program);
void add_perplexity(CLI::App& program);
void add_embed(CLI::App& program);
void add_bench(CLI::App& program);
void add_dummy(CLI::App& program);

}  // namespace bitnet::program
