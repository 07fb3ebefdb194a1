// SPDX-License-Identifier: MIT
#include <limits>
#include <memory>
#include <string>

#include "chat.h"
#include "commands.h"
#include "generate.h"
#include "options.h"
#include "terminal.h"
#include "text_input.h"

namespace bitnet::program {

namespace {

constexpr uint32_t kDefaultTokens = 128;

// Editors and `echo` end a text with a newline that is not meant.
std::string without_final_newline(std::string text) {
  if (!text.ends_with('\n')) return text;
  text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  return text;
}

std::string prompt_text(const GenerateOptions& options) {
  const bool quiet = options.model.quiet;
  if (options.prompt) return argument_text(*options.prompt, "the prompt", options);
  if (!options.file && is_terminal(Stream::in)) return "";
  std::string text =
      without_final_newline(options.file ? read_text_file(*options.file, quiet) : read_text_input(quiet));
  if (options.file && text.empty() && !quiet)
    write_note(*options.file + " is empty; the model begins a text of its own");
  return text;
}

// The prompt's tokens. An empty prompt is the begin token alone: the model begins a text of its own.
std::vector<bitnet_token> prompt_tokens(const GenerateOptions& options, const bitnet_model* model,
                                        const std::string& text) {
  auto tokens = tokenized_whole(model, text, options.special, Ends::begin);
  const bitnet_model_info info = model_info(model);
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

  if (prompt.size() > bitnet_session_context(session.get())) {
    throw Stop(kFailure, formatted("the prompt has %s tokens, more than the context of %u; -c N makes it larger",
                                   count_text(prompt.size()).c_str(), bitnet_session_context(session.get())));
  }
  const std::string shown =
      options.hide_prompt || text.empty()
          ? ""
          : coloured(Stream::out, Colour::bold, is_terminal(Stream::out) ? without_controls(text) : text);
  const TextOptions text_options(options, seed, tokens < 0 ? 0 : static_cast<uint32_t>(tokens));
  bitnet_generation* started = nullptr;
  check(bitnet_generation_start_tokens(session.get(), prompt.data(), prompt.size(), text_options.get(), &started));
  const Reply reply = stream_reply(Generation(started), shown);
  if (!reply.text.ends_with('\n')) write_out("\n");
  if (!options.model.quiet) write_closing_lines(session.get(), info, reply, seed);
  if (reply.interrupted) throw Stop(kInterrupted, "");
}

// In a conversation the prompt is what bitnet.cpp takes it for: the system message.
void converse(GenerateOptions options) {
  const bool system = !options.system.empty();
  if (system && (options.prompt || options.file)) {
    throw Stop(kUsage, "in a conversation -p and -f give the system message, as -sys does; give one of them");
  }
  if (system) options.system = argument_text(options.system, "the system message", options);
  if (options.prompt) options.system = argument_text(*options.prompt, "the system message", options);
  if (options.file) options.system = without_final_newline(read_text_file(*options.file, options.model.quiet));
  chat(options);
}

void refuse_what_is_for_conversations(const GenerateOptions& options) {
  if (!options.system.empty()) {
    throw Stop(kUsage, "--system is for conversations; add -cnv, or put it into the prompt");
  }
  if (!options.model.chat_template.empty()) {
    throw Stop(kUsage, "--chat-template and --chat-template-file are for conversations; add -cnv");
  }
}

void add_generating_command(CLI::App& program, const char* name, const char* description, bool conversation,
                            const char* footer) {
  auto options = std::make_shared<GenerateOptions>();
  CLI::App* command = program.add_subcommand(name, description);
  if (!conversation) {
    auto* prompt = command
                       ->add_option_function<std::string>(
                           "-p,--prompt", [options](const std::string& text) { options->prompt = text; },
                           "Text to continue; default: standard input. With -cnv: as -sys")
                       ->option_text("TEXT");
    command->add_option("-f,--file", options->file, "Read the prompt from a file; -: from standard input")
        ->check(not_empty())
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
    if (!conversation && !options->conversation) refuse_what_is_for_conversations(*options);
    conversation || options->conversation ? converse(*options) : run(*options);
  });
}

}  // namespace

void add_run(CLI::App& program) {
  add_generating_command(
      program, "run", "Continue a text", false,
      "Without -n, 128 tokens are written at most. Ctrl-C ends the text; what was written stays.\n"
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
      "ends it.\n"
      "Without -n a reply has no limit; 256 tokens for a model without chat template.\n\n"
      "Examples:\n"
      "  bitnet chat -m model.bitnet\n"
      "  bitnet chat -m model.bitnet -sys \"You are a patient teacher.\" --temp 0.5");
}

}  // namespace bitnet::program
