// SPDX-License-Identifier: MIT
#include "engine/kernel_choice.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "base/error.h"

namespace bitnet {
namespace {

std::string from_environment() {
  const char* const name = std::getenv("BITNET_ISA");
  return name != nullptr ? name : "";
}

[[noreturn]] void refuse(const std::string& name, const char* origin) {
  const KernelList list = available_kernels();
  std::string available;
  bool runs = false;
  for (size_t i = 0; i < list.count; i++) {
    available += (i == 0 ? "" : ", ") + std::string(list.tables[i]->name);
    runs = runs || name == list.tables[i]->name;
  }
  require(!is_distrusted(name.c_str()), BITNET_ERROR_UNSUPPORTED, "kernel set \"", name, "\"", origin,
          " is not available: the CPU says that it has these instructions, but they do not compute what they should; "
          "most likely this is a virtual machine or an emulator with a fault");
  // Only AMX needs more than the CPU.
  require(!runs, BITNET_ERROR_UNSUPPORTED, "kernel set \"", name, "\"", origin,
          " is not available: Linux refuses AMX to this process; most likely a thread has a signal stack smaller than "
          "getauxval(AT_MINSIGSTKSZ) bytes");
  fail(BITNET_ERROR_UNSUPPORTED, "kernel set \"", name, "\"", origin, " is not available: this CPU can run ", available,
       "; this build knows ", kernel_names());
}

const Kernels& require_kernels(const std::string& name, const char* origin) {
  const Kernels* const kernels = find_kernels(name.c_str());
  if (kernels == nullptr) refuse(name, origin);
  return *kernels;
}

}  // namespace

const Kernels& choose_kernels(const std::string& asked) {
  return asked.empty() ? require_kernels(from_environment(), " (from BITNET_ISA)") : require_kernels(asked, "");
}

const Kernels& choose_float_kernels() {
  const std::string name = from_environment();
  return name.empty() ? *find_unrequested_kernels() : require_kernels(name, " (from BITNET_ISA)");
}

}  // namespace bitnet
