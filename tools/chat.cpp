// SPDX-License-Identifier: MIT
#include "chat.h"

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/path.h"
#include "line_editor.h"
#include "terminal.h"
#include "text/utf8.h"
#include "text_input.h"

namespace bitnet::program {

namespace {

std::string without_outer_spaces(const std::string& text) {
  constexpr const char* spaces = " \t\r\n";
  const size_t begin = text.find_first_not_of(spaces);
  return begin == text.npos ? "" : text.substr(begin, text.find_last_not_of(spaces) - begin + 1);
}

ChatHandle make_chat(bitnet_session* session, const GenerateOptions& options) {
  bitnet_chat_options chat_options = {};
  chat_options.size = sizeof chat_options;
  chat_options.flags = BITNET_CHAT_PLAIN | (options.special ? uint32_t{BITNET_CHAT_TRUST} : 0);
  bitnet_chat* chat = nullptr;
  check(bitnet_chat_create(session, &chat_options, &chat));
  return ChatHandle(chat);
}

bitnet_chat_prompt latest_prompt(const bitnet_chat* chat) {
  bitnet_chat_prompt prompt = {};
  prompt.size = sizeof prompt;
  check(bitnet_chat_get_prompt(chat, &prompt));
  return prompt;
}

class Chat {
 public:
  explicit Chat(const GenerateOptions& options)
      : options_(options),
        interactive_(is_terminal(Stream::in)),
        editor_(interactive_ ? std::make_unique<LineEditor>() : nullptr),
        model_(open_model(options.model)),
        info_(model_info(model_.get())),
        session_(make_session(model_.get(), options.context, options.session)),
        chat_(make_chat(session_.get(), options)),
        lines_(options.model.quiet),
        seed_(options.seed.value_or(random_seed())) {
    set_system(options.system);
  }

  void converse();

 private:
  struct Command {
    const char* name;
    const char* argument;
    const char* help;
    void (Chat::*run)(const std::string& argument);
  };
  static const std::array<Command, 10> kCommands;

  void greet() const;
  LineEnd read_line(bool first, std::string& line);
  LineEnd read_message(std::string& message);
  void answer(const std::string& message);
  void obey(const std::string& line);

  void say(const std::string& text) const { write_err(coloured(Stream::err, Colour::dim, text) + "\n"); }
  void help(const std::string&);
  void reset(const std::string&);
  void retry(const std::string&);
  void save(const std::string& path);
  void load(const std::string& path);
  void system(const std::string& text);
  void seed(const std::string& number);
  void temperature(const std::string& number);
  void stats(const std::string&);
  void quit(const std::string&) { done_ = true; }

  void set_system(const std::string& text);
  size_t count() const { return bitnet_chat_count(chat_.get()); }
  bitnet_message message(size_t index) const;
  void add(size_t index, const char* role, const std::string& content);
  template <typename Is>
  void remove_if(const Is& is);
  bool is_conversation(const std::string& path) const;
  void reply(bool again = false);
  Generation start_reply(const TextOptions& text_options, bool again);

  GenerateOptions options_;
  const bool interactive_;
  std::unique_ptr<LineEditor> editor_;  // before the model, so that what is typed while it opens is not cut
  Model model_;
  bitnet_model_info info_;
  Session session_;
  ChatHandle chat_;
  InputLines lines_;
  uint64_t seed_;
  uint64_t replies_ = 0;  // with each, other random numbers
  bool done_ = false;
};

const std::array<Chat::Command, 10> Chat::kCommands = {{
    {"/help", "", "this list", &Chat::help},
    {"/reset", "", "forget the conversation, begin anew", &Chat::reset},
    {"/retry", "", "another reply to the last message", &Chat::retry},
    {"/save", "FILE", "write the conversation to a file", &Chat::save},
    {"/load", "FILE", "go on with a conversation from a file", &Chat::load},
    {"/system", "TEXT", "tell the model how to behave, from the start", &Chat::system},
    {"/seed", "N", "seed of the random choices from now on; -1: another one", &Chat::seed},
    {"/temp", "X", "temperature: 0 is always the likeliest, 1 is bold", &Chat::temperature},
    {"/stats", "", "speed, and how full the context is", &Chat::stats},
    {"/quit", "", "leave (also Ctrl-D, or Ctrl-C twice)", &Chat::quit},
}};

void Chat::greet() const {
  if (options_.model.quiet) return;
  if (!info_.has_chat_template) {
    write_message("this model has no chat template, so it does not converse: it continues what you write");
  }
  if (interactive_) say("Ctrl-C stops a reply; /help lists the commands; Ctrl-D ends.");
}

LineEnd Chat::read_line(bool first, std::string& line) {
  return editor_ ? editor_->read(first ? "> " : ". ", line) : lines_.read(line);
}

// A message may have several lines: all but the last end in a backslash. Where the input ends, so does the message.
LineEnd Chat::read_message(std::string& message) {
  message.clear();
  for (bool first = true;; first = false) {
    std::string line;
    const LineEnd end = read_line(first, line);
    if (end == LineEnd::end_of_input && !first) break;
    if (end != LineEnd::newline) return end;
    const bool goes_on = line.ends_with('\\');
    if (goes_on) line.back() = '\n';
    message += line;
    if (!goes_on) break;
  }
  message = text_of(std::move(message), "the message", options_.model.quiet);
  return LineEnd::newline;
}

void Chat::converse() {
  greet();
  std::string message;
  for (bool leaving = false; !done_;) {
    switch (read_message(message)) {
      case LineEnd::newline:
        leaving = false;
        answer(message);
        break;
      case LineEnd::interrupted:
        forget_interrupt();
        done_ = std::exchange(leaving, true);
        if (!done_) say("Ctrl-C once more leaves; so does Ctrl-D.");
        break;
      case LineEnd::end_of_input:
        done_ = true;
    }
  }
  if (!options_.model.quiet) stats("");
}

// A failure is told and the conversation goes on, unless nobody is there to read it.
void Chat::answer(const std::string& message) {
  const std::string line = without_outer_spaces(message);
  if (line.empty() && (info_.has_chat_template || count() == 0)) return;
  const size_t before = count();
  try {
    if (message.starts_with('/')) return obey(line);
    if (!line.empty()) add(before, "user", message);
    reply();
  } catch (const std::exception& error) {
    if (count() > before) check(bitnet_chat_remove(chat_.get(), before, SIZE_MAX));
    if (!interactive_) throw;
    write_message(error.what());
  }
}

void Chat::obey(const std::string& line) {
  const size_t space = std::min(line.find(' '), line.size());
  const std::string name = line.substr(0, space), argument = without_outer_spaces(line.substr(space));
  for (const Command& command : kCommands) {
    if (name != command.name) continue;
    if (*command.argument && argument.empty()) throw Stop(kUsage, name + " needs an argument: " + command.argument);
    return (this->*command.run)(argument);
  }
  throw Stop(kUsage, "there is no command " + shortened(name, 40) + "; /help lists them");
}

void Chat::help(const std::string&) {
  for (const Command& command : kCommands) {
    say(formatted("  %-15s %s", (std::string(command.name) + " " + command.argument).c_str(), command.help));
  }
  say("  A line that ends in \\ goes on in the next. A message that begins with / takes a space before it.");
  if (!info_.has_chat_template) say("  An empty line lets the model go on.");
}

bitnet_message Chat::message(size_t index) const {
  bitnet_message message = {};
  message.size = sizeof message;
  check(bitnet_chat_message(chat_.get(), index, &message));
  return message;
}

void Chat::add(size_t index, const char* role, const std::string& content) {
  const bitnet_message message = {sizeof message, role, content.c_str(), content.size()};
  check(bitnet_chat_insert(chat_.get(), index, &message));
}

template <typename Is>
void Chat::remove_if(const Is& is) {
  for (size_t i = count(); i-- > 0;) {
    if (is(std::string_view(message(i).role))) check(bitnet_chat_remove(chat_.get(), i, 1));
  }
}

void Chat::reset(const std::string&) {
  remove_if([](std::string_view role) { return role != "system"; });
  check(bitnet_session_rewind(session_.get(), 0));
  say("The conversation begins anew.");
}

void Chat::retry(const std::string&) {
  if (count() == 0 || message(count() - 1).role != std::string_view("assistant")) {
    throw Stop(kUsage, "there is no reply to replace yet");
  }
  reply(true);
}

bool Chat::is_conversation(const std::string& path) const {
  return bitnet_chat_load(make_chat(session_.get(), options_).get(), path.c_str()) == BITNET_OK;
}

void Chat::save(const std::string& path) {
  if (exists(path) && !is_conversation(path)) {
    throw Stop(kFailure, path + " exists and is not a conversation; choose another name");
  }
  check(bitnet_chat_save(chat_.get(), path.c_str()));
  bool odd = false;
  for (size_t i = 0; i < count(); ++i) {
    const std::string_view content(message(i).content, message(i).length);
    odd = odd || valid_utf8_prefix(content) < content.size();
  }
  if (odd) say("(Bytes that are not UTF-8 are saved as U+FFFD.)");
  say(formatted("%zu messages saved.", count()));
}

void Chat::load(const std::string& path) {
  const std::string text = read_text_file(path, options_.model.quiet);
  const bitnet_status status = bitnet_chat_load_memory(chat_.get(), text.data(), text.size());
  if (status == BITNET_ERROR_FORMAT) throw Stop(kFailure, path + " is not a conversation that /save wrote");
  check(status);
  say(formatted("%zu messages loaded.", count()));
}

void Chat::system(const std::string& text) {
  set_system(text);
  say("The model is told so from the start of the conversation.");
}

void Chat::set_system(const std::string& text) {
  remove_if([](std::string_view role) { return role == "system"; });
  if (!text.empty()) add(0, "system", text);
}

void Chat::seed(const std::string& number) {
  try {
    const auto chosen = seed_in(number);
    seed_ = chosen ? *chosen : random_seed();
  } catch (const CLI::ValidationError& error) {
    throw Stop(kUsage, error.what());
  }
  replies_ = 0;
}

void Chat::temperature(const std::string& number) {
  const auto value = number_in<float>(number);
  if (!value || *value < 0) throw Stop(kUsage, "a temperature is a number from 0 on");
  options_.temperature = *value;
}

void Chat::stats(const std::string&) {
  say(speed_text(session_.get()) +
      formatted("; context %u of %u tokens; seed %llu", bitnet_session_position(session_.get()),
                bitnet_session_context(session_.get()), static_cast<unsigned long long>(seed_)));
}

Generation Chat::start_reply(const TextOptions& text_options, bool again) {
  bitnet_generation* started = nullptr;
  const auto start = again ? bitnet_chat_regenerate : bitnet_chat_reply;
  const bitnet_status status = start(chat_.get(), text_options.get(), &started);
  if (status == BITNET_ERROR_CONTEXT) {
    throw Stop(kFailure, formatted("the message of %u tokens does not fit the context of %u; start with -c N for more",
                                   latest_prompt(chat_.get()).tokens, bitnet_session_context(session_.get())));
  }
  check(status);
  return Generation(started);
}

void Chat::reply(bool again) {
  const int64_t limit = options_.tokens.value_or(info_.has_chat_template ? -1 : 256);
  const TextOptions text_options(options_, seed_ + replies_++, limit < 0 ? 0 : static_cast<uint32_t>(limit));
  const size_t asked = count();
  Generation generation = start_reply(text_options, again);
  const bitnet_chat_prompt prompt = latest_prompt(chat_.get());
  if (prompt.left_out > 0) say("(The oldest messages were forgotten to make room.)");
  const Reply reply = stream_reply(generation);
  generation.reset();  // what was written of an interrupted reply is kept
  if (!reply.text.ends_with('\n')) write_out("\n");
  if (reply.finish == BITNET_FINISH_CONTEXT) say("(The context is full.)");
  if (reply.interrupted) say("(Stopped.)");
  if (reply.interrupted && editor_) editor_->forget_pending();
  if (count() == asked && !again) add(asked, "assistant", "");  // templates want a reply between two messages
  check(bitnet_chat_remove(chat_.get(), prompt.left_out_from, prompt.left_out));
}

}  // namespace

void chat(const GenerateOptions& options) { Chat(options).converse(); }

}  // namespace bitnet::program
