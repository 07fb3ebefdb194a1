// SPDX-License-Identifier: MIT
#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "commands.h"
#include "npy.h"
#include "options.h"
#include "terminal.h"
#include "text_input.h"

namespace bitnet::program {

namespace {

struct Options {
  ModelOptions model;
  SessionOptions session;
  std::optional<std::string> tokens, prompt;
  std::string tokens_file, output;
  bool special = false;
};

std::vector<bitnet_token> input_tokens(const Options& options, const std::string& file, const bitnet_model* model) {
  const bool quiet = options.model.quiet;
  if (options.tokens) return parse_tokens(*options.tokens);
  if (!options.tokens_file.empty()) return parse_tokens(file);
  if (!options.prompt) return {};
  return tokenized_whole(model, text_of(*options.prompt, "the prompt", quiet), options.special, Ends::begin_and_end);
}

void logits(const Options& options) {
  const std::string file = options.tokens_file.empty() ? "" : read_text_file(options.tokens_file, options.model.quiet);
  const Model model = open_model(options.model);
  const auto tokens = input_tokens(options, file, model.get());
  if (tokens.empty()) throw Stop(kUsage, "there are no tokens; give some with --tokens, --tokens-file or -p");
  const size_t vocabulary = model_info(model.get()).vocabulary;
  const Session session = make_session(model.get(), static_cast<uint32_t>(tokens.size()), options.session);

  OutputFile output(options.output);
  const std::string header = npy_header("<f4", tokens.size(), vocabulary);
  output.reserve(header.size() + tokens.size() * vocabulary * sizeof(float));
  output.write_at(0, std::as_bytes(std::span(header)));

  const Stopwatch time;
  ProgressBar bar("evaluating", ProgressBar::Unit::tokens);
  constexpr size_t step = 32;  // bounds the memory for logits
  for (size_t at = 0; at < tokens.size(); at += step) {
    const size_t count = std::min(step, tokens.size() - at);
    check(bitnet_eval(session.get(), tokens.data() + at, count, BITNET_LOGITS_ALL));
    for (size_t i = 0; i < count; ++i) {
      const float* row = nullptr;
      check(bitnet_session_logits(session.get(), i, &row));
      output.write_at(header.size() + (at + i) * vocabulary * sizeof(float), std::as_bytes(std::span(row, vocabulary)));
    }
    bar.update(at + count, tokens.size());
  }
  output.commit();
  bar.clear();
  if (!options.model.quiet) {
    write_out(formatted("%s: float32 (%zu, %zu) in %s\n", options.output.c_str(), tokens.size(), vocabulary,
                        duration_text(time.seconds()).c_str()));
  }
}

}  // namespace

void add_logits(CLI::App& program) {
  auto options = std::make_shared<Options>();
  CLI::App* command = program.add_subcommand("logits", "Write the logits after each token as a NumPy file");
  add_model_options(*command, options->model, true);
  constexpr const char* input = "Input (one of)";
  const auto into = [](std::optional<std::string>& value) {
    return [&value](const std::string& text) { value = text; };
  };
  auto* tokens = command
                     ->add_option_function<std::string>("--tokens", into(options->tokens),
                                                        "Token numbers; nothing is added to them")
                     ->option_text("\"1 2 3\"")
                     ->group(input);
  auto* file =
      command->add_option("--tokens-file", options->tokens_file, "The same from a file; -: from standard input")
          ->check(not_empty())
          ->option_text("FILE")
          ->excludes(tokens)
          ->group(input);
  command
      ->add_option_function<std::string>("-p,--prompt", into(options->prompt),
                                         "A text, to which the begin token is added")
      ->option_text("TEXT")
      ->excludes(tokens)
      ->excludes(file)
      ->group(input);
  command->add_option("-o,--output", options->output, "File to write, replaced if it exists")
      ->required()
      ->check(not_empty())
      ->option_text("OUT.npy");
  add_session_options(*command, options->session);
  command->add_flag("--special", options->special, "The prompt may name control tokens");
  command->footer(
      "The file holds float32 of shape (tokens, vocabulary): row i are the logits after token i.\n\n"
      "Example:\n"
      "  bitnet logits -m model.bitnet --tokens \"1 2 3\" -o out.npy\n"
      "  python3 -c 'import numpy; print(numpy.load(\"out.npy\").argmax(1))'");
  command->callback([options] { logits(*options); });
}

}  // namespace bitnet::program
