// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <numbers>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "commands.h"
#include "options.h"
#include "terminal.h"
#include "text_input.h"

namespace bitnet::program {

namespace {

using Json = nlohmann::ordered_json;
using Tokens = std::vector<bitnet_token>;

struct Options {
  ModelOptions model;
  SessionOptions session;
  std::string file, tokens_file, separator;
  uint32_t window = 512, skip = 0, windows = 0;
  bool end_token = false, special = false, json = false;
};

// What is scored: documents without their begin token.
struct Corpus {
  std::vector<Tokens> documents;
  uint64_t bytes = 0;  // of text; 0 where only tokens are known
};

struct Score {
  double loss = 0, squares = 0;  // sums over the tokens: negative log likelihood in nats, and its square
  uint64_t tokens = 0, windows = 0;

  double mean() const { return loss / static_cast<double>(tokens); }
  double perplexity() const { return std::exp(mean()); }
  // Standard error of the perplexity, taking tokens as independent draws.
  double error() const {
    const auto n = static_cast<double>(tokens);
    const double variance = std::max(0.0, squares / n - mean() * mean());
    return perplexity() * std::sqrt(variance / n);
  }
};

std::vector<std::string> split(const std::string& text, const std::string& separator) {
  if (separator.empty()) return {text};
  std::vector<std::string> parts;
  size_t at = 0;
  for (size_t next; (next = text.find(separator, at)) != text.npos; at = next + separator.size()) {
    parts.push_back(text.substr(at, next - at));
  }
  parts.push_back(text.substr(at));
  std::erase(parts, "");
  return parts;
}

// The token that the model expects before a text; BITNET_NO_TOKEN where it expects none, though it may have a begin
// token.
bitnet_token text_begin(const bitnet_model* model) {
  return texts_begin_with_token(model) ? model_info(model).bos : bitnet_token{BITNET_NO_TOKEN};
}

// It is put before each window anyway.
Tokens without_begin_token(Tokens document, bitnet_token begin) {
  if (begin != BITNET_NO_TOKEN && !document.empty() && document.front() == begin) document.erase(document.begin());
  return document;
}

Corpus split_text(const Options& options, const std::string& text, const bitnet_model* model) {
  Corpus corpus;
  const bitnet_model_info info = model_info(model);
  const uint32_t flags = options.special ? uint32_t{BITNET_TEXT_SPECIAL} : 0;
  for (const std::string& document : split(text, options.separator)) {
    corpus.bytes += document.size();
    Tokens tokens = tokenized(model, document, flags);
    const bool ended = !tokens.empty() && tokens.back() == info.eos;
    if (options.end_token && !ended && info.eos != BITNET_NO_TOKEN) tokens.push_back(info.eos);
    corpus.documents.push_back(without_begin_token(std::move(tokens), text_begin(model)));
  }
  return corpus;
}

// A JSON list of documents, each a list of token numbers, or a single such document.
Corpus read_tokens(const Options& options, const std::string& text, const bitnet_model* model) {
  Corpus corpus;
  try {
    const auto json = Json::parse(text);
    if (!json.empty() && json.front().is_number()) {
      corpus.documents.push_back(json.get<Tokens>());
    } else {
      corpus.documents = json.get<std::vector<Tokens>>();
    }
  } catch (const Json::exception& error) {
    throw Stop(kFailure, options.tokens_file + " is not a JSON list of lists of token numbers: " + error.what());
  }
  for (Tokens& document : corpus.documents) document = without_begin_token(std::move(document), text_begin(model));
  return corpus;
}

using Window = std::span<const bitnet_token>;

// No window spans documents.
std::vector<Window> cut(const Corpus& corpus, const Options& options) {
  std::vector<Window> windows;
  for (const Tokens& document : corpus.documents) {
    for (size_t at = 0; at < document.size(); at += options.window) {
      if (options.windows > 0 && windows.size() == options.windows) return windows;
      windows.push_back(Window(document).subspan(at, std::min<size_t>(options.window, document.size() - at)));
    }
  }
  return windows;
}

// -log of the softmax of the logits at `token`.
double loss_of(const float* logits, size_t vocabulary, bitnet_token token) {
  const float largest = *std::max_element(logits, logits + vocabulary);
  double sum = 0;
  for (size_t i = 0; i < vocabulary; ++i) sum += std::exp(static_cast<double>(logits[i]) - largest);
  return std::log(sum) - (static_cast<double>(logits[static_cast<size_t>(token)]) - largest);
}

class Evaluation {
 public:
  Evaluation(bitnet_model* model, const Options& options)
      : vocabulary_(model_info(model).vocabulary),
        begin_(text_begin(model)),
        skip_(options.skip),
        session_(make_session(model, options.window, options.session)) {}

  // Scores a window by itself: each token but the first `skip` is predicted from the begin token and those before it in
  // the window. Where texts begin with no token, nothing predicts the first.
  void add(Window window) {
    Tokens input;
    if (begin_ != BITNET_NO_TOKEN) input.push_back(begin_);
    const size_t predicted = 1 - input.size();  // the token that the first of the input predicts
    const size_t scored = std::max(skip_, predicted);
    if (scored >= window.size()) return;
    input.insert(input.end(), window.begin(), window.end() - 1);
    check(bitnet_session_rewind(session_.get(), 0));
    size_t at = scored - predicted;
    if (at > 0) check(bitnet_eval(session_.get(), input.data(), at, BITNET_LOGITS_NONE));
    constexpr size_t step = 64;  // bounds the memory for logits
    for (; at < input.size(); at += step) {
      add_step(input.data() + at, window.data() + predicted + at, std::min(step, input.size() - at));
    }
    ++score_.windows;
  }

  const Score& score() const { return score_; }

 private:
  void add_step(const bitnet_token* input, const bitnet_token* expected, size_t count) {
    check(bitnet_eval(session_.get(), input, count, BITNET_LOGITS_ALL));
    for (size_t i = 0; i < count; ++i) {
      if (expected[i] < 0 || static_cast<uint32_t>(expected[i]) >= vocabulary_) {
        throw Stop(kFailure, formatted("token %d is not among the model's %u", expected[i], vocabulary_));
      }
      const float* logits = nullptr;
      check(bitnet_session_logits(session_.get(), i, &logits));
      const double loss = loss_of(logits, vocabulary_, expected[i]);
      score_.loss += loss;
      score_.squares += loss * loss;
      ++score_.tokens;
    }
  }

  uint32_t vocabulary_;
  bitnet_token begin_;
  size_t skip_;
  Session session_;
  Score score_;
};

void report(const Options& options, const Score& score, const Corpus& corpus, double seconds) {
  const double rate = static_cast<double>(score.tokens) / seconds;
  // Of a whole text only.
  const bool all = corpus.bytes > 0 && options.skip == 0 && options.windows == 0;
  const double bits_per_byte = all ? score.loss / std::numbers::ln2 / static_cast<double>(corpus.bytes) : 0;
  if (options.json) {
    Json json = {{"perplexity", score.perplexity()},
                 {"standard_error", score.error()},
                 {"loss", score.mean()},
                 {"tokens", score.tokens},
                 {"windows", score.windows},
                 {"window", options.window},
                 {"skipped", options.skip},
                 {"documents", corpus.documents.size()}};
    if (all) json["bits_per_byte"] = bits_per_byte;
    json["seconds"] = seconds;
    json["tokens_per_second"] = rate;
    return write_out(json.dump(1) + "\n");
  }
  std::string text =
      formatted("perplexity %.4f +- %.4f  (loss %.5f per token", score.perplexity(), score.error(), score.mean());
  if (all) text += formatted(", %.4f bits per byte", bits_per_byte);
  text += formatted(")\n%s tokens in %s windows of %u, %s, %.1f tokens/s\n", count_text(score.tokens).c_str(),
                    count_text(score.windows).c_str(), options.window, duration_text(seconds).c_str(), rate);
  write_out(text);
}

void perplexity(const Options& options) {
  if (options.file.empty() && options.tokens_file.empty()) throw Stop(kUsage, "give a text with -f or --tokens-file");
  if (options.skip >= options.window) {
    throw Stop(kUsage,
               formatted("--skip %u leaves nothing of a window of %u tokens (--window)", options.skip, options.window));
  }
  const bool has_tokens = options.file.empty();
  const std::string text = read_text_file(has_tokens ? options.tokens_file : options.file, options.model.quiet);
  const Model model = open_model(options.model);
  const Corpus corpus = has_tokens ? read_tokens(options, text, model.get()) : split_text(options, text, model.get());
  const std::vector<Window> windows = cut(corpus, options);
  size_t total = 0, done = 0;
  for (const Window& window : windows) total += window.size();

  const Stopwatch time;
  ProgressBar bar("scoring", ProgressBar::Unit::tokens);
  Evaluation evaluation(model.get(), options);
  for (const Window& window : windows) {
    evaluation.add(window);
    bar.update(done += window.size(), total);
  }
  bar.clear();
  if (evaluation.score().tokens == 0) throw Stop(kFailure, "there is nothing to score: the text has no tokens");
  report(options, evaluation.score(), corpus, time.seconds());
}

}  // namespace

void add_perplexity(CLI::App& program) {
  auto options = std::make_shared<Options>();
  CLI::App* command = program.add_subcommand("perplexity", "Measure how well a model predicts a text");
  add_model_options(*command, options->model, true);
  constexpr const char* input = "Input (one of)";
  auto* file = command->add_option("-f,--file", options->file, "Text to score; -: standard input")
                   ->check(not_empty())
                   ->option_text("FILE")
                   ->group(input);
  command->add_option("--tokens-file", options->tokens_file, "JSON: a list of documents, each a list of token numbers")
      ->check(not_empty())
      ->option_text("FILE")
      ->excludes(file)
      ->group(input);
  command->add_option("--document-separator", options->separator, "Text between two documents of FILE")
      ->option_text("TEXT");
  command->add_flag("--end-token", options->end_token, "Each document of FILE ends with the model's end token");
  command->add_flag("--special", options->special, "FILE may name control tokens");
  add_number<uint32_t>(*command, "--window", options->window, "Tokens scored together (512)", 2, 1 << 20);
  add_number<uint32_t>(*command, "--skip", options->skip, "Tokens at the start of each window that are not scored (0)",
                       0, 1 << 20);
  add_number<uint32_t>(*command, "--windows", options->windows, "Only the first N windows (0: all)", 0, 1 << 30);
  add_session_options(*command, options->session);
  command->add_flag("--json", options->json, "As JSON");
  command->footer(
      "Each document is cut into windows. Each window is scored by itself: the begin token is put before it if texts\n"
      "of the model begin so, and every token is predicted from those before it. The perplexity is exp(mean negative\n"
      "log likelihood).\n\n"
      "Examples:\n"
      "  bitnet perplexity -f chapter.txt\n"
      "  bitnet perplexity -m model.bitnet --tokens-file heldout.json --json");
  command->callback([options] { perplexity(*options); });
}

}  // namespace bitnet::program
