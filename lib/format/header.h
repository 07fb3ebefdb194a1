// SPDX-License-Identifier: MIT
// The first 64 bytes of a .bitnet file (docs/format.md).
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/hash.h"

namespace bitnet {

static_assert(std::endian::native == std::endian::little, "files are used as they lie, and they are little-endian");

// The last two bytes reveal a transfer that took the file for text.
constexpr std::array<char, 8> kBitnetMagic = {'B', 'I', 'T', 'N', 'E', 'T', '\x1a', '\n'};
constexpr uint32_t kFormatVersion = 1;

struct FileHeader {
  std::array<char, 8> magic = kBitnetMagic;
  uint32_t version = kFormatVersion;
  uint32_t header_size = 64;
  uint64_t file_size = 0;
  uint64_t metadata_offset = 0;
  uint64_t metadata_stored_size = 0;  // one Zstandard frame
  uint64_t metadata_raw_size = 0;
  uint64_t metadata_checksum = 0;  // XXH3-64 of the stored bytes
  uint64_t header_checksum = 0;    // XXH3-64 of the 56 bytes before

  uint64_t compute_checksum() const {
    return hash(std::as_bytes(std::span(this, 1)).first(offsetof(FileHeader, header_checksum)));
  }
};
static_assert(sizeof(FileHeader) == 64);

// A compressed tensor is never stored in less than this part of its raw size, so that no small file can ask for much
// memory.
constexpr uint64_t kMaxRatio = 16;

}  // namespace bitnet
