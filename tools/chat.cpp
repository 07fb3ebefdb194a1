// SPDX-License-Identifier: MIT
#include "chat.h"

#include <algorithm>
#include <array>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/path.h"
#include "line_editor.h"
#include "terminal.h"
#include "text/utf8.h"
#include "text_input.h"

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

std::vector<Message> messages_in(const Json& json) {
  std::vector<Message> messages;
  for (const Json& message : json.at("messages")) {
    messages.push_back({message.at("role").get<std::string>(), message.at("content").get<std::string>()});
  }
  return messages;
}

// Reading ends where the file is no JSON: in a model, at once.
bool is_conversation(const std::string& path) {
  if (path_kind(path) != PathKind::file) return false;
  try {
    const MappedFile file(path);
    const auto* const text = reinterpret_cast<const char*>(file.bytes().data());
    messages_in(Json::parse(text, text + file.bytes().size()));
    return true;
  } catch (const Json::exception&) {
    return false;
  } catch (const Error&) {  // it is empty, or cannot be read
    return false;
  }
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
  void reply();
  std::vector<bitnet_token> prompt() const;
  std::vector<bitnet_token> continued() const;
  std::vector<bitnet_token> templated() const;
  std::vector<size_t> beginnings() const;
  std::vector<bitnet_token> prompt_that_fits();
  std::vector<bitnet_token> that_fits_alone(std::vector<bitnet_token> tokens) const;

  GenerateOptions options_;
  const bool interactive_;
  std::unique_ptr<LineEditor> editor_;  // before the model, so that what is typed while it opens is not cut
  Model model_;
  bitnet_model_info info_;
  Session session_;
  InputLines lines_;
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
  if (line.empty() && (info_.has_chat_template || messages_.empty())) return;
  const std::vector<Message> before = messages_;
  try {
    if (message.starts_with('/')) return obey(line);
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
  throw Stop(kUsage, "there is no command " + shortened(name, 40) + "; /help lists them");
}

void Chat::help(const std::string&) {
  for (const Command& command : kCommands) {
    say(formatted("  %-15s %s", (std::string(command.name) + " " + command.argument).c_str(), command.help));
  }
  say("  A line that ends in \\ goes on in the next. A message that begins with / takes a space before it.");
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
  if (exists(path) && !is_conversation(path)) {
    throw Stop(kFailure, path + " exists and is not a conversation; choose another name");
  }
  Json list = Json::array();
  for (const Message& message : messages_) list.push_back({{"role", message.role}, {"content", message.content}});
  const Json json = {{"model", info_.name}, {"messages", list}};
  const std::string text = json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
  const auto is_odd = [](const Message& message) {
    return valid_utf8_prefix(message.content) < message.content.size();
  };
  if (std::any_of(messages_.begin(), messages_.end(), is_odd)) say("(Bytes that are not UTF-8 are saved as U+FFFD.)");
  OutputFile file(path);
  file.write_at(0, std::as_bytes(std::span(text)));
  file.commit();
  say(formatted("%zu messages saved.", messages_.size()));
}

void Chat::load(const std::string& path) {
  std::vector<Message> loaded;
  try {
    const Json json = Json::parse(read_text_file(path, options_.model.quiet));
    loaded = messages_in(json);
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
    messages.push_back({sizeof(bitnet_message), message.role.c_str(), message.content.c_str(), message.content.size()});
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

// The messages from which on the conversation can be kept: the first one, and every later one of the user.
std::vector<size_t> Chat::beginnings() const {
  std::vector<size_t> found;
  for (size_t i = 0; i < messages_.size(); ++i) {
    const std::string& role = messages_[i].role;
    if (role == "user" || (found.empty() && role != "system")) found.push_back(i);
  }
  return found;
}

// The whole conversation; if it leaves no room for a reply, without as few of its oldest messages as do.
std::vector<bitnet_token> Chat::prompt_that_fits() {
  const uint32_t context = bitnet_session_context(session_.get());
  const uint32_t room = std::min<uint32_t>(256, context / 4);
  const auto fits = [&](const std::vector<bitnet_token>& tokens) { return tokens.size() + room <= context; };
  auto tokens = prompt();
  const std::vector<size_t> begin = beginnings();
  if (fits(tokens) || begin.size() < 2) return that_fits_alone(std::move(tokens));

  const std::vector<Message> all = std::move(messages_);
  const auto prompt_from = [&](size_t first) {
    messages_.clear();
    for (size_t i = 0; i < all.size(); ++i) {
      if (i >= first || all[i].role == "system") messages_.push_back(all[i]);
    }
    return prompt();
  };
  tokens = prompt_from(begin.back());
  size_t too_early = 0, late_enough = begin.size() - 1;
  if (fits(tokens)) {
    while (late_enough - too_early > 1) {
      const size_t middle = too_early + (late_enough - too_early) / 2;
      (fits(prompt_from(begin[middle])) ? late_enough : too_early) = middle;
    }
    tokens = prompt_from(begin[late_enough]);
  }
  tokens = that_fits_alone(std::move(tokens));
  say("(The oldest messages were forgotten to make room.)");
  return tokens;
}

// A message for which there is little room is still better than none.
std::vector<bitnet_token> Chat::that_fits_alone(std::vector<bitnet_token> tokens) const {
  const uint32_t context = bitnet_session_context(session_.get());
  if (tokens.size() < context) return tokens;
  throw Stop(kFailure, formatted("the message of %zu tokens does not fit the context of %u; start with -c N for more",
                                 tokens.size(), context));
}

void Chat::reply() {
  const auto prompt = prompt_that_fits();
  const int64_t limit = options_.tokens.value_or(info_.has_chat_template ? -1 : 256);
  const Reply reply = stream_reply(session_.get(), prompt, options_, seed_ + replies_++,
                                   limit < 0 ? 0 : static_cast<uint32_t>(limit), BITNET_GENERATE_WHOLE);
  if (!reply.text.ends_with('\n')) write_out("\n");
  if (reply.finish == BITNET_FINISH_CONTEXT) say("(The context is full.)");
  if (reply.interrupted) say("(Stopped.)");
  if (reply.interrupted && editor_) editor_->forget_pending();
  if (!messages_.empty() && messages_.back().role == "assistant") {
    messages_.back().content += reply.text;
  } else {
    messages_.push_back({"assistant", reply.text});
  }
}

}  // namespace

void chat(const GenerateOptions& options) { Chat(options).converse(); }

}  // namespace bitnet::program
