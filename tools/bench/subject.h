// SPDX-License-Identifier: MIT
// Opens a model to measure it.
#pragma once

#include <memory>

#include "bench/run.h"
#include "options.h"

namespace bitnet::program {

struct OpenedSubject {
  Model model;
  std::shared_ptr<const Subject> subject;
};

// Throws Stop before anything is read if the machine's memory is too small, or a test has a prompt that is longer than
// what the model was trained for.
OpenedSubject open_subject(const ModelOptions& options, bitnet_kv kv, bool logits, const Machine& machine);
void require_tests_fit(const bitnet_model_info& info, const std::string& path, const std::vector<Test>& tests);

}  // namespace bitnet::program
