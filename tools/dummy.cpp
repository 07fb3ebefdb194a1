// SPDX-License-Identifier: MIT
#include "format/dummy.h"

#include <memory>
#include <string>

#include "api/open_options.h"
#include "commands.h"
#include "options.h"
#include "terminal.h"

namespace bitnet::program {

namespace {

struct Options {
  std::string output, size;
  bitnet_packing packing = BITNET_PACKING_DEFAULT;
  bitnet_head head = BITNET_HEAD_DEFAULT;
  uint64_t seed = 1;
  bool force = false, quiet = false;
};

void dummy(const Options& options) {
  require_writable(options.output, options.force);
  const Stopwatch time;
  ProgressBar bar("writing");
  DummyOptions made;
  made.packing = make_packing(options.packing);
  if (options.head != BITNET_HEAD_DEFAULT) made.head = make_head(options.head);
  made.seed = options.seed;
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
  command->add_option("OUTPUT", options->output, ".bitnet file to write")
      ->required()
      ->check(not_empty())
      ->option_text(" ");
  command->add_option("--size", options->size, "Its shape: " + dummy_shapes())->required()->option_text("NAME");
  add_packing_option(*command, options->packing);
  add_head_option(*command, options->head);
  add_number<uint64_t>(*command, "--seed", options->seed, "The same seed gives the same file (1)");
  command->add_flag("--force", options->force, "Replace OUTPUT if it exists");
  command->add_flag("-q,--quiet", options->quiet, "Say nothing but errors");
  command->footer(
      "Such a model writes nonsense, at the speed of a real one.\n\n"
      "Example:\n"
      "  bitnet dummy 2b.bitnet --size 2B-4T && bitnet bench -m 2b.bitnet");
  command->callback([options] { dummy(*options); });
}

}  // namespace bitnet::program
