// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <numbers>
#include <string>
#include <vector>

#include "base/path.h"
#include "bench/parts.h"
#include "commands.h"
#include "perplexity/evaluation.h"
#include "table.h"
#include "terminal.h"
#include "text_input.h"

namespace bitnet::program {

namespace {

using Json = nlohmann::ordered_json;

struct Options {
  ModelOptions model;
  SessionOptions session;
  std::vector<std::string> files, compare;
  std::string tokens_file;
  CorpusOptions corpus;
  WindowOptions windows;
  bool json = false;
};

// A text, and what each variant makes of it.
struct TextResult {
  std::string path;
  size_t documents;
  uint64_t bytes;  // of a text that was scored whole; else 0
  std::vector<Score> scores;
  std::vector<Distance> distances;
  double seconds;
};

double bits_per_byte(const TextResult& result, const Score& score) {
  return score.loss / std::numbers::ln2 / static_cast<double>(result.bytes);
}

constexpr double kNormal95 = 1.959964;  // of a normal distribution, 95 % lie within so many standard deviations

Json score_json(const Options& options, const TextResult& result, const Score& score) {
  Json json = {{"perplexity", score.perplexity()},
               {"standard_error", score.error()},
               {"confidence_95",
                {std::exp(score.mean() - kNormal95 * score.mean_error()),
                 std::exp(score.mean() + kNormal95 * score.mean_error())}},
               {"loss", score.mean()},
               {"tokens", score.tokens},
               {"windows", score.windows},
               {"window", options.windows.length},
               {"stride", options.windows.stride ? Json(options.windows.stride) : Json(nullptr)},
               {"skipped", options.windows.skip},
               {"documents", result.documents}};
  if (result.bytes > 0) json["bits_per_byte"] = bits_per_byte(result, score);
  json["seconds"] = result.seconds;
  json["tokens_per_second"] = static_cast<double>(score.tokens) / result.seconds;
  return json;
}

Json text_json(const Options& options, const std::vector<Variant>& variants, const TextResult& result) {
  Json json = score_json(options, result, result.scores.front());
  json["file"] = result.path;
  for (size_t i = 1; i < variants.size(); ++i) {
    Json other = score_json(options, result, result.scores[i]);
    other["name"] = variants[i].name;
    other["kl_divergence"] = result.distances[i].mean_divergence();
    other["largest_kl_divergence"] = result.distances[i].largest;
    other["equal_top_tokens"] = result.distances[i].equal_share();
    json["compared"].push_back(std::move(other));
  }
  return json;
}

std::string comparison_text(const std::vector<Variant>& variants, const TextResult& result) {
  Cells cells = {{"model", "perplexity", "+-", "of first", "KL divergence", "largest", "equal top tokens"}};
  for (size_t i = 0; i < variants.size(); ++i) {
    const Score& score = result.scores[i];
    const Distance& distance = result.distances[i];
    cells.push_back({variants[i].name, formatted("%.4f", score.perplexity()), formatted("%.4f", score.error()),
                     formatted("%.5f", score.perplexity() / result.scores.front().perplexity()),
                     i == 0 ? "-" : formatted("%.6f", distance.mean_divergence()),
                     i == 0 ? "-" : formatted("%.4f", distance.largest),
                     i == 0 ? "-" : formatted("%.3f %%", 100 * distance.equal_share())});
  }
  return aligned(cells, false, 1);
}

std::string score_text(const Options& options, const TextResult& result) {
  const Score& score = result.scores.front();
  std::string text =
      formatted("perplexity %.4f +- %.4f  (loss %.5f per token", score.perplexity(), score.error(), score.mean());
  if (result.bytes > 0) text += formatted(", %.4f bits per byte", bits_per_byte(result, score));
  const std::string of =
      formatted(options.windows.stride ? "%u, every %u" : "%u", options.windows.length, options.windows.stride);
  return text + formatted(")\n%s tokens in %s windows of %s, %s, %.1f tokens/s\n", count_text(score.tokens).c_str(),
                          count_text(score.windows).c_str(), of.c_str(), duration_text(result.seconds).c_str(),
                          static_cast<double>(score.tokens) / result.seconds);
}

TextResult scored(const Options& options, const std::vector<Variant>& variants, const std::string& path) {
  const bool has_tokens = !options.tokens_file.empty();
  const bitnet_model* const model = variants.front().model.get();
  const std::string text = read_text_file(path, options.model.quiet);
  const Corpus corpus = has_tokens ? token_corpus(path, text, model) : text_corpus(options.corpus, text, model);
  const std::vector<Window> windows = cut(corpus, options.windows, model);
  size_t total = 0, done = 0;
  for (const Window& window : windows) total += window.tokens.size();

  const Stopwatch time;
  ProgressBar bar("scoring", ProgressBar::Unit::tokens);
  Evaluation evaluation(variants, options.windows.length + 1);
  for (const Window& window : windows) {
    evaluation.add(window);
    bar.update(done += window.tokens.size(), total);
  }
  bar.clear();
  if (evaluation.score(0).tokens == 0) throw Stop(kFailure, "there is nothing to score: the text has no tokens");
  const bool whole = options.windows.skip == 0 && options.windows.most == 0;
  TextResult result{path, corpus.documents.size(), whole ? corpus.bytes : 0, {}, {}, time.seconds()};
  for (size_t i = 0; i < variants.size(); ++i) {
    result.scores.push_back(evaluation.score(i));
    result.distances.push_back(evaluation.distance(i));
  }
  return result;
}

// The command's own model, and those of --compare.
std::vector<Variant> open_variants(const Options& options) {
  std::vector<Variant> variants;
  variants.push_back({"as named", open_model(options.model), options.session});
  for (const std::string& words : options.compare) {
    PartOptions common;
    common.model = options.model;
    common.kv = options.session.kv;
    const PartOptions part = part_options(words, common);
    if (!part.program.empty() || !part.llama_bench.empty()) {
      throw Stop(kUsage, "--compare \"" + words + "\": only models are compared here, not programs");
    }
    SessionOptions session = options.session;
    session.kv = part.kv;
    variants.push_back({part.name, open_model(part.model), session});
  }
  return variants;
}

void require_sense(const Options& options) {
  const WindowOptions& windows = options.windows;
  if (options.files.empty() && options.tokens_file.empty()) {
    throw Stop(kUsage, "give a text with -f or --tokens-file");
  }
  if (windows.skip >= windows.length) {
    throw Stop(kUsage,
               formatted("--skip %u leaves nothing of a window of %u tokens (--window)", windows.skip, windows.length));
  }
  if (windows.stride > windows.length) {
    throw Stop(kUsage, formatted("--stride %u leaves out tokens between windows of %u (--window)", windows.stride,
                                 windows.length));
  }
}

void perplexity(const Options& options) {
  require_sense(options);
  const std::vector<Variant> variants = open_variants(options);
  const auto files = options.tokens_file.empty() ? options.files : std::vector<std::string>{options.tokens_file};
  Json texts = Json::array();
  for (const std::string& path : files) {
    const TextResult result = scored(options, variants, path);
    if (options.json) {
      texts.push_back(text_json(options, variants, result));
      continue;
    }
    if (files.size() > 1) write_out(path + "\n");
    write_out(variants.size() > 1 ? comparison_text(variants, result) : score_text(options, result));
  }
  if (options.json) write_out((files.size() > 1 ? Json{{"texts", texts}} : texts.front()).dump(1) + "\n");
}

}  // namespace

void add_perplexity(CLI::App& program) {
  auto options = std::make_shared<Options>();
  CLI::App* command = program.add_subcommand("perplexity", "Measure how well a model predicts a text");
  add_model_options(*command, options->model, true);
  constexpr const char* input = "Input (one of)";
  auto* file = command->add_option("-f,--file", options->files, "Text to score, also several; -: standard input")
                   ->check(not_empty())
                   ->allow_extra_args(false)
                   ->option_text("FILE")
                   ->group(input);
  command->add_option("--tokens-file", options->tokens_file, "JSON: a list of documents, each a list of token numbers")
      ->check(not_empty())
      ->option_text("FILE")
      ->excludes(file)
      ->group(input);
  command->add_option("--document-separator", options->corpus.separator, "Text between two documents of FILE")
      ->option_text("TEXT");
  command->add_flag("--end-token", options->corpus.end_token, "Each document of FILE ends with the model's end token");
  command->add_flag("--special", options->corpus.special, "FILE may name control tokens");
  add_number<uint32_t>(*command, "--window", options->windows.length, "Tokens scored together (512)", 2, 1 << 20);
  add_number<uint32_t>(*command, "--stride", options->windows.stride,
                       "Windows begin so many tokens apart, and score what is new (0: one after another)", 0, 1 << 20);
  add_number<uint32_t>(*command, "--skip", options->windows.skip,
                       "Tokens at the start of each window that are not scored (0)", 0, 1 << 20);
  add_number<uint32_t>(*command, "--windows", options->windows.most, "Only the first N windows (0: all)", 0, 1 << 30);
  command
      ->add_option("--compare", options->compare,
                   "Also score with these options (-m, --kv, --packing, --head, --isa, --name ...): a table")
      ->allow_extra_args(false)
      ->option_text("OPTIONS");
  add_session_options(*command, options->session);
  command->add_flag("--json", options->json, "As JSON");
  command->footer(
      "Each document is cut into windows. Each window is scored by itself: the begin token is put before it if texts\n"
      "of the model begin so, and every token is predicted from those before it. The perplexity is exp(mean negative\n"
      "log likelihood). With --stride, windows overlap, and the begin token stands before the document alone.\n\n"
      "Examples:\n"
      "  bitnet perplexity -f chapter.txt\n"
      "  bitnet perplexity -m model.bitnet -f chapter.txt --window 1024 --stride 512\n"
      "  bitnet perplexity -m model.bitnet -f chapter.txt --compare \"--kv int8\" --compare \"-m smaller.bitnet\"\n"
      "  bitnet perplexity -m model.bitnet --tokens-file heldout.json --json");
  command->callback([options] { perplexity(*options); });
}

}  // namespace bitnet::program
