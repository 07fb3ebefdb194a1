// SPDX-License-Identifier: MIT
#include "bench/report.h"

#include <cerrno>
#include <cstring>
#include <fstream>

#include "base/path.h"
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

void require_new_text(const std::string& path, std::ios::openmode mode, const std::string& text) {
  errno = 0;
  std::ofstream file(path, std::ios::binary | mode);
  file << text;
  file.close();
  if (!file) throw Stop(kFailure, "cannot write " + path + ": " + std::strerror(errno ? errno : EIO));
}

}  // namespace

Report::Report(const std::string& path)
    : page_(path), json_((path.ends_with(".html") ? path.substr(0, path.size() - 5) : path) + ".json") {
  for (const std::string& file : {page_, json_}) require_new_text(file, std::ios::app, "");
}

void Report::write(const std::string& json) const {
  require_new_text(json_, std::ios::trunc, json);
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
