// SPDX-License-Identifier: MIT
// Options that several commands share, and what they open.
#pragma once

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bitnet.h"
#include "format/gguf_writer.h"
#include "handles.h"

namespace bitnet::program {

// What the library says, as messages: warnings always, the rest if `verbose` is not null.
void log_line(void* verbose, bitnet_log_level level, const char* message);

// A number as people write it: decimal, with a decimal point in every locale, and nothing before or after it.
template <typename Number>
std::optional<Number> number_in(std::string_view text) {
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  Number value{};
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || rest != end) return std::nullopt;
  if constexpr (std::floating_point<Number>) {
    if (!std::isfinite(value)) return std::nullopt;
  }
  return value;
}

// The same of an option, or CLI::ValidationError.
template <typename Number>
Number option_number(const std::string& option, const std::string& text, Number least, Number most) {
  const auto value = number_in<Number>(text);
  if (value && *value >= least && *value <= most) return *value;
  std::string wanted = "a number, as in 0.5";
  if constexpr (std::integral<Number>)
    wanted = "a whole number from " + std::to_string(least) + " to " + std::to_string(most);
  throw CLI::ValidationError(option, "'" + text + "' is not " + wanted);
}

// The first long name of "-n,--predict,--n-predict".
std::string long_name(const std::string& names);

// An option whose value is a number. The parser's own numbers take "010" for 8 and depend on the locale.
template <typename Number, typename Value>
CLI::Option* add_number(CLI::App& command, const std::string& names, Value& value, const std::string& description,
                        Number least = std::numeric_limits<Number>::lowest(),
                        Number most = std::numeric_limits<Number>::max()) {
  const std::string name = long_name(names);
  const auto take = [=, &value](const std::string& text) { value = option_number<Number>(name, text, least, most); };
  return command.add_option_function<std::string>(names, take, description)->option_text("N");
}

// The same for several numbers, with commas between or the option given again.
CLI::Option* add_numbers(CLI::App& command, const std::string& names, std::vector<uint32_t>& values,
                         const std::string& description, uint32_t most);

// One of some words, each with its meaning.
template <typename Enum>
CLI::Option* add_choice(CLI::App& command, const char* name, Enum& value, const char* description,
                        std::initializer_list<std::pair<const char*, Enum>> words) {
  std::string shown;
  for (const auto& [word, _] : words) shown += (shown.empty() ? "" : "|") + std::string(word);
  const std::vector<std::pair<const char*, Enum>> choices(words);
  const auto choose = [&value, choices, name, shown](const std::string& given) {
    for (const auto& [word, meaning] : choices) {
      if (given != word) continue;
      value = meaning;
      return;
    }
    throw CLI::ValidationError(name, "'" + given + "' is none of " + shown);
  };
  return command.add_option_function<std::string>(name, choose, description)->option_text(shown);
}

// For names of files: nothing is taken for "no file", such as an empty variable of a shell.
CLI::Validator not_empty();

// Words for enumerators, on the command line.
CLI::Option* add_packing_option(CLI::App& command, bitnet_packing& packing);
// Also --outtype, the name that users of bitnet.cpp know: i2_s, tl1 or tl2.
CLI::Option* add_outtype_option(CLI::App& command, bitnet_packing& packing);
bitnet_packing packing_of_outtype(const std::string& name);  // with a note that says so
CLI::Option* add_dense_option(CLI::App& command, bitnet_dense& dense);
CLI::Option* add_activation_bits_option(CLI::App& command, bitnet_activation_bits& bits);
CLI::Option* add_head_option(CLI::App& command, bitnet_head& head);
// The kind of file that `dummy` writes.
CLI::Option* add_dummy_format_option(CLI::App& command, bool& gguf);
CLI::Option* add_gguf_weights_option(CLI::App& command, std::optional<GgufWeights>& weights);
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
  bitnet_dense dense = BITNET_DENSE_DEFAULT;
  bitnet_activation_bits activation_bits = BITNET_ACTIVATION_BITS_DEFAULT;
  std::string chat_template;  // as bitnet_open_options has it
};

CLI::Option* add_isa_option(CLI::App& command, ModelOptions& options);

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

// Sessions that Ctrl-C cancels, on an engine of their own or a shared one. 0: the library's default.
Engine make_engine(bitnet_model* model, const SessionOptions& options);
Session make_session(bitnet_model* model, uint32_t context, const SessionOptions& options);
Session make_session(bitnet_model* model, bitnet_engine* engine, uint32_t context, bitnet_kv kv);

std::vector<bitnet_token> tokenized(const bitnet_model* model, const std::string& text, uint32_t flags);

// Whether the vocabulary asks for the begin token before each text.
bool texts_begin_with_token(const bitnet_model* model);

// The tokens with the begin and end tokens that the vocabulary asks for, but for those that the text itself spells.
enum class Ends { begin, begin_and_end };
std::vector<bitnet_token> tokenized_whole(const bitnet_model* model, const std::string& text, bool special, Ends ends);

std::string detokenized(const bitnet_model* model, const std::vector<bitnet_token>& tokens, uint32_t flags);

// Token numbers written in any of the usual ways: "1 2 3", "1,2,3", "[1, 2, 3]".
std::vector<bitnet_token> parse_tokens(const std::string& text);

// Throws unless `path` is free, or may be replaced.
void require_writable(const std::string& path, bool force);

}  // namespace bitnet::program
