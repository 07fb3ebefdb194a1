// SPDX-License-Identifier: MIT
#include <limits>
#include <memory>
#include <string>

#include "chat.h"
#include "commands.h"
#include "generate.h"
#include "options.h"
#include "terminal.h"

namespace bitnet::program {

namespace {

constexpr uint32_t kDefaultTokens = 256;

void remove_final_newline(std::string& text) {
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
}

std::string prompt_text(const GenerateOptions& options) {
  if (!options.prompt.empty()) return options.escapes ? unescaped(options.prompt) : options.prompt;
  std::string text;
  if (!options.file.empty()) {
    text = read_file(options.file);
  } else if (!is_terminal(Stream::in)) {
    text = read_all_input();
  }
  remove_final_newline(text);
  return text;
}

// The prompt's tokens. An empty prompt is the begin token alone: the model begins a text of its own.
std::vector<bitnet_token> prompt_tokens(const GenerateOptions& options, const bitnet_model* model,
                                        const std::string& text) {
  auto tokens = tokenized(model, text, BITNET_TEXT_BOS_EOS | (options.special ? uint32_t{BITNET_TEXT_SPECIAL} : 0));
  const bitnet_model_info info = model_info(model);
  if (!tokens.empty() && tokens.back() == info.eos) tokens.pop_back();
  if (tokens.empty() && info.bos != BITNET_NO_TOKEN) tokens.push_back(info.bos);
  if (tokens.empty()) throw Stop(kUsage, "this model needs a prompt to begin with: -p TEXT, -f FILE or standard input");
  return tokens;
}

void write_closing_lines(const bitnet_session* session, const bitnet_model_info& info, const Reply& reply,
                         uint64_t seed) {
  if (reply.finish == BITNET_FINISH_CONTEXT) {
    write_message(formatted("the context of %u tokens is full; -c N makes it larger", bitnet_session_context(session)));
  }
  const std::string line =
      speed_text(session) + formatted("; seed %llu; %s", static_cast<unsigned long long>(seed), info.isa);
  write_err((is_terminal(Stream::err) ? "\n" : "") + coloured(Stream::err, Colour::dim, line) + "\n");
}

void run(const GenerateOptions& options) {
  const std::string text = prompt_text(options);
  const Model model = open_model(options.model);
  const bitnet_model_info info = model_info(model.get());
  const Session session = make_session(model.get(), options.context, options.session);
  const auto prompt = prompt_tokens(options, model.get(), text);
  const uint64_t seed = options.seed.value_or(random_seed());
  const int64_t tokens = options.tokens.value_or(kDefaultTokens);

  if (!options.hide_prompt && !text.empty()) {
    write_out(coloured(Stream::out, Colour::bold, is_terminal(Stream::out) ? without_controls(text) : text));
  }
  const Reply reply = stream_reply(session.get(), prompt, options, seed, tokens < 0 ? 0 : static_cast<uint32_t>(tokens),
                                   options.special ? uint32_t{BITNET_GENERATE_SPECIAL_PROMPT} : 0);
  if (!reply.text.ends_with('\n')) write_out("\n");
  if (!options.model.quiet) write_closing_lines(session.get(), info, reply, seed);
  if (reply.interrupted) throw Stop(kInterrupted, "");
}

void add_generating_command(CLI::App& program, const char* name, const char* description, bool conversation,
                            const char* footer) {
  auto options = std::make_shared<GenerateOptions>();
  CLI::App* command = program.add_subcommand(name, description);
  if (!conversation) {
    auto* prompt = command->add_option("-p,--prompt", options->prompt, "Text to continue; default: standard input")
                       ->option_text("TEXT");
    command->add_option("-f,--file", options->file, "Read the prompt from a file")
        ->option_text("FILE")
        ->excludes(prompt);
    command->add_flag("--no-display-prompt", options->hide_prompt, "Write only what the model adds");
    command->add_flag("--conversation", options->conversation, "-cnv for short: converse, as `bitnet chat` does");
  }
  command->add_option("--system", options->system, "-sys for short: tell a conversation's model how to behave")
      ->option_text("TEXT");
  add_generate_options(*command, *options);
  command->footer(footer);
  command->callback([options, conversation] {
    const int64_t tokens = options->tokens.value_or(-1);
    if (tokens == 0 || tokens < -1 || tokens > std::numeric_limits<uint32_t>::max()) {
      throw Stop(kUsage, "-n must be at least 1, or -1 for no limit");
    }
    conversation || options->conversation ? chat(*options) : run(*options);
  });
}

}  // namespace

void add_run(CLI::App& program) {
  add_generating_command(
      program, "run", "Continue a text", false,
      "Without -n, 256 tokens are written at most. Ctrl-C ends the text; what was written stays.\n"
      "The closing line on standard error tells speed and seed: the same seed gives the same text.\n\n"
      "Examples:\n"
      "  bitnet run -p \"It was a fine morning in June when\"\n"
      "  bitnet run -m model.bitnet -f story.txt -n 500 --temp 1\n"
      "  echo \"Dear Sir,\" | bitnet run -q > letter.txt\n"
      "  bitnet run -m model.gguf -cnv -sys \"Answer in one sentence.\"");
}

void add_chat(CLI::App& program) {
  add_generating_command(
      program, "chat", "Converse with a model", true,
      "Type a message and press Enter; a line that ends in \\ goes on in the next. /help lists the\n"
      "commands. Ctrl-C stops a reply and keeps the conversation; at the prompt, Ctrl-D or Ctrl-C twice\n"
      "ends it.\n\n"
      "Examples:\n"
      "  bitnet chat -m model.bitnet\n"
      "  bitnet chat -m model.bitnet -sys \"You are a patient teacher.\" --temp 0.5");
}

}  // namespace bitnet::program
