// SPDX-License-Identifier: MIT
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "api/handles.h"
#include "api/open_options.h"
#include "base/path.h"
#include "commands.h"
#include "format/compare.h"
#include "format/load.h"
#include "format/verify.h"
#include "handles.h"
#include "options.h"
#include "table.h"
#include "terminal.h"
#include "text_input.h"
#include "verify/continuations.h"
#include "verify/lossless.h"
#include "verify/prompts.h"

namespace bitnet::program {

namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::vector<std::string> paths;
  std::string original;
  ModelOptions opened;  // how the original is read, or with --lossless the model
  bool json = false;
  // Of --lossless:
  bool lossless = false;
  SessionOptions session;
  uint32_t tokens = 100;  // of a continuation
  std::string prompts;
  size_t most_prompts = 50;
};

std::string tensor_line(std::string_view name, fb::Type type, uint32_t rows, uint32_t cols, const std::string& state) {
  const std::string extent = formatted("%u x %u", rows, cols);
  return formatted("%-28s %-4s %-15s ", shortened(std::string(name), 60).c_str(), name_of(type), extent.c_str()) +
         state + "\n";
}

void verify_file(const Options& options, const std::string& path) {
  const Stopwatch time;
  ProgressBar bar("verifying");
  const VerifyReport report = bitnet::verify(
      path, [&bar](uint64_t done, uint64_t total) { return ProgressBar::callback(&bar, done, total) == 0; });
  bar.clear();

  std::string listing;
  size_t damaged = 0;
  uint64_t bytes = 0;
  for (const TensorReport& tensor : report.tensors) {
    bytes += tensor.bytes;
    damaged += !tensor.problem.empty();
    if (tensor.problem.empty() && !options.opened.verbose) continue;
    const std::string state = tensor.problem.empty() ? "sound" : coloured(Stream::out, Colour::red, tensor.problem);
    listing += tensor_line(tensor.name, tensor.type, tensor.rows, tensor.cols, state);
  }
  if (!options.opened.quiet && !options.json) write_out(listing);
  if (damaged > 0) {
    throw Stop(kFailure, formatted("%s: %zu of %zu tensors are damaged; get or convert the file anew", path.c_str(),
                                   damaged, report.tensors.size()));
  }
  check_model(path);
  if (options.opened.quiet || options.json) return;
  write_out(formatted("%s: sound, %zu tensors of %s in %s\n", path.c_str(), report.tensors.size(),
                      bytes_text(bytes).c_str(), duration_text(time.seconds()).c_str()));
}

std::string state_of(const TensorComparison& tensor) {
  if (tensor.differing == 0) return "the same";
  return formatted("%s differ, by up to %.3g; %s", count_text(tensor.differing).c_str(), tensor.largest_error,
                   tensor.first.c_str());
}

std::string as_text(const Comparison& comparison, bool verbose) {
  std::string text;
  for (const TensorComparison& tensor : comparison.tensors) {
    if (tensor.differing == 0 && !verbose) continue;
    text += tensor_line(tensor.name, tensor.type, tensor.rows, tensor.cols, without_controls(state_of(tensor)));
  }
  for (const std::string& difference : comparison.metadata) text += without_controls(difference) + "\n";
  for (const std::string& note : comparison.notes) text += "note: " + note + "\n";
  return text;
}

Json as_json(const Comparison& comparison) {
  Json tensors = Json::array();
  for (const TensorComparison& tensor : comparison.tensors) {
    tensors.push_back({{"name", tensor.name},
                       {"type", name_of(tensor.type)},
                       {"rows", tensor.rows},
                       {"columns", tensor.cols},
                       {"differing", tensor.differing},
                       {"largest_error", tensor.largest_error},
                       {"first", tensor.first}});
  }
  return {{"lossless", comparison.lossless()},
          {"verdict", comparison.verdict()},
          {"metadata", comparison.metadata},
          {"notes", comparison.notes},
          {"tensors", tensors}};
}

void compare_with_original(const Options& options) {
  ProgressBar bar("comparing");
  CompareOptions compared;
  compared.layout = make_layout(options.opened.i2s);
  compared.activation = make_activation(options.opened.activation);
  compared.progress = [&bar](uint64_t done, uint64_t total) { return ProgressBar::callback(&bar, done, total) == 0; };
  const Comparison comparison = compare(options.paths.front(), options.original, compared);
  bar.clear();
  if (options.json) {
    write_out(as_json(comparison).dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
  } else if (!options.opened.quiet) {
    write_out(as_text(comparison, options.opened.verbose));
  }
  const std::string verdict = options.paths.front() + ": " + without_controls(comparison.verdict());
  if (!comparison.lossless()) throw Stop(kFailure, verdict);
  if (!options.opened.quiet && !options.json) write_out(verdict + "\n");
}

using Tokens = std::vector<bitnet_token>;

std::vector<std::string> prompt_texts(const Options& options) {
  std::vector<std::string> texts;
  if (options.prompts.empty()) {
    for (const std::string_view prompt : usual_prompts()) texts.emplace_back(prompt);
  } else {
    std::istringstream lines(read_text_file(options.prompts, options.opened.quiet));
    for (std::string line; std::getline(lines, line);) {
      if (line.ends_with('\r')) line.pop_back();
      if (!line.empty()) texts.push_back(line);
    }
    if (texts.empty()) throw Stop(kFailure, options.prompts + ": no line has a prompt");
  }
  texts.resize(std::min(texts.size(), options.most_prompts));
  return texts;
}

std::vector<Tokens> prompt_tokens(const bitnet_model* model, const std::vector<std::string>& texts) {
  std::vector<Tokens> prompts;
  for (size_t i = 0; i < texts.size(); ++i) {
    prompts.push_back(tokenized_whole(model, texts[i], false, Ends::begin));
    if (prompts.back().empty()) throw Stop(kFailure, formatted("prompt %zu has no tokens", i + 1));
  }
  return prompts;
}

KvType cache_of(bitnet_kv kv) {
  switch (kv) {
    case BITNET_KV_F16:
      return KvType::f16;
    case BITNET_KV_INT8:
      return KvType::int8;
    case BITNET_KV_DEFAULT:
    case BITNET_KV_INT16:
      break;
  }
  return KvType::int16;
}

// What is told of a model.
struct Experiment {
  std::string path, name, isa;
  std::vector<std::string> prompts;
  LosslessReport report;
  double seconds;
  std::vector<std::string> ours, reference;  // the tokens of each difference, as text
};

Experiment experiment(const Options& options, const std::string& path) {
  ModelOptions opened = options.opened;
  opened.path = path;
  const Model model = open_model(opened);
  const bitnet_model_info info = model_info(model.get());
  Experiment done{path, info.name, info.isa, prompt_texts(options), {}, 0, {}, {}};
  const Stopwatch time;
  const std::vector<Tokens> prompts = prompt_tokens(model.get(), done.prompts);
  const std::vector<Tokens> texts = continuations(model.get(), prompts, options.tokens, options.session);
  const Runtime& runtime = *model->runtime;
  done.report = judge(runtime.model(), runtime.kernels(), cache_of(options.session.kv), prompts, texts);
  done.seconds = time.seconds();
  for (const Difference& difference : done.report.differences) {
    done.ours.push_back(detokenized(model.get(), {difference.ours}, BITNET_TEXT_SPECIAL));
    done.reference.push_back(detokenized(model.get(), {difference.reference}, BITNET_TEXT_SPECIAL));
  }
  return done;
}

Json as_json(const Options& options, const Experiment& done) {
  const LosslessReport& report = done.report;
  Json differences = Json::array();
  for (size_t i = 0; i < report.differences.size(); ++i) {
    const Difference& difference = report.differences[i];
    differences.push_back({{"prompt", difference.prompt + 1},
                           {"text", done.prompts[difference.prompt]},
                           {"token", difference.token + 1},
                           {"ours", {{"id", difference.ours}, {"text", done.ours[i]}}},
                           {"reference", {{"id", difference.reference}, {"text", done.reference[i]}}},
                           {"margin", difference.margin},
                           {"noise", difference.noise},
                           {"cause", cause_name(difference.cause)}});
  }
  return {{"file", done.path},
          {"model", done.name},
          {"isa", done.isa},
          {"kv", kv_name(options.session.kv)},
          {"lossless", report.is_lossless()},
          {"prompts", report.prompts},
          {"tokens", options.tokens},
          {"same", report.same()},
          {"share", static_cast<double>(report.same()) / static_cast<double>(report.prompts)},
          {"by_cache", report.count(Difference::Cause::cache)},
          {"by_sums", report.count(Difference::Cause::sums)},
          {"faults", report.count(Difference::Cause::fault)},
          {"products",
           {{"matrices", report.products.matrices},
            {"values", report.products.values},
            {"differing", report.products.differing},
            {"first", report.products.first}}},
          {"differences", differences},
          {"seconds", done.seconds}};
}

std::string as_text(const Options& options, const std::vector<Experiment>& all) {
  Cells cells = {{"file", "kv", "texts", "the same", "share", "cache", "sums", "faults", "products", "differing"}};
  std::string listed;
  for (const Experiment& done : all) {
    const LosslessReport& report = done.report;
    cells.push_back(
        {last_part(done.path), kv_name(options.session.kv), count_text(report.prompts), count_text(report.same()),
         formatted("%.1f %%", 100.0 * static_cast<double>(report.same()) / static_cast<double>(report.prompts)),
         count_text(report.count(Difference::Cause::cache)), count_text(report.count(Difference::Cause::sums)),
         count_text(report.count(Difference::Cause::fault)), count_text(report.products.values),
         count_text(report.products.differing)});
    for (size_t i = 0; i < report.differences.size(); ++i) {
      const Difference& difference = report.differences[i];
      listed += formatted("%s: prompt %zu, token %zu: %s for %s, margin %.2g, noise %.2g: %s\n",
                          last_part(done.path).c_str(), difference.prompt + 1, difference.token + 1,
                          Json(done.ours[i]).dump(-1, ' ', false, Json::error_handler_t::replace).c_str(),
                          Json(done.reference[i]).dump(-1, ' ', false, Json::error_handler_t::replace).c_str(),
                          difference.margin, difference.noise, cause_name(difference.cause));
    }
    if (report.products.differing > 0) listed += done.path + ": " + report.products.first + "\n";
  }
  return without_controls(aligned(cells, false, 2) + listed);
}

void verify_as_reference(const Options& options) {
  std::vector<Experiment> all;
  for (const std::string& path : options.paths) all.push_back(experiment(options, path));
  if (options.json) {
    Json json = Json::array();
    for (const Experiment& done : all) json.push_back(as_json(options, done));
    write_out(json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
  } else if (!options.opened.quiet) {
    write_out(as_text(options, all));
  }
  for (const Experiment& done : all) {
    if (!done.report.is_lossless()) throw Stop(kFailure, done.path + ": computes something else than its weights say");
  }
}

void verify(const Options& options) {
  if (options.lossless) return verify_as_reference(options);
  if (options.paths.size() > 1 && !options.original.empty())
    throw Stop(kUsage, "--against: one file at a time can be compared with its original");
  for (const std::string& path : options.paths) verify_file(options, path);
  if (!options.original.empty()) compare_with_original(options);
}

}  // namespace

void add_verify(CLI::App& program) {
  auto options = std::make_shared<Options>();
  CLI::App* command = program.add_subcommand(
      "verify", "Check a .bitnet file: every checksum, weight and scale; or against its original; or what it computes");
  command->add_option("MODEL", options->paths, "Files to check")->required()->check(not_empty())->option_text(" ");
  auto* const against =
      command->add_option("--against", options->original, "What the file was converted from: whether anything was lost")
          ->check(not_empty())
          ->option_text("ORIGINAL");
  auto* const lossless =
      command->add_flag("--lossless", options->lossless, "Whether texts are those of a plain F32 reference")
          ->excludes(against);
  command
      ->add_option("--prompts", options->prompts, "With --lossless: prompts, one on a line (50 of the program's own)")
      ->check(not_empty())
      ->option_text("FILE")
      ->needs(lossless);
  add_number<size_t>(*command, "--count", options->most_prompts, "With --lossless: the most prompts (50)", 1)
      ->needs(lossless);
  add_number<uint32_t>(*command, "-n,--predict", options->tokens, "With --lossless: tokens after each prompt (100)", 1,
                       1 << 20)
      ->needs(lossless);
  add_session_options(*command, options->session);
  ModelOptions& opened = options->opened;
  add_isa_option(*command, opened);
  add_packing_option(*command, opened.packing);
  add_head_option(*command, opened.head);
  for (const char* name : {"--threads", "--kv", "--isa", "--packing", "--head"}) {
    command->get_option(name)->needs(lossless);
  }
  std::vector<const CLI::Option*> comparing = {add_i2s_option(*command, opened.i2s),
                                               add_activation_option(*command, opened.activation)};
  comparing.push_back(command->add_flag("--json", options->json, "The comparison as JSON")->option_text(" "));
  command->add_flag("-q,--quiet", opened.quiet, "Nothing but errors");
  command->add_flag("-v,--verbose", opened.verbose, "List every tensor");
  command->footer(
      "The exit code is 0 if the file is sound (and lossless, with --against or --lossless), and 1 if not.\n\n"
      "Examples:\n"
      "  bitnet verify model.bitnet && echo fine\n"
      "  bitnet verify --against ggml-model-i2_s.gguf model.bitnet\n"
      "  bitnet verify --lossless ggml-model-i2_s.gguf model.bitnet");
  command->callback([options, comparing, against, lossless] {
    for (const CLI::Option* option : comparing) {
      if (option->count() > 0 && against->count() + lossless->count() == 0)
        throw CLI::RequiresError(option->get_name(), "--against or --lossless");
    }
    verify(*options);
  });
}

}  // namespace bitnet::program
