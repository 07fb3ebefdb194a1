// SPDX-License-Identifier: MIT
#include "bench/subject.h"

#include <filesystem>

#include "api/handles.h"
#include "base/path.h"
#include "bench/token_weights.h"
#include "terminal.h"

namespace bitnet::program {

namespace {

// A model that does not fit is read from the disk again for every token: hours, which say nothing.
void require_memory_for(const std::string& path, const Machine& machine) {
  std::error_code none;
  const auto named = std::filesystem::path(std::u8string(path.begin(), path.end()));
  if (machine.memory_bytes == 0 || !std::filesystem::is_regular_file(named, none)) return;
  const uint64_t bytes = std::filesystem::file_size(named, none);
  if (none || bytes <= machine.memory_bytes) return;
  throw Stop(kFailure,
             formatted("%s takes %s, and this machine's memory or the limit of this process is %s: %s are missing",
                       path.c_str(), bytes_text(bytes).c_str(), bytes_text(machine.memory_bytes).c_str(),
                       bytes_text(bytes - machine.memory_bytes).c_str()));
}

}  // namespace

OpenedSubject open_subject(const ModelOptions& options, bitnet_kv kv, bool logits, const Machine& machine) {
  const std::string path = model_path(options);
  require_memory_for(path, machine);
  const Stopwatch time;
  Model model = open_model(options);
  const double load_seconds = time.seconds();
  const bitnet_model_info info = model_info(model.get());
  // Copied: the info's text lives only as long as its model.
  const Subject subject{.path = path,
                        .name = without_controls(*info.name ? info.name : last_part(path)),
                        .architecture = info.architecture,
                        .isa = info.isa,
                        .packing = info.packing,
                        .head = info.head,
                        .kv = kv_name(kv),
                        .file_bytes = info.file_bytes,
                        .parameters = info.parameters,
                        .token_bytes = TokenWeights(*model, logits).bytes(),
                        .checksum = model->runtime->model().fingerprint,
                        .load_seconds = load_seconds};
  return {std::move(model), std::make_shared<const Subject>(subject)};
}

void require_tests_fit(const bitnet_model_info& info, const std::string& path, const std::vector<Test>& tests) {
  for (const Test& test : tests) {
    if (test.prompt <= info.context) continue;
    throw Stop(kUsage, formatted("%s: a prompt of %u tokens is longer than the context of %s, which is %u",
                                 test.name().c_str(), test.prompt, path.c_str(), info.context));
  }
}

}  // namespace bitnet::program
