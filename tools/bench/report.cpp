// SPDX-License-Identifier: MIT
#include "bench/report.h"

#include <span>

#include "base/file.h"
#include "child.h"
#include "handles.h"
#include "system.h"
#include "terminal.h"

namespace bitnet::program {

namespace {

#ifdef _WIN32
constexpr const char* kPython = "python";
#else
constexpr const char* kPython = "python3";
#endif

}  // namespace

Report::Report(const std::string& path)
    : page_(path), json_((path.ends_with(".html") ? path.substr(0, path.size() - 5) : path) + ".json") {
  for (const std::string& file : {page_, json_}) OutputFile can_be_written(file);  // which leaves nothing
}

void Report::write(const std::string& json) const {
  OutputFile file(json_);
  file.write_at(0, std::as_bytes(std::span(json)));
  file.commit();
  const std::string named = environment("BITNET_PYTHON");
  const std::string python = named.empty() ? kPython : named;
  const ChildResult done = run_child({python, "-m", "bitnet.report", json_, "-o", page_}, ChildErrors::shown);
  if (done.status == 0) return;
  throw Stop(kFailure, "the results are in " + json_ +
                           ", but no page was made of them: that takes Python with the package " +
                           "libbitnet and Matplotlib (pip install \"libbitnet[report]\"); then " + python +
                           " -m bitnet.report " + json_ + " -o " + page_);
}

}  // namespace bitnet::program
