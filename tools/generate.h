// SPDX-License-Identifier: MIT
// What `run` and `chat` share: the knobs of generation, and streaming a reply to standard output.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bitnet.h"
#include "handles.h"
#include "options.h"

namespace bitnet::program {

struct GenerateOptions {
  ModelOptions model;
  SessionOptions session;
  uint32_t context = 0;
  std::optional<int64_t> tokens;  // -1: until the context is full
  float temperature = 0.8F, top_p = 0.95F, min_p = 0.05F;
  uint32_t top_k = 40;
  float repeat_penalty = 1, presence_penalty = 0, frequency_penalty = 0;
  uint32_t repeat_last = 64;
  std::vector<std::string> logit_bias;
  std::optional<uint64_t> seed;
  std::vector<std::string> stop;
  std::optional<std::string> prompt, file;  // given, perhaps as ""
  std::string system;
  bool ignore_end = false, special = false, escapes = false, hide_prompt = false;
  bool conversation = false;
};

void add_generate_options(CLI::App& command, GenerateOptions& options);

// \n, \t, \r, \\, \" and \' as in C. Others stay as they are.
std::string unescaped(const std::string& text);

// A text that was given on the command line: with --escape unescaped, and without a byte order mark.
std::string argument_text(const std::string& text, const std::string& what, const GenerateOptions& options);

uint64_t random_seed();

// A seed as people write it; "-1" is another one each time. Throws CLI::ValidationError.
std::optional<uint64_t> seed_in(const std::string& text);

// What the options say of a text, as the library takes it.
class TextOptions {
 public:
  // No limit of its own for max_tokens 0.
  TextOptions(const GenerateOptions& options, uint64_t seed, uint32_t max_tokens);
  TextOptions(const TextOptions&) = delete;
  TextOptions& operator=(const TextOptions&) = delete;

  const bitnet_generate_options* get() const { return &generate_; }

 private:
  std::vector<bitnet_logit_bias> biases_;
  std::vector<std::string> stop_texts_;
  std::vector<const char*> stops_;
  bitnet_sampler_options sampler_ = {};
  bitnet_generate_options generate_ = {};
};

struct Reply {
  std::string text;
  bitnet_finish finish = BITNET_FINISH_NOT;
  bool interrupted = false;  // by Ctrl-C, which is then forgotten
};

// Writes the text to standard output as it comes, with `before` in front of it.
Reply stream_reply(const Generation& generation, const std::string& before = "");

// "prompt 5 tokens, 120.3 tokens/s; generated 256 tokens, 85.2 tokens/s"
std::string speed_text(const bitnet_session* session);

}  // namespace bitnet::program
