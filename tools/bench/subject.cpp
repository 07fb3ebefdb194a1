// SPDX-License-Identifier: MIT
#include "bench/subject.h"

#include <array>
#include <filesystem>
#include <fstream>

#include "api/handles.h"
#include "base/path.h"
#include "bench/token_weights.h"
#include "format/bitnet_file.h"
#include "format/header.h"
#include "terminal.h"

namespace bitnet::program {

namespace {

// What is mapped as it lies, of which only what is read takes memory.
bool is_mapped(const std::string& path) {
  std::array<char, kBitnetMagic.size()> begin = {};
  std::ifstream(std::filesystem::path(std::u8string(path.begin(), path.end())), std::ios::binary)
      .read(begin.data(), begin.size());
  return is_bitnet_file(std::as_bytes(std::span(begin)));
}

// What does not fit is read from the disk again for every token: hours, which say nothing.
void require_memory(const std::string& path, const char* what, uint64_t bytes, const Machine& machine) {
  if (machine.memory_bytes == 0 || bytes <= machine.memory_bytes) return;
  throw Stop(kFailure,
             formatted("%s %s %s, and this machine's memory or the limit of this process is %s: %s are missing",
                       path.c_str(), what, bytes_text(bytes).c_str(), bytes_text(machine.memory_bytes).c_str(),
                       bytes_text(bytes - machine.memory_bytes).c_str()));
}

}  // namespace

OpenedSubject open_subject(const ModelOptions& options, bitnet_kv kv, bool logits, const Machine& machine) {
  const std::string path = model_path(options);
  if (!is_mapped(path)) require_memory(path, "takes", file_size(path).value_or(0), machine);
  const Stopwatch time;
  Model model = open_model(options);
  const double load_seconds = time.seconds();
  const bitnet_model_info info = model_info(model.get());
  const uint64_t token_bytes = TokenWeights(*model, logits).bytes();
  require_memory(path, "reads for a token", token_bytes, machine);
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
                        .token_bytes = token_bytes,
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
