// SPDX-License-Identifier: MIT
#include "api/handles.h"

#define BITNET_STRING(x) #x
#define BITNET_VERSION_TEXT(major, minor, patch) BITNET_STRING(major) "." BITNET_STRING(minor) "." BITNET_STRING(patch)

uint32_t bitnet_version(void) { return BITNET_VERSION_MAJOR << 16 | BITNET_VERSION_MINOR << 8 | BITNET_VERSION_PATCH; }

const char* bitnet_version_string(void) {
  return BITNET_VERSION_TEXT(BITNET_VERSION_MAJOR, BITNET_VERSION_MINOR, BITNET_VERSION_PATCH);
}

const char* bitnet_cpu_features(void) { return bitnet::cpu_features(); }

const char* bitnet_isa_name(size_t index) {
  const bitnet::KernelList list = bitnet::available_kernels();
  return index < list.count ? list.tables[index]->name : nullptr;
}
