// SPDX-License-Identifier: MIT
// Writes the seeds of the binary formats' fuzzers: sound files, from which the fuzzer departs.
// usage: make_seeds FOLDER, which gets a folder for each target.
#include <zstd.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "format/convert.h"
#include "format/files.h"
#include "fuzz/seed_model.h"

using namespace bitnet_test;

namespace {

// As fuzz_container takes it: the size of the metadata, the metadata, the tensors.
std::string unwrap(const std::string& file) {
  uint64_t offset, stored, raw_size;
  std::memcpy(&offset, file.data() + kMetadataOffset, sizeof offset);
  std::memcpy(&stored, file.data() + kMetadataStored, sizeof stored);
  std::memcpy(&raw_size, file.data() + kMetadataRaw, sizeof raw_size);
  std::string metadata(raw_size, '\0');
  ZSTD_decompress(metadata.data(), metadata.size(), file.data() + offset, stored);
  std::string out;
  append(out, static_cast<uint32_t>(raw_size));
  return out + metadata + file.substr(64, offset - 64);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::filesystem::path folder = argv[1];
  const auto gguf = folder / "gguf", container = folder / "container";
  std::filesystem::create_directories(gguf);
  std::filesystem::create_directories(container);
  std::filesystem::create_directories(folder / "state");
  for (const auto kv : {bitnet::KvType::f16, bitnet::KvType::int8, bitnet::KvType::int16}) {
    const auto state = bitnet_test::seed_session(kv)->save();
    const auto kind = static_cast<size_t>(kv);
    write_file(
        folder / "state" / std::to_string(kind),
        static_cast<char>(1 + 2 * kind) + std::string(reinterpret_cast<const char*>(state.data()), state.size()));
  }
  int number = 0;
  for (const Encoding weights : {Encoding::i2_s, Encoding::f32, Encoding::tq1_0, Encoding::tq2_0}) {
    const std::string name = std::to_string(number++), in = gguf / (name + ".gguf");
    write_file(in, seed_model(weights, number % 2 == 0).gguf().build() + '\0');
    if (weights != Encoding::i2_s && weights != Encoding::f32) continue;
    for (const bool compressed : {false, true}) {
      const std::string out = container / (name + (compressed ? "z" : ""));
      bitnet::ConvertOptions options;
      if (compressed) options.zstd_level = 3;
      bitnet::convert(in, out + ".bitnet", options);
      write_file(out, unwrap(read_file(out + ".bitnet")));
    }
  }
}
