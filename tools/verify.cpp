// SPDX-License-Identifier: MIT
#include "format/verify.h"

#include <algorithm>
#include <memory>
#include <string>

#include "commands.h"
#include "format/load.h"
#include "handles.h"
#include "options.h"
#include "terminal.h"

namespace bitnet::program {

namespace {

struct Options {
  std::string path;
  bool quiet = false, verbose = false;
};

void verify(const Options& options) {
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
    listing += formatted("%-28s %-4s %u x %u  ", shortened(tensor.name, 60).c_str(), name_of(tensor.type), tensor.rows,
                         tensor.cols) +
               state + "\n";
  }
  if (!options.quiet) write_out(listing);
  if (damaged > 0) {
    throw Stop(kFailure, formatted("%s: %zu of %zu tensors are damaged; get or convert the file anew",
                                   options.path.c_str(), damaged, report.tensors.size()));
  }
  check_model(options.path);
  if (options.quiet) return;
  write_out(formatted("%s: sound, %zu tensors of %s in %s\n", options.path.c_str(), report.tensors.size(),
                      bytes_text(bytes).c_str(), duration_text(time.seconds()).c_str()));
}

}  // namespace

void add_verify(CLI::App& program) {
  auto options = std::make_shared<Options>();
  CLI::App* command = program.add_subcommand("verify", "Check a .bitnet file: every checksum, weight and scale");
  command->add_option("MODEL", options->path, "File to check")->required()->check(not_empty())->option_text(" ");
  command->add_flag("-q,--quiet", options->quiet, "Nothing but errors");
  command->add_flag("-v,--verbose", options->verbose, "List every tensor");
  command->footer(
      "The exit code is 0 if the file is sound, and 1 if not.\n\n"
      "Example:\n"
      "  bitnet verify model.bitnet && echo fine");
  command->callback([options] { verify(*options); });
}

}  // namespace bitnet::program
