// SPDX-License-Identifier: MIT
// Options that several commands share, and what they open.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "bitnet.h"
#include "handles.h"

namespace bitnet::program {

// What the library says, as messages: warnings always, the rest if `verbose` is not null.
void log_line(void* verbose, bitnet_log_level level, const char* message);

// Words for enumerators, on the command line.
CLI::Option* add_packing_option(CLI::App& command, bitnet_packing& packing);
CLI::Option* add_head_option(CLI::App& command, bitnet_head& head);
CLI::Option* add_i2s_option(CLI::App& command, bitnet_i2s_layout& layout);
CLI::Option* add_activation_option(CLI::App& command, bitnet_activation& activation);
CLI::Option* add_kv_option(CLI::App& command, bitnet_kv& kv);
const char* kv_name(bitnet_kv kv);  // as the option has it

struct ModelOptions {
  std::string path;
  std::string isa;
  bool quiet = false;
  bool verbose = false;
  bitnet_packing packing = BITNET_PACKING_DEFAULT;
  bitnet_head head = BITNET_HEAD_DEFAULT;
  bitnet_i2s_layout i2s = BITNET_I2S_AUTO;
  bitnet_activation activation = BITNET_ACTIVATION_DEFAULT;
  std::string chat_template;  // as bitnet_open_options has it
};

// -m and how to read it. With `computes`, also what concerns running it: --isa.
void add_model_options(CLI::App& command, ModelOptions& options, bool computes);

// --chat-template and --chat-template-file.
void add_chat_template_options(CLI::App& command, std::string& chat_template);

// The file of -m, or of $BITNET_MODEL, or the model that ships with the program.
std::string model_path(const ModelOptions& options);
Model open_model(const ModelOptions& options);
bitnet_model_info model_info(const bitnet_model* model);

struct SessionOptions {
  uint32_t threads = 0;
  bitnet_kv kv = BITNET_KV_DEFAULT;
  uint32_t generation_threads = 0;
};

// -t and --kv.
void add_session_options(CLI::App& command, SessionOptions& options);

// A session that Ctrl-C cancels. 0: the library's default.
Session make_session(bitnet_model* model, uint32_t context, const SessionOptions& options);

std::vector<bitnet_token> tokenized(const bitnet_model* model, const std::string& text, uint32_t flags);
std::string detokenized(const bitnet_model* model, const std::vector<bitnet_token>& tokens, uint32_t flags);

// Token numbers written in any of the usual ways: "1 2 3", "1,2,3", "[1, 2, 3]".
std::vector<bitnet_token> parse_tokens(const std::string& text);

// Throws unless `path` is free, or may be replaced.
void require_writable(const std::string& path, bool force);

}  // namespace bitnet::program
