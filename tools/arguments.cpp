// SPDX-License-Identifier: MIT
#include "arguments.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "handles.h"
#include "terminal.h"

namespace bitnet::program {

namespace {

// Options of bitnet.cpp and llama.cpp that have several letters after a single dash, and what they are here.
struct Alias {
  std::string_view word, meaning;
};
constexpr std::array kAliases = {Alias{"-cnv", "--conversation"}, Alias{"-sys", "--system"},
                                 Alias{"-temp", "--temperature"}};

// Options that scripts for bitnet.cpp and llama.cpp pass on, and that have nothing to set here.
struct Foreign {
  std::string_view word;
  bool takes_value;
  std::string_view silent;  // the value that asks for what happens anyway
  std::string_view why;
};
constexpr std::string_view kNoGpu = "the program computes on the CPU";
constexpr std::string_view kBatches =
    "the library chooses how many tokens it computes at once, and results do not depend on it";
constexpr std::array kForeign = {Foreign{"-ngl", true, "0", kNoGpu},
                                 Foreign{"--gpu-layers", true, "0", kNoGpu},
                                 Foreign{"--n-gpu-layers", true, "0", kNoGpu},
                                 Foreign{"-b", true, "", kBatches},
                                 Foreign{"--batch-size", true, "", kBatches},
                                 Foreign{"-ub", true, "", kBatches},
                                 Foreign{"--ubatch-size", true, "", kBatches},
                                 Foreign{"-cb", false, "", kBatches},
                                 Foreign{"--cont-batching", false, "", kBatches}};

class Reader {
 public:
  Reader(const CLI::App& command, const std::vector<std::string>& given) : command_(command), given_(given) {}

  Arguments read() {
    for (at_ = 1; at_ < given_.size(); ++at_) {
      const std::string& word = given_[at_];
      if (word == "--") {
        arguments_.words.insert(arguments_.words.end(), given_.begin() + static_cast<std::ptrdiff_t>(at_),
                                given_.end());
        break;
      }
      if (read_foreign(word)) continue;
      if (word.starts_with("--")) {
        read_long(word);
      } else if (is_single_dash(word)) {
        read_short(word);
      } else {
        add(word);
      }
    }
    if (quiet_) arguments_.notes.clear();
    return std::move(arguments_);
  }

 private:
  // "-1" is a number.
  static bool is_single_dash(std::string_view word) {
    return word.size() > 1 && word[0] == '-' && word[1] != '.' && !(word[1] >= '0' && word[1] <= '9');
  }

  const CLI::Option* option(const std::string& name) const { return command_.get_option_no_throw(name); }
  const CLI::Option* short_option(char letter) const { return option(std::string("-") + letter); }
  static bool takes_value(const CLI::Option& option) { return option.get_expected_min() > 0; }

  void add(std::string word) {
    quiet_ = quiet_ || word == "-q" || word == "--quiet";
    arguments_.words.push_back(std::move(word));
  }

  // A value is never looked at, also if it reads "-q".
  void add_with_value(const std::string& name, const std::string& value) {
    arguments_.words.insert(arguments_.words.end(), {name, value});
  }

  void add_with_next(const std::string& name) {
    if (at_ + 1 < given_.size()) return add_with_value(name, given_[++at_]);
    arguments_.words.push_back(name);
  }

  bool read_foreign(const std::string& word) {
    const bool generates = option("--temperature"), measures = option("--n-gen");
    if (!generates && !measures) return false;
    const size_t equals = std::min(word.find('='), word.size());
    const auto same = [&](const Foreign& foreign) { return foreign.word == word.substr(0, equals); };
    const auto foreign = std::find_if(kForeign.begin(), kForeign.end(), same);
    if (foreign == kForeign.end()) return false;
    std::string value = equals < word.size() ? word.substr(equals + 1) : "";
    if (foreign->takes_value && equals == word.size()) {
      if (at_ + 1 == given_.size()) throw Stop(kUsage, word + " needs a number");
      value = given_[++at_];
    }
    if (foreign->takes_value && value == foreign->silent) return true;
    arguments_.notes.push_back(std::string(foreign->word) + (value.empty() ? "" : " " + value) +
                               " has no effect: " + std::string(foreign->why));
    return true;
  }

  // "--name", "--name=value". The parser would take the next word for the value of "--name=".
  void read_long(const std::string& word) {
    const size_t equals = std::min(word.find('='), word.size());
    const std::string name = word.substr(0, equals);
    const CLI::Option* known = option(name);
    if (!known || !takes_value(*known)) return add(word);
    equals == word.size() ? add_with_next(name) : add_with_value(name, word.substr(equals + 1));
  }

  // "-n 5", "-n5", "-n=5", "-temp=0.5", "-qv".
  void read_short(const std::string& word) {
    const size_t equals = std::min(word.find('='), word.size());
    for (const Alias& alias : kAliases) {
      const std::string meaning(alias.meaning);
      if (word.substr(0, equals) == alias.word && option(meaning)) return read_long(meaning + word.substr(equals));
    }
    const CLI::Option* first = short_option(word[1]);
    if (word.size() > 2 && equals == 2 && first && takes_value(*first))
      return add_with_value(word.substr(0, 2), word.substr(3));
    if (word.size() == 2) return first && takes_value(*first) ? add_with_next(word) : add(word);
    const std::string rest = word.substr(2);
    if (first && takes_value(*first) && is_numbers(rest)) return add_with_value(word.substr(0, 2), rest);
    const auto is_flag = [&](char letter) {
      const CLI::Option* flag = short_option(letter);
      return flag && !takes_value(*flag);
    };
    if (!std::all_of(word.begin() + 1, word.end(), is_flag)) refuse(word, first);
    for (const char letter : word.substr(1)) add(std::string("-") + letter);
  }

  static bool is_numbers(std::string_view text) {
    return text.find_first_not_of("0123456789.,-+eE") == text.npos && text.find_first_of("0123456789") <= 1;
  }

  [[noreturn]] void refuse(const std::string& word, const CLI::Option* first) const {
    std::string advice = "; see `bitnet " + command_.get_name() + " --help`";
    const std::string name = word.substr(0, word.find('='));
    if (option("-" + name)) {
      advice = "; write -" + name;
    } else if (name == "-tb") {
      advice = "; -t is for the prompt, and --generation-threads says how many of these threads generate";
    } else if (first && takes_value(*first)) {
      advice = "; write a space before the value of " + word.substr(0, 2) + advice;
    }
    throw Stop(kUsage, "there is no option " + shortened(word, 40) + advice);
  }

  const CLI::App& command_;
  const std::vector<std::string>& given_;
  size_t at_ = 0;
  bool quiet_ = false;
  Arguments arguments_;
};

}  // namespace

Arguments read_arguments(const CLI::App& program, const std::vector<std::string>& given) {
  for (const CLI::App* command : program.get_subcommands({})) {
    if (!given.empty() && command->get_name() == given[0]) {
      Arguments arguments = Reader(*command, given).read();
      arguments.words.insert(arguments.words.begin(), given[0]);
      return arguments;
    }
  }
  return {given, {}};
}

}  // namespace bitnet::program
