// SPDX-License-Identifier: MIT
#include "text/chat_template_choice.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "text/known_templates.h"
#include "text/utf8.h"

namespace bitnet {
namespace {

// bitnet.cpp's converter writes one and the same template into every file whose architecture is named "bitnet...", the
// official BitNet b1.58 2B-4T among them: "Human: ...\n\nBITNETAssistant: " and the end token. No model was trained on
// it. With it, 2B-4T does not end its turns.
constexpr std::string_view kMistake = "BITNETAssistant";
constexpr const char* kStandIn = "bitnet";

constexpr size_t kMaxFileBytes = size_t{1} << 20;  // published templates have up to 100 kB
constexpr std::string_view kBom = "\xEF\xBB\xBF";

bool is_jinja(std::string_view text) { return text.find("{{") != text.npos || text.find("{%") != text.npos; }

std::string shown(const std::string& option) {
  constexpr size_t kLongest = 100;
  if (is_jinja(option)) return "the chat template given as text";
  return "chat template \"" + option.substr(0, valid_utf8_prefix(option.substr(0, kLongest))) + '"';
}

[[noreturn]] void fail_unknown(const std::string& option, const char* problem) {
  std::string names;
  for (const KnownTemplate& known : known_templates()) names += std::string(names.empty() ? "" : ", ") + known.name;
  fail(BITNET_ERROR_ARGUMENT, shown(option), " is neither a known template (", names,
       ") nor Jinja source nor a file that can be read (", problem, ")");
}

std::string read_file(const std::string& path) {
  std::string text;
  try {
    text = read_start(path, kMaxFileBytes + 1);
  } catch (const Error& error) {
    fail_unknown(path, error.what());
  }
  require(text.size() <= kMaxFileBytes, BITNET_ERROR_ARGUMENT, shown(path), " has more than ", kMaxFileBytes,
          " bytes; it is no chat template");
  return text;
}

void require_text(const std::string& option, std::string_view text) {
  require(!text.empty(), BITNET_ERROR_ARGUMENT, shown(option), " is empty");
  require(!text.starts_with("\xFF\xFE") && !text.starts_with("\xFE\xFF"), BITNET_ERROR_ARGUMENT, shown(option),
          " is UTF-16; save it as UTF-8");
  const size_t valid = std::min(valid_utf8_prefix(text), text.find('\0'));
  if (valid >= text.size()) return;
  fail(BITNET_ERROR_ARGUMENT, shown(option), " is not UTF-8 text: byte ", valid, " is ",
       static_cast<int>(static_cast<unsigned char>(text[valid])));
}

bool has_piece(const Vocabulary& vocabulary, std::string_view wanted) {
  for (size_t i = 0; i < vocabulary.pieces.size(); ++i) {
    if (vocabulary.pieces[i] == wanted) return true;
  }
  return false;
}

void warn_of_missing_tokens(const KnownTemplate& known, const Vocabulary& vocabulary, const Log& log) {
  for (const std::string_view token : known.tokens) {
    if (has_piece(vocabulary, token)) continue;
    return say(log, BITNET_LOG_WARNING, "the chat template \"", known.name, "\" writes ", token,
               ", which is no token of this model: it was made for others");
  }
}

ChatTemplateChoice own_template(const Vocabulary& vocabulary, const Log& log) {
  if (vocabulary.chat_template.empty()) return {};
  if (vocabulary.chat_template.find(kMistake) == std::string_view::npos) {
    return {std::string(vocabulary.chat_template), "file"};
  }
  const KnownTemplate& known = *find_known_template(kStandIn);
  const bool fits =
      std::ranges::all_of(known.tokens, [&](std::string_view token) { return has_piece(vocabulary, token); });
  if (!fits) {
    say(log, BITNET_LOG_WARNING,
        "the file's chat template is a mistake of bitnet.cpp's converter (\"BITNETAssistant\"); it is not used, and "
        "the model has none");
    return {};
  }
  say(log, BITNET_LOG_INFO,
      "the file's chat template is a mistake of bitnet.cpp's converter (\"BITNETAssistant\"); the known template "
      "\"bitnet\" is used in its place");
  return {known.source, known.name};
}

}  // namespace

std::string read_chat_template(const std::string& option, const Log& log) {
  if (const KnownTemplate* known = find_known_template(option)) return known->source;
  std::string text = is_jinja(option) ? option : read_file(option);
  require_text(option, text);
  if (text.starts_with(kBom)) {
    text.erase(0, kBom.size());
    say(log, BITNET_LOG_WARNING, shown(option), " begins with a byte order mark, which was left out");
  }
  return text;
}

ChatTemplateChoice choose_chat_template(const std::string& option, const Vocabulary& vocabulary, const Log& log) {
  if (option.empty()) return own_template(vocabulary, log);
  if (const KnownTemplate* known = find_known_template(option)) warn_of_missing_tokens(*known, vocabulary, log);
  return {read_chat_template(option, log), "option"};
}

std::unique_ptr<const ChatTemplate> parse_chat_template(const std::string& option, const std::string& source) {
  try {
    return std::make_unique<const ChatTemplate>(source);
  } catch (const Error& error) {
    fail(error.status(), shown(option), ": ", error.what());
  }
}

}  // namespace bitnet
