// SPDX-License-Identifier: MIT
#include "format/hf_tokenizer.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/path.h"
#include "format/json.h"
#include "format/sentencepiece_model.h"
#include "format/tokenizer_json.h"
#include "format/vocabulary_limits.h"

namespace bitnet {
namespace {

constexpr size_t kMaxTokenizerBytes = size_t{64} << 20;
constexpr size_t kMaxConfigBytes = size_t{16} << 20;  // the largest lists its added tokens
constexpr float kUnusedScore = -10000;                // as llama.cpp's converter has it

// One of the small files, which may be missing. Whatever is wrong in it names it.
class ConfigFile {
 public:
  template <typename Body>
  auto read(const Body& body) const {
    return with_path(name_, body);
  }

  ConfigFile(const std::string& folder, const char* name) : name_(name) {
    const std::string path = joined(folder, name);
    if (!exists(path)) return;
    read([&] {
      json_ = read_json(path, kMaxConfigBytes);
      JsonValue(json_).object();
    });
    there_ = true;
  }

  const char* name() const { return name_; }

  // Calls `visit` with what is at the key, if it is there.
  template <typename Visit>
  void visit(const std::string& key, const Visit& visit) const {
    if (!there_) return;
    read([&] {
      if (const auto value = JsonValue(json_).find(key)) visit(*value);
    });
  }

  std::string text(const std::string& key) const {
    std::string out;
    visit(key, [&](const JsonValue& value) { out = value.text(); });
    return out;
  }

  std::optional<bool> truth(const std::string& key) const {
    std::optional<bool> out;
    visit(key, [&](const JsonValue& value) { out = value.truth(); });
    return out;
  }

  // All members of the whole.
  template <typename Visit>
  void each(const Visit& visit) const {
    if (!there_) return;
    read([&] {
      const JsonValue root(json_);
      for (const auto& [key, value] : root.object().items()) {
        if (!value.is_null()) visit(key, root.at(key));
      }
    });
  }

 private:
  const char* name_;
  Json json_;
  bool there_ = false;
};

struct Folder {
  explicit Folder(const std::string& folder)
      : path(folder),
        tokenizer(folder, "tokenizer_config.json"),
        special(folder, "special_tokens_map.json"),
        added(folder, "added_tokens.json"),
        generation(folder, "generation_config.json"),
        model(folder, "config.json"),
        chat(folder, "chat_template.json") {}

  std::string path;
  ConfigFile tokenizer, special, added, generation, model, chat;
};

TokenizerFile read_vocabulary_file(const Folder& folder, const Log& log) {
  constexpr const char *kJson = "tokenizer.json", *kModel = "tokenizer.model";
  const std::string json = joined(folder.path, kJson), model = joined(folder.path, kModel);
  if (exists(json)) {
    return with_path(kJson, [&] { return read_tokenizer_json(read_json(json, kMaxTokenizerBytes), log); });
  }
  require(exists(model), BITNET_ERROR_NOT_FOUND, "there is neither ", kJson, " nor ", kModel,
          "; fetch one of them from where the model comes from");
  return with_path(kModel, [&] {
    const std::string bytes = read_start(model, kMaxTokenizerBytes + 1);
    require(bytes.size() <= kMaxTokenizerBytes, BITNET_ERROR_UNSUPPORTED, "has more than ", kMaxTokenizerBytes,
            " bytes");
    return read_sentencepiece_model(bytes);
  });
}

// --- tokens ---------------------------------------------------------------------------------------------------------

// A special token is its text, or an object with that as "content".
std::string text_of(const JsonValue& value) {
  return std::string(value.is_object() ? value.at("content").text() : value.text());
}

std::string special_text(const Folder& folder, const std::string& name) {
  std::string out;
  for (const ConfigFile* const file : {&folder.tokenizer, &folder.special}) {
    if (out.empty()) file->visit(name, [&](const JsonValue& value) { out = text_of(value); });
  }
  return out;
}

// A number, or several.
std::vector<int64_t> ids_at(const ConfigFile& file, const std::string& key) {
  std::vector<int64_t> out;
  file.visit(key, [&](const JsonValue& value) {
    const auto take = [&](const JsonValue& id) { out.push_back(id.whole(-1, kMaxTokens - 1)); };  // -1: none
    if (!value.is_array()) return take(value);
    if (value.size() > kMaxTokens) value.refuse("fewer elements");
    for (size_t i = 0; i < value.size(); ++i) take(value[i]);
  });
  std::erase(out, int64_t{-1});
  return out;
}

std::optional<int64_t> number_of(std::string_view key) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), number);
  if (error != std::errc() || end != key.data() + key.size()) return std::nullopt;
  return number;
}

void add_tokens(const Folder& folder, const Log& log, TokenizerFile& out) {
  folder.added.each([&](const std::string& text, const JsonValue& id) {
    const bool known = out.tokens.find(text).has_value();
    if (!known) out.tokens.add(id.whole(0, kMaxTokens - 1), text, TokenType::user_defined, id.place());
  });
  folder.tokenizer.visit("added_tokens_decoder", [&](const JsonValue& described) {
    for (const auto& [key, value] : described.object().items()) {
      const auto id = number_of(key);
      require(id.has_value(), BITNET_ERROR_FORMAT, described.place(), ".", key.substr(0, 40), " is no token's number");
      add_described_token(*id, described.at(key), log, out);
    }
  });
}

// The configuration's BOS or EOS is a control token, whatever the vocabulary calls it. Padding may be any token, "!"
// for one, which must stay a part of texts.
Token find_special(const Folder& folder, const std::string& name, const Log& log, TokenizerFile& out) {
  const std::string text = special_text(folder, name);
  if (text.empty()) return kNoToken;
  const auto token = out.tokens.find(text);
  if (!token) {
    say(log, BITNET_LOG_WARNING, joined(folder.path, folder.tokenizer.name()), ": ", name, " is \"",
        text.substr(0, 100), "\", which is not in the vocabulary; it is left out");
    return kNoToken;
  }
  const TokenType type = out.tokens.type(*token);
  const bool delimits = name == "bos_token" || name == "eos_token";
  if (type == TokenType::user_defined || (type == TokenType::normal && delimits)) {
    out.tokens.set_type(*token, TokenType::control);
  }
  return *token;
}

Token first_id(const ConfigFile& file, const std::string& key, const TokenList& tokens) {
  const std::vector<int64_t> ids = ids_at(file, key);
  return ids.empty() || !tokens.has(ids.front()) ? kNoToken : static_cast<Token>(ids.front());
}

void read_special_tokens(const Folder& folder, const Log& log, TokenizerFile& file) {
  fb::TokenizerT& out = file.tokenizer;
  out.bos = find_special(folder, "bos_token", log, file);
  out.eos = find_special(folder, "eos_token", log, file);
  out.unknown = find_special(folder, "unk_token", log, file);
  out.padding = find_special(folder, "pad_token", log, file);
  if (out.unknown == kNoToken && file.unknown) out.unknown = file.tokens.find(*file.unknown).value_or(kNoToken);
  for (const ConfigFile* const config : {&folder.generation, &folder.model}) {
    if (out.bos == kNoToken) out.bos = first_id(*config, "bos_token_id", file.tokens);
    if (out.eos == kNoToken) out.eos = first_id(*config, "eos_token_id", file.tokens);
    if (out.padding == kNoToken) out.padding = first_id(*config, "pad_token_id", file.tokens);
  }
}

void add_end(int64_t token, fb::TokenizerT& out) {
  const bool known = token == out.eos || std::ranges::find(out.end_tokens, token) != out.end_tokens.end();
  if (!known) out.end_tokens.push_back(static_cast<Token>(token));
}

void read_end_tokens(const Folder& folder, size_t vocabulary, fb::TokenizerT& out) {
  for (const ConfigFile* const config : {&folder.generation, &folder.model}) {
    for (const int64_t token : ids_at(*config, "eos_token_id")) {
      config->read([&] {
        require(static_cast<size_t>(token) < vocabulary, BITNET_ERROR_FORMAT, "eos_token_id names token ", token,
                ", outside the vocabulary of ", vocabulary);
      });
      add_end(token, out);
    }
  }
}

// --- what encoding puts around a text -------------------------------------------------------------------------------

// transformers' classes for the SentencePiece tokenizers of these families go by their own options, whatever
// tokenizer.json says.
bool goes_by_options(const Folder& folder) {
  const std::string name = folder.tokenizer.text("tokenizer_class");
  return name.starts_with("Llama") || name.starts_with("CodeLlama") || name.starts_with("Gemma");
}

void read_additions(const Folder& folder, bool has_template, TokenizerFile& file) {
  fb::TokenizerT& out = file.tokenizer;
  if (!has_template || goes_by_options(folder)) {
    file.front.reset();
    file.back.reset();
    if (out.bos != kNoToken && folder.tokenizer.truth("add_bos_token").value_or(true)) file.front = out.bos;
    if (out.eos != kNoToken && folder.tokenizer.truth("add_eos_token").value_or(false)) file.back = out.eos;
  }
  out.add_bos = file.front.has_value();
  out.add_eos = file.back.has_value();
  if (file.front) out.bos = *file.front;
  if (!file.back || *file.back == out.eos) return;
  const Token configured = std::exchange(out.eos, *file.back);
  if (configured != kNoToken) add_end(configured, out);
}

// --- chat template --------------------------------------------------------------------------------------------------

// Several come as a list of {"name": ..., "template": ...}; transformers takes the one named "default".
std::string template_at(const JsonValue& value, const Log& log) {
  if (!value.is_array()) return std::string(value.text());
  std::string first;
  for (size_t i = 0; i < value.size(); ++i) {
    const std::string_view text = value[i].at("template").text();
    if (value[i].at("name").text() == "default") return std::string(text);
    if (i == 0) first = text;
  }
  if (!first.empty()) {
    say(log, BITNET_LOG_WARNING, value.place(), " has no template named default; the first of them is taken");
  }
  return first;
}

std::string find_chat_template(const Folder& folder, const Log& log) {
  constexpr const char* kJinja = "chat_template.jinja";
  const std::string file = joined(folder.path, kJinja);
  if (exists(file)) return with_path(kJinja, [&] { return read_start(file, kMaxTemplateBytes + 1); });
  std::string out;
  for (const ConfigFile* const config : {&folder.chat, &folder.tokenizer}) {
    if (out.empty()) config->visit("chat_template", [&](const JsonValue& value) { out = template_at(value, log); });
  }
  return out;
}

// A model without its template can still continue texts, so that an odd one does not refuse the folder.
std::string read_chat_template(const Folder& folder, const Log& log) {
  std::string out;
  try {
    out = find_chat_template(folder, log);
  } catch (const Error& error) {
    say(log, BITNET_LOG_WARNING, folder.path, ": ", error.what(), "; the model is taken to have no chat template");
  }
  if (out.size() <= kMaxTemplateBytes) return out;
  say(log, BITNET_LOG_WARNING, folder.path, ": the chat template has more than ", kMaxTemplateBytes,
      " bytes; the model is taken to have none");
  return "";
}

}  // namespace

HfTokenizer read_hf_tokenizer(const std::string& path, uint32_t vocabulary, const Log& log) {
  const Folder folder(path);
  TokenizerFile file = read_vocabulary_file(folder, log);
  fb::TokenizerT& out = file.tokenizer;
  const bool has_template = out.scores.empty();  // SentencePiece's own file says nothing of what stands around a text
  add_tokens(folder, log, file);
  read_special_tokens(folder, log, file);
  file.tokens.write(vocabulary, out);
  if (!out.scores.empty()) out.scores.resize(out.ends.size(), kUnusedScore);
  read_additions(folder, has_template, file);
  read_end_tokens(folder, out.ends.size(), out);
  return {std::make_unique<fb::TokenizerT>(std::move(out)), read_chat_template(folder, log)};
}

}  // namespace bitnet
