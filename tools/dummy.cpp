// SPDX-License-Identifier: MIT
#include "format/dummy.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "api/handles.h"
#include "api/open_options.h"
#include "commands.h"
#include "options.h"
#include "terminal.h"

namespace bitnet::program {

namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string output, size;
  bool gguf = false;
  std::optional<GgufWeights> gguf_weights;
  std::optional<Weights> weights;
  bitnet_packing packing = BITNET_PACKING_DEFAULT;
  bitnet_dense dense = BITNET_DENSE_DEFAULT;
  bitnet_head head = BITNET_HEAD_DEFAULT;
  uint64_t seed = 1;
  bool list = false, json = false, force = false, quiet = false, verbose = false;
};

const char* name_of(Weights weights) {
  switch (weights) {
    case Weights::ternary:
      return "ternary";
    case Weights::groups:
      return "groups";
    case Weights::dense:
      return "dense";
  }
  return "";
}

DummyOptions make_options(const Options& options) {
  DummyOptions made;
  made.gguf = options.gguf;
  made.gguf_weights = options.gguf_weights;
  made.weights = options.weights;
  made.packing = make_packing(options.packing);
  made.dense = make_dense(options.dense);
  if (options.head != BITNET_HEAD_DEFAULT) made.head = make_head(options.head);
  made.seed = options.seed;
  if (!options.quiet) made.log = make_log(log_line, options.verbose ? &made : nullptr);
  return made;
}

Json as_json(const Shape& shape, Weights weights, const ShapeSize& size) {
  return {{"name", shape.name},
          {"architecture", shape.architecture},
          {"weights", name_of(weights)},
          {"tied", shape.tied},
          {"ternary_tokens", shape.ternary_tokens},
          {"hidden", shape.hidden},
          {"ffn", shape.ffn},
          {"layers", shape.layers},
          {"heads", shape.heads},
          {"kv_heads", shape.kv_heads},
          {"head_dim", shape.head_dim},
          {"vocabulary", shape.vocabulary},
          {"context", shape.context},
          {"parameters", size.parameters},
          {"bytes", size.bytes},
          {"bytes_a_token", size.bytes_a_token},
          {"cache_bytes_a_token", size.cache_bytes_a_token}};
}

// The shapes, as files of these options have them.
void list(const Options& options) {
  const DummyOptions made = make_options(options);
  if (options.json) {
    Json all = Json::array();
    for (const Shape& shape : shapes())
      all.push_back(as_json(shape, made.weights.value_or(shape.weights), size_of(shape, made)));
    return write_out(all.dump(1) + "\n");
  }
  std::string lines = formatted("%-20s %-13s %-8s %16s %10s %12s\n", "NAME", "ARCHITECTURE", "WEIGHTS", "PARAMETERS",
                                "SIZE", "BY A TOKEN");
  for (const Shape& shape : shapes()) {
    const ShapeSize size = size_of(shape, made);
    lines += formatted("%-20s %-13s %-8s %16s %10s %12s\n", std::string(shape.name).c_str(),
                       std::string(shape.architecture).c_str(), name_of(made.weights.value_or(shape.weights)),
                       count_text(size.parameters).c_str(), bytes_text(size.bytes).c_str(),
                       bytes_text(size.bytes_a_token).c_str());
  }
  write_out(lines);
}

void dummy(const Options& options) {
  if (options.list) return list(options);
  if (options.output.empty()) throw CLI::RequiredError("OUTPUT");
  if (options.size.empty()) throw CLI::RequiredError("--size");
  require_writable(options.output, options.force);
  const Stopwatch time;
  ProgressBar bar("writing");
  DummyOptions made = make_options(options);
  made.progress = [&bar](uint64_t done, uint64_t total) { return ProgressBar::callback(&bar, done, total) == 0; };
  const uint64_t size = write_dummy(options.output, options.size, made);
  bar.clear();
  if (options.quiet) return;

  const double seconds = time.seconds();

  write_out(formatted("%s: %s in %s, %s/s\n", options.output.c_str(), bytes_text(size).c_str(),
                      duration_text(seconds).c_str(),
                      bytes_text(static_cast<uint64_t>(static_cast<double>(size) / seconds)).c_str()));
}

}  // namespace

void add_dummy(CLI::App& program) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      program.add_subcommand("dummy", "Write a model of random weights and real shape, to measure with");
  command->add_option("OUTPUT", options->output, "File to write")->check(not_empty())->option_text(" ");
  command->add_option("--size", options->size, "Its shape: 2B-4T, Falcon3-7B-1.58, Bonsai-8B, ...; --list shows all")
      ->option_text("NAME");
  command->add_flag("--list", options->list, "Only list the shapes, and what they come to with the other options");
  command->add_flag("--json", options->json, "The list as JSON")->needs("--list")->option_text(" ");
  add_dummy_format_option(*command, options->gguf);
  add_gguf_weights_option(*command, options->gguf_weights)->needs("--format");
  using Choice = std::optional<Weights>;
  add_choice(*command, "--weights", options->weights, "Kind of its matrices, in place of the shape's own",
             {{name_of(Weights::ternary), Choice(Weights::ternary)},
              {name_of(Weights::groups), Choice(Weights::groups)},
              {name_of(Weights::dense), Choice(Weights::dense)}});
  add_packing_option(*command, options->packing);
  add_outtype_option(*command, options->packing);
  add_dense_option(*command, options->dense);
  add_head_option(*command, options->head);
  add_number<uint64_t>(*command, "--seed", options->seed, "The same seed gives the same file (1)");
  command->add_flag("--force", options->force, "Replace OUTPUT if it exists");
  command->add_flag("-q,--quiet", options->quiet, "Say nothing but errors");
  command->add_flag("-v,--verbose", options->verbose, "Say what the library decides");
  command->footer(
      "Such a model writes nonsense, at the speed of a real one.\n\n"
      "Examples:\n"
      "  bitnet dummy 2b.bitnet --size 2B-4T && bitnet bench -m 2b.bitnet\n"
      "  bitnet dummy bonsai.gguf --size Bonsai-1.7B --format gguf");
  command->callback([options] { dummy(*options); });
}

}  // namespace bitnet::program
