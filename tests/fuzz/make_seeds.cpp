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
#include "format/safetensors_builder.h"
#include "format/sentencepiece_builder.h"
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

// A file that says things in other ways than most: one value for each layer, arrays in arrays, types as bytes, a
// scalar; and that leaves open what can be.
std::string odd_gguf() {
  GgufBuilder gguf = seed_model(Encoding::f32, false).gguf();
  for (const char* const key : {"bitnet-b1.58.block_count", "tokenizer.ggml.pre", "tokenizer.ggml.token_type"}) {
    gguf.remove(key);
  }
  gguf.numbers("bitnet-b1.58.block_count", 11, std::vector<int64_t>{1, 1});
  gguf.numbers("tokenizer.ggml.token_type", 0, std::vector<uint8_t>{1, 1, 1, 3, 3, 0});
  gguf.numbers("tokenizer.ggml.eot_token_id", 6, std::vector<float>{4});
  std::string nested;
  for (const uint64_t count : {2, 1}) {
    append(nested, uint32_t{9});
    append(nested, count);
  }
  for (int i = 0; i < 2; ++i) {
    append(nested, uint32_t{8});
    append(nested, uint64_t{1});
    append_string(nested, "text");
  }
  gguf.raw("nested", 9, nested);
  gguf.tensor("blk.0.attn_q.scale", {}, 0, encode_values(Encoding::f32, {0.5f}));
  return gguf.build();
}

// Each type, each number of dimensions.
std::string safetensors() {
  SafetensorsBuilder builder;
  builder.metadata = R"({"format":"pt"})";
  builder.tensor("a.weight", "F64", {2}, std::string(16, 'a'));
  builder.tensor("a.weight_scale", "F32", {}, "1234");
  builder.tensor("b.weight", "F16", {2, 3}, "abcdefghijkl");
  builder.tensor("b.bias", "BF16", {1}, "ab");
  builder.tensor("c", "U8", {2, 1, 2}, "abcd");
  builder.tensor("d", "I8", {1}, "a");
  builder.tensor("e", "I64", {0}, "");
  return builder.build();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::filesystem::path folder = argv[1];
  const auto gguf = folder / "gguf", container = folder / "container";
  std::filesystem::create_directories(gguf);
  std::filesystem::create_directories(container);
  std::filesystem::create_directories(folder / "state");
  std::filesystem::create_directories(folder / "safetensors");
  write_file(folder / "safetensors" / "types", safetensors());
  for (const auto kv : {bitnet::KvType::f16, bitnet::KvType::int8, bitnet::KvType::int16}) {
    const auto state = bitnet_test::seed_session(kv)->save();
    const auto kind = static_cast<size_t>(kv);
    write_file(
        folder / "state" / std::to_string(kind),
        static_cast<char>(1 + 2 * kind) + std::string(reinterpret_cast<const char*>(state.data()), state.size()));
  }
  std::filesystem::create_directories(folder / "sentencepiece");
  write_file(folder / "sentencepiece" / "bpe",
             protobuf::pieces() + protobuf::trainer(protobuf::kBpe) + protobuf::identity());
  write_file(gguf / "odd.gguf", odd_gguf() + '\0');
  bitnet::convert(gguf / "odd.gguf", container / "odd.bitnet");
  write_file(container / "unsettled", unwrap(reseal(read_file(container / "odd.bitnet"), [](bitnet::fb::ModelT& model) {
               model.settled = false;
               model.tokenizer->pre_tokenizer.clear();
             })));
  int number = 0;
  for (const Encoding weights :
       {Encoding::i2_s, Encoding::f32, Encoding::tq1_0, Encoding::tq2_0, Encoding::q2_0, Encoding::q2_0_128,
        Encoding::ptq1_0, Encoding::tl1, Encoding::tl2, Encoding::iq1_bn, Encoding::iq2_bn, Encoding::iq2_bn_r4}) {
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
