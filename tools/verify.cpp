// SPDX-License-Identifier: MIT
#include "format/verify.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "api/open_options.h"
#include "commands.h"
#include "format/compare.h"
#include "format/load.h"
#include "handles.h"
#include "options.h"
#include "terminal.h"

namespace bitnet::program {

namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string path, original;
  bitnet_i2s_layout i2s = BITNET_I2S_AUTO;
  bitnet_activation activation = BITNET_ACTIVATION_DEFAULT;
  bool json = false, quiet = false, verbose = false;
};

std::string tensor_line(std::string_view name, fb::Type type, uint32_t rows, uint32_t cols, const std::string& state) {
  const std::string extent = formatted("%u x %u", rows, cols);
  return formatted("%-28s %-4s %-15s ", shortened(std::string(name), 60).c_str(), name_of(type), extent.c_str()) +
         state + "\n";
}

void verify_file(const Options& options) {
  const Stopwatch time;
  ProgressBar bar("verifying");
  const VerifyReport report = bitnet::verify(
      options.path, [&bar](uint64_t done, uint64_t total) { return ProgressBar::callback(&bar, done, total) == 0; });
  bar.clear();

  std::string listing;
  size_t damaged = 0;
  uint64_t bytes = 0;
  for (const TensorReport& tensor : report.tensors) {
    bytes += tensor.bytes;
    damaged += !tensor.problem.empty();
    if (tensor.problem.empty() && !options.verbose) continue;
    const std::string state = tensor.problem.empty() ? "sound" : coloured(Stream::out, Colour::red, tensor.problem);
    listing += tensor_line(tensor.name, tensor.type, tensor.rows, tensor.cols, state);
  }
  if (!options.quiet && !options.json) write_out(listing);
  if (damaged > 0) {
    throw Stop(kFailure, formatted("%s: %zu of %zu tensors are damaged; get or convert the file anew",
                                   options.path.c_str(), damaged, report.tensors.size()));
  }
  check_model(options.path);
  if (options.quiet || options.json) return;
  write_out(formatted("%s: sound, %zu tensors of %s in %s\n", options.path.c_str(), report.tensors.size(),
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
  compared.layout = make_layout(options.i2s);
  compared.activation = make_activation(options.activation);
  compared.progress = [&bar](uint64_t done, uint64_t total) { return ProgressBar::callback(&bar, done, total) == 0; };
  const Comparison comparison = compare(options.path, options.original, compared);
  bar.clear();
  if (options.json) {
    write_out(as_json(comparison).dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
  } else if (!options.quiet) {
    write_out(as_text(comparison, options.verbose));
  }
  const std::string verdict = options.path + ": " + without_controls(comparison.verdict());
  if (!comparison.lossless()) throw Stop(kFailure, verdict);
  if (!options.quiet && !options.json) write_out(verdict + "\n");
}

void verify(const Options& options) {
  verify_file(options);
  if (!options.original.empty()) compare_with_original(options);
}

}  // namespace

void add_verify(CLI::App& program) {
  auto options = std::make_shared<Options>();
  CLI::App* command = program.add_subcommand(
      "verify", "Check a .bitnet file: every checksum, weight and scale; or against its original");
  command->add_option("MODEL", options->path, "File to check")->required()->check(not_empty())->option_text(" ");
  auto* const against =
      command->add_option("--against", options->original, "What the file was converted from: whether anything was lost")
          ->check(not_empty())
          ->option_text("ORIGINAL");
  add_i2s_option(*command, options->i2s)->needs(against);
  add_activation_option(*command, options->activation)->needs(against);
  command->add_flag("--json", options->json, "The comparison as JSON")->needs(against)->option_text(" ");
  command->add_flag("-q,--quiet", options->quiet, "Nothing but errors");
  command->add_flag("-v,--verbose", options->verbose, "List every tensor");
  command->footer(
      "The exit code is 0 if the file is sound (and lossless, with --against), and 1 if not.\n\n"
      "Examples:\n"
      "  bitnet verify model.bitnet && echo fine\n"
      "  bitnet verify --against ggml-model-i2_s.gguf model.bitnet");
  command->callback([options] { verify(*options); });
}

}  // namespace bitnet::program
