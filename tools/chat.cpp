// SPDX-License-Identifier: MIT
#include "chat.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "terminal.h"

namespace bitnet::program {

namespace {

using Json = nlohmann::ordered_json;

struct Message {
  std::string role, content;
};

std::string without_outer_spaces(const std::string& text) {
  constexpr const char* spaces = " \t\r\n";
  const size_t begin = text.find_first_not_of(spaces);
  return begin == text.npos ? "" : text.substr(begin, text.find_last_not_of(spaces) - begin + 1);
}

class Chat {
 public:
  explicit Chat(const GenerateOptions& options)
      : options_(options),
        model_(open_model(options.model)),
        info_(model_info(model_.get())),
        session_(make_session(model_.get(), options.context, options.session)),
        interactive_(is_terminal(Stream::in)),
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
  LineEnd read_message(std::string& message) const;
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
  void reply();
  std::vector<bitnet_token> prompt() const;
  std::vector<bitnet_token> continued() const;
  std::vector<bitnet_token> templated() const;
  std::vector<bitnet_token> prompt_that_fits();
  bool forget_oldest();

  GenerateOptions options_;
  Model model_;
  bitnet_model_info info_;
  Session session_;
  const bool interactive_;
  std::vector<Message> messages_;
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
    {"/seed", "N", "seed of the random choices from now on", &Chat::seed},
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

// A message may have several lines: all but the last end in a backslash.
LineEnd Chat::read_message(std::string& message) const {
  message.clear();
  for (;;) {
    if (interactive_) write_out(coloured(Stream::out, Colour::green, message.empty() ? "> " : ". "));
    std::string line;
    const LineEnd end = read_line(line);
    if (end != LineEnd::newline) return end;
    const bool goes_on = line.ends_with('\\');
    if (goes_on) line.back() = '\n';
    message += line;
    if (!goes_on) return LineEnd::newline;
  }
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
        write_out("\n");
        if (!done_) say("Ctrl-C once more leaves; so does Ctrl-D.");
        break;
      case LineEnd::end_of_input:
        if (interactive_) write_out("\n");
        done_ = true;
    }
  }
  if (!options_.model.quiet) stats("");
}

// A failure is told and the conversation goes on, unless nobody is there to read it.
void Chat::answer(const std::string& message) {
  const std::string line = without_outer_spaces(message);
  if (line.empty() && (info_.has_chat_template || messages_.empty())) return;
  const std::vector<Message> before = messages_;
  try {
    if (line.starts_with('/')) return obey(line);
    if (!line.empty()) messages_.push_back({"user", message});
    reply();
  } catch (const std::exception& error) {
    messages_ = before;
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
  throw Stop(kUsage, "there is no command " + name + "; /help lists them");
}

void Chat::help(const std::string&) {
  for (const Command& command : kCommands) {
    say(formatted("  %-15s %s", (std::string(command.name) + " " + command.argument).c_str(), command.help));
  }
  say("  A line that ends in \\ goes on in the next.");
  if (!info_.has_chat_template) say("  An empty line lets the model go on.");
}

void Chat::reset(const std::string&) {
  std::erase_if(messages_, [](const Message& message) { return message.role != "system"; });
  check(bitnet_session_rewind(session_.get(), 0));
  say("The conversation begins anew.");
}

void Chat::retry(const std::string&) {
  if (messages_.empty() || messages_.back().role != "assistant") throw Stop(kUsage, "there is no reply to replace yet");
  messages_.pop_back();
  reply();
}

void Chat::save(const std::string& path) {
  Json list = Json::array();
  for (const Message& message : messages_) list.push_back({{"role", message.role}, {"content", message.content}});
  const Json json = {{"model", info_.name}, {"messages", list}};
  const std::string text = json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
  OutputFile file(path);
  file.write_at(0, std::as_bytes(std::span(text)));
  file.commit();
  say(formatted("%zu messages saved.", messages_.size()));
}

void Chat::load(const std::string& path) {
  std::vector<Message> loaded;
  try {
    const Json json = Json::parse(read_file(path));
    for (const Json& message : json.at("messages")) {
      loaded.push_back({message.at("role").get<std::string>(), message.at("content").get<std::string>()});
    }
  } catch (const Json::exception&) {
    throw Stop(kFailure, path + " is not a conversation that /save wrote");
  }
  messages_ = std::move(loaded);
  say(formatted("%zu messages loaded.", messages_.size()));
}

void Chat::system(const std::string& text) {
  set_system(text);
  say("The model is told so from the start of the conversation.");
}

void Chat::set_system(const std::string& text) {
  std::erase_if(messages_, [](const Message& message) { return message.role == "system"; });
  if (!text.empty()) messages_.insert(messages_.begin(), {"system", text});
}

void Chat::seed(const std::string& number) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  if (error != std::errc() || end != number.data() + number.size()) throw Stop(kUsage, "a seed is a whole number");
  seed_ = value;
  replies_ = 0;
}

void Chat::temperature(const std::string& number) {
  float value = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  if (error != std::errc() || end != number.data() + number.size() || !(value >= 0)) {
    throw Stop(kUsage, "a temperature is a number from 0 on");
  }
  options_.temperature = value;
}

void Chat::stats(const std::string&) {
  say(speed_text(session_.get()) +
      formatted("; context %u of %u tokens; seed %llu", bitnet_session_position(session_.get()),
                bitnet_session_context(session_.get()), static_cast<unsigned long long>(seed_)));
}

// The conversation as the model reads it, up to where its reply begins.
std::vector<bitnet_token> Chat::prompt() const { return info_.has_chat_template ? templated() : continued(); }

// Without a template: one text, which goes on.
std::vector<bitnet_token> Chat::continued() const {
  std::string text;
  for (const Message& message : messages_) {
    if (message.role == "user" && !text.empty()) text += '\n';
    text += message.content;
  }
  auto tokens = tokenized(model_.get(), text, BITNET_TEXT_BOS_EOS);
  if (!tokens.empty() && tokens.back() == info_.eos) tokens.pop_back();
  return tokens;
}

std::vector<bitnet_token> Chat::templated() const {
  std::vector<bitnet_message> messages;
  for (const Message& message : messages_) {
    messages.push_back({message.role.c_str(), message.content.c_str(), message.content.size()});
  }
  const uint32_t flags = BITNET_CHAT_REPLY | (options_.special ? uint32_t{BITNET_CHAT_TRUST} : 0);
  std::vector<bitnet_token> tokens(bitnet_session_context(session_.get()));  // more would not fit anyway
  size_t count = 0;
  const auto tokenize = [&] {
    return bitnet_chat_tokenize(model_.get(), messages.data(), messages.size(), flags, tokens.data(), tokens.size(),
                                &count);
  };
  bitnet_status status = tokenize();
  tokens.resize(count);
  if (status == BITNET_ERROR_BUFFER) status = tokenize();
  check(status);
  return tokens;
}

// Drops the first message and its answer, unless it is the one to be answered.
bool Chat::forget_oldest() {
  const auto is_said = [](const Message& message) { return message.role != "system"; };
  const auto first = std::find_if(messages_.begin(), messages_.end(), is_said);
  if (messages_.end() - first < 2) return false;
  const auto next = std::find_if(first + 1, messages_.end(), [](const Message& m) { return m.role == "user"; });
  if (next == messages_.end()) return false;
  messages_.erase(first, next);
  return true;
}

// The whole conversation; if it leaves no room for a reply, without its oldest messages.
std::vector<bitnet_token> Chat::prompt_that_fits() {
  const uint32_t context = bitnet_session_context(session_.get());
  const uint32_t room = std::min<uint32_t>(256, context / 4);
  for (bool forgot = false;; forgot = true) {
    auto tokens = prompt();
    if (tokens.size() + room <= context) {
      if (forgot) say("(The oldest messages were forgotten to make room.)");
      return tokens;
    }
    if (!forget_oldest()) {
      if (tokens.size() < context) return tokens;
      throw Stop(kFailure,
                 formatted("the message of %zu tokens does not fit the context of %u; start with -c N for more",
                           tokens.size(), context));
    }
  }
}

void Chat::reply() {
  const auto prompt = prompt_that_fits();
  const int64_t limit = options_.tokens.value_or(info_.has_chat_template ? -1 : 256);
  const Reply reply = stream_reply(session_.get(), prompt, options_, seed_ + replies_++,
                                   limit < 0 ? 0 : static_cast<uint32_t>(limit), BITNET_GENERATE_WHOLE);
  if (!reply.text.ends_with('\n')) write_out("\n");
  if (reply.finish == BITNET_FINISH_CONTEXT) say("(The context is full.)");
  if (reply.interrupted) say("(Stopped.)");
  if (!messages_.empty() && messages_.back().role == "assistant") {
    messages_.back().content += reply.text;
  } else {
    messages_.push_back({"assistant", reply.text});
  }
}

}  // namespace

void chat(const GenerateOptions& options) { Chat(options).converse(); }

}  // namespace bitnet::program
