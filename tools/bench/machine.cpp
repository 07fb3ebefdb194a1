// SPDX-License-Identifier: MIT
#include "bench/machine.h"

#include "bitnet.h"
#include "terminal.h"

namespace bitnet::program {

Build this_build() {
  Build build{bitnet_version_string(), "", false, true, false};
#ifdef __clang__
  build.compiler = formatted("clang %d.%d", __clang_major__, __clang_minor__);
#else
  build.compiler = formatted("gcc %d.%d", __GNUC__, __GNUC_MINOR__);
#endif
#ifdef __OPTIMIZE__
  build.optimized = true;
#endif
#ifdef NDEBUG
  build.assertions = false;
#endif
#ifdef BITNET_SANITIZED
  build.sanitized = true;
#endif
  return build;
}

namespace {

void warn_of(const Build& build, std::vector<std::string>& warnings) {
  if (build.sanitized) warnings.emplace_back("this build has sanitizers, which make it many times slower");
  if (!build.optimized) warnings.emplace_back("this is a debug build: build with CMAKE_BUILD_TYPE=Release to measure");
  if (build.assertions && build.optimized) {
    warnings.emplace_back("this build checks assertions, which takes time; Release builds do not");
  }
}

void warn_of(const Machine& machine, std::vector<std::string>& warnings) {
  if (machine.cpu_quota != 0) {
    warnings.push_back(formatted("a CPU quota allows this process the time of %u of %u CPUs: figures depend on it",
                                 machine.cpu_quota, machine.cpus));
  }
  if (machine.huge_pages == "never") {
    warnings.emplace_back(
        "huge pages are off (/sys/kernel/mm/transparent_hugepage/enabled): memory is read more slowly");
  }
  if (machine.governor == "powersave" && machine.driver.find("pstate") == std::string::npos) {
    warnings.emplace_back("the CPU runs at its lowest frequency (governor powersave)");
  }
}

void warn_of(const Machine& machine, const Activity& before, const Activity& after,
             std::vector<std::string>& warnings) {
  const double wall = after.wall - before.wall;
  if (wall < 0.05) return;  // counters are coarser than that
  const double others = (after.busy - before.busy - (after.own - before.own)) / wall;
  const double stolen = (after.stolen - before.stolen) / wall;
  const auto cpus = static_cast<double>(machine.cpus);
  if (others > 0.05 * cpus) {
    warnings.push_back(formatted("the machine was busy: other programs used %.1f of its CPUs meanwhile", others));
  }
  if (stolen > 0.02 * cpus) {
    warnings.push_back(
        formatted("this virtual machine was busy: its host took %.0f %% of its CPUs' time away", 100 * stolen / cpus));
  }
  if (after.hot > before.hot) warnings.emplace_back("the CPU was throttled because it was too hot");
  if (after.over_quota > before.over_quota) warnings.emplace_back("the process was stopped for using up its CPU quota");
}

}  // namespace

std::vector<std::string> warnings_of(const Machine& machine, const Build& build, const std::optional<Activity>& before,
                                     const std::optional<Activity>& after) {
  std::vector<std::string> warnings;
  warn_of(build, warnings);
  warn_of(machine, warnings);
  if (before && after) warn_of(machine, *before, *after, warnings);
  return warnings;
}

}  // namespace bitnet::program
