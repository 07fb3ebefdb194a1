// SPDX-License-Identifier: MIT
// Any bytes as a .bitnet file. Checksums would stop nearly every mutation at the door, so that most inputs are what
// lies behind them: a number, as many bytes of unpacked metadata, then tensors; the file is made around that.
#include <xxhash.h>
#include <zstd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "base/error.h"
#include "format/load.h"
#include "format/open.h"

namespace {

constexpr size_t kHeaderSize = 64;

std::string wrap(const std::string& metadata, const std::string& tensors) {
  std::string frame(ZSTD_compressBound(metadata.size()), '\0');
  frame.resize(ZSTD_compress(frame.data(), frame.size(), metadata.data(), metadata.size(), 1));
  std::string file(kHeaderSize, '\0');
  file += tensors;
  const auto put = [&](size_t at, auto value) { std::memcpy(file.data() + at, &value, sizeof value); };
  std::memcpy(file.data(), "BITNET\x1a\n", 8);
  put(8, uint32_t{1});
  put(12, uint32_t{kHeaderSize});
  put(24, uint64_t{file.size()});
  put(32, uint64_t{frame.size()});
  put(40, uint64_t{metadata.size()});
  put(48, uint64_t{XXH3_64bits(frame.data(), frame.size())});
  file += frame;
  put(16, uint64_t{file.size()});
  put(56, uint64_t{XXH3_64bits(file.data(), 56)});
  return file;
}

void load(const std::string& file) {
  try {
    bitnet::load_model(bitnet::open_container(std::as_bytes(std::span(file))));
  } catch (const bitnet::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  uint32_t metadata_size;
  if (size < sizeof metadata_size) return 0;
  const std::string input(reinterpret_cast<const char*>(data), size);
  if (input.starts_with("BITNET")) {
    load(input);
    return 0;
  }
  std::memcpy(&metadata_size, data, sizeof metadata_size);
  const size_t metadata_end = std::min<size_t>(sizeof metadata_size + size_t{metadata_size}, size);
  load(wrap(input.substr(4, metadata_end - 4), input.substr(metadata_end)));
  return 0;
}
