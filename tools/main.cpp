// SPDX-License-Identifier: MIT
// bitnet: the program around libbitnet. Its manual is bitnet.1.
#include <cstdlib>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "arguments.h"
#include "base/error.h"
#include "commands.h"
#include "handles.h"
#include "system.h"
#include "terminal.h"

namespace bitnet::program {

namespace {

std::string version_text() {
  std::string sets;
  for (size_t i = 0; const char* name = bitnet_isa_name(i); ++i) sets += std::string(" ") + name;
  return std::string("bitnet ") + bitnet_version_string() + "\nkernel sets:" + sets +
         "\nCPU features: " + bitnet_cpu_features() + "\n";
}

class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter() {
    column_width(32);
    label("SUBCOMMAND", "COMMAND");
  }
  // Without the parser's notation for a flag's value, "--zstd{9}".
  std::string make_option_name(const CLI::Option* option, bool positional) const override {
    const std::string name = Formatter::make_option_name(option, positional);
    return name.substr(0, name.find('{'));
  }
  // With one empty line between groups.
  std::string make_help(const CLI::App* command, std::string name, CLI::AppFormatMode mode) const override {
    std::string text = Formatter::make_help(command, std::move(name), mode);
    for (size_t at; (at = text.find("\n\n\n")) != text.npos;) text.erase(at, 1);
    return text;
  }
};

void add_commands(CLI::App& program) {
  program.allow_windows_style_options(false);  // which would take "/folder/model.bitnet" for options
  program.set_version_flag("--version", version_text, "Print version, kernel sets and CPU features");
  program.require_subcommand(0, 1);
  program.formatter(std::make_shared<HelpFormatter>());
  for (const auto add : {add_run, add_chat, add_info, add_convert, add_verify, add_tokenize, add_logits, add_perplexity,
                         add_embed, add_bench, add_dummy}) {
    add(program);
  }
  for (CLI::App* command : program.get_subcommands({})) command->group("Commands");
  program.footer(
      "`bitnet COMMAND --help` explains a command, with examples; `man bitnet` has it all.\n\n"
      "Begin with:\n"
      "  bitnet run -p \"Once upon a time\"\n\n"
      "Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted by Ctrl-C.");
}

std::string unexpected(const std::vector<std::string>& words) {
  std::string text = words.size() > 1 ? "these arguments were not expected:" : "this argument was not expected:";
  for (const std::string& word : words) text += " " + shortened(word, 40);
  return text;
}

// What the parser found wrong, or was asked to print.
int end_of_parsing(const CLI::App& program, const CLI::ParseError& end) {
  if (dynamic_cast<const CLI::CallForHelp*>(&end) || dynamic_cast<const CLI::CallForAllHelp*>(&end)) {
    write_out(program.help());
    return kSuccess;
  }
  if (dynamic_cast<const CLI::CallForVersion*>(&end)) {
    write_out(end.what());
    return kSuccess;
  }
  std::string name = "bitnet", what = end.what();
  for (const CLI::App* command : program.get_subcommands()) name += " " + command->get_name();
  if (name == "bitnet") what = "there is no command or option " + shortened(program.remaining().front(), 40);
  if (dynamic_cast<const CLI::ExtrasError*>(&end) && name != "bitnet") what = unexpected(program.remaining(true));
  write_message(what + "; see `" + name + " --help`");
  return kUsage;
}

int run_program(const std::vector<std::string>& given) {
  CLI::App program("Runs 1.58-bit (ternary) language models on this computer's CPU.", "bitnet");
  add_commands(program);
  try {
    const auto [words, notes] = read_arguments(program, given);
    for (const std::string& note : notes) write_note(note);
    program.parse(std::vector<std::string>(words.rbegin(), words.rend()));  // the parser takes them from the end
    if (!program.get_subcommands().empty()) return kSuccess;
    write_err(program.help());
    return kUsage;
  } catch (const CLI::ParseError& end) {
    return end_of_parsing(program, end);
  }
}

int main(int argc, char** argv) {
  prepare_streams();
  catch_interrupts();
  try {
    return run_program(arguments(argc, argv));
  } catch (const Stop& stop) {
    if (*stop.what() && stop.code() != kInterrupted) write_message(stop.what());
    return stop.code();
  } catch (const Error& error) {
    if (error.status() != BITNET_ERROR_CANCELLED) write_message(error.what());
    return exit_code(error.status());
  } catch (const std::bad_alloc&) {
    write_message("out of memory: the system, or a limit of this process (ulimit -v), allows no more");
    return kFailure;
  } catch (const std::exception& error) {
    write_message(error.what());
    return kFailure;
  }
}

}  // namespace

}  // namespace bitnet::program

int main(int argc, char** argv) { return bitnet::program::main(argc, argv); }
