// SPDX-License-Identifier: MIT
// Models leave as GGUF and come back as they were; what would be lost is refused.
#include <gtest/gtest.h>

#include "base/error.h"
#include "format/compare.h"
#include "format/convert.h"
#include "format/dummy.h"
#include "format/files.h"
#include "format/gguf.h"
#include "format/gguf_values.h"
#include "format/sample_model.h"

using namespace bitnet;
using namespace bitnet_test;

namespace {

constexpr GgufWeights kTernaryTypes[] = {GgufWeights::i2_s, GgufWeights::tq1_0, GgufWeights::tq2_0, GgufWeights::q2_0};

// In place of a tensor of the same size.
void replace(GgufBuilder& builder, const std::string& name, const std::string& bytes) {
  builder.data.replace(builder.info(name).offset, bytes.size(), bytes);
}

// A file that was written, taken apart.
class Written {
 public:
  explicit Written(const std::string& path) : bytes_(read_file(path)) {}
  const Gguf* operator->() const { return &gguf_; }
  std::string text(std::string_view key) const { return std::string(gguf_text(gguf_.find(key)->payload)); }

 private:
  const std::string bytes_;
  const std::span<const std::byte> part_ = std::as_bytes(std::span(bytes_));
  const Gguf gguf_{std::span(&part_, 1)};
};

class Export : public testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& bytes) {
    write_file(folder_ / name, bytes);
    return folder_ / name;
  }
  std::string gguf(const std::string& in, std::optional<GgufWeights> weights, ConvertOptions options = {}) {
    std::string out = folder_ / "out.gguf";
    options.gguf = true;
    options.gguf_weights = weights;
    convert(in, out, options);
    return out;
  }
  std::string bitnet(const std::string& in, const ConvertOptions& options = {}) {
    std::string out = folder_ / "out.bitnet";
    convert(in, out, options);
    return out;
  }
  // What is wrong with an export that is refused.
  std::string refusal(const std::string& in, GgufWeights weights, const ConvertOptions& options = {}) {
    try {
      gguf(in, weights, options);
    } catch (const Error& error) {
      EXPECT_EQ(error.status(), BITNET_ERROR_UNSUPPORTED);
      EXPECT_FALSE(std::filesystem::exists(folder_ / "out.gguf"));
      return error.what();
    }
    return "nothing";
  }
  TemporaryFolder folder_;
};

TEST_F(Export, TernaryModelsComeBackFromEveryType) {
  const std::string original = write("in.gguf", SampleModel().draw().gguf().build());
  const std::string kept = folder_ / "kept.bitnet";
  convert(original, kept);
  for (const GgufWeights weights : kTernaryTypes) {
    SCOPED_TRACE(gguf_name(weights));
    const std::string out = gguf(kept, weights);
    EXPECT_EQ(compare(bitnet(out), original).verdict(), "lossless");
    EXPECT_EQ(compare(kept, out).verdict(), "lossless");
  }
  for (const GgufWeights weights : {GgufWeights::f16, GgufWeights::f32}) {
    SCOPED_TRACE(gguf_name(weights));
    EXPECT_EQ(compare(bitnet(gguf(kept, weights)), original).verdict(), "lossless");
  }
}

// Whatever the source, and straight from it.
TEST_F(Export, TheUsualTypeIsThatOfOtherPrograms) {
  for (const Encoding encoding : {Encoding::i2_s, Encoding::tq2_0, Encoding::tl1, Encoding::iq2_bn_r4}) {
    SampleModel sample;
    sample.weights = encoding;
    const std::string in = write("in.gguf", sample.draw().gguf().build());
    const Written file(gguf(in, {}));
    EXPECT_EQ(file->find_tensor("blk.0.attn_q.weight")->type->number, 36u);  // I2_S
  }
}

TEST_F(Export, DummiesOfEveryFamilyComeBack) {
  for (const char* const shape :
       {"tiny", "tiny-bitnet", "tiny-falcon3", "tiny-trilm", "tiny-bonsai", "tiny-bonsai-8b", "tiny-vibeasr",
        "tiny-llama", "tiny-qwen2", "tiny-qwen3", "tiny-gemma3", "tiny-embedding", "tiny-embedding-gemma",
        "tiny-qwen2-normed", "tiny-minicpm", "tiny-maple", "tiny-qwen3moe"}) {
    SCOPED_TRACE(shape);
    const std::string in = folder_ / "in.bitnet";
    write_dummy(in, shape);
    ConvertOptions options;
    options.head = HeadType::f16;
    const std::string kept = bitnet(in, options);
    EXPECT_EQ(compare(kept, gguf(kept, {})).verdict(), "lossless");
  }
}

TEST_F(Export, WhatTheSourceSaidOfItselfStays) {
  GgufBuilder builder = small_model().gguf();
  builder.string("general.author", "someone");
  builder.u32("tokenizer.ggml.eom_token_id", 7);
  builder.boolean("general.odd", true);
  const std::string in = bitnet(write("in.gguf", builder.build()));
  ConvertOptions options;
  options.chat_template = "{{ other }}";
  options.name = "renamed";
  const Written file(gguf(in, {}, options));
  EXPECT_EQ(file.text("general.author"), "someone");
  EXPECT_EQ(file.text("general.name"), "renamed");
  EXPECT_EQ(file.text("tokenizer.chat_template"), "{{ other }}");
  EXPECT_EQ(file->find("tokenizer.ggml.eom_token_id")->kind, GgufKind::u32);
  EXPECT_EQ(file->find("general.odd")->kind, GgufKind::boolean);
  EXPECT_EQ(file->find("general.quantization_version")->kind, GgufKind::u32);
}

TEST_F(Export, RefusesWhatWouldBeLost) {
  SampleModel sample;
  sample.weights = Encoding::f32;
  sample.draw();
  const float scale = 0.1f;  // which F16 does not hold
  GgufBuilder builder = sample.gguf();
  for (const auto& [name, matrix] : sample.ternary) {
    replace(builder, name, encode_ternary(Encoding::f32, matrix.trits, matrix.cols, scale));
  }
  const std::string in = write("in.gguf", builder.build());
  for (const GgufWeights weights : {GgufWeights::tq1_0, GgufWeights::tq2_0, GgufWeights::q2_0}) {
    EXPECT_NE(refusal(in, weights).find("not exact in F16"), std::string::npos) << refusal(in, weights);
  }
  EXPECT_NE(refusal(in, GgufWeights::f16).find("--lossy"), std::string::npos);
  ConvertOptions options;
  options.lossy = true;
  EXPECT_NE(compare(bitnet(gguf(in, GgufWeights::tq2_0, options)), in).verdict(), "lossless");
  EXPECT_EQ(compare(bitnet(gguf(in, GgufWeights::i2_s)), in).verdict(), "lossless");
}

// In the shapes of bitnet_b1_58-large, whose kernels bitnet.cpp generates.
TEST_F(Export, KernelsOfBitnetCppComeBack) {
  SampleModel sample;
  sample.layers = 1;
  sample.hidden = 1536;
  sample.ffn = 4096;
  sample.heads = sample.kv_heads = 16;
  const std::string original = write("in.gguf", sample.draw().gguf().build());
  for (const GgufWeights weights : {GgufWeights::tl1, GgufWeights::tl2}) {
    SCOPED_TRACE(gguf_name(weights));
    const std::string out = gguf(original, weights);
    EXPECT_EQ(compare(bitnet(out), original).verdict(), "lossless");
    const bool tl1 = weights == GgufWeights::tl1;
    const Written file(out);
    for (const auto& [name, matrix] : sample.ternary) {
      const bool square = matrix.trits.size() == size_t{1536} * 1536;
      const std::string bytes =
          tl1 ? encode_tl1(matrix.trits, matrix.cols, square ? 128 : 256, square ? 64 : 128, square ? 64 : 32)
              : encode_tl2(matrix.trits, matrix.cols, square ? 128 : 256, square ? 192 : 96);
      const auto data = file->find_tensor(name)->data;
      EXPECT_EQ(std::string(reinterpret_cast<const char*>(data.data()), data.size()), bytes) << name;
    }
  }
  std::filesystem::remove(folder_ / "out.gguf");
  const std::string small = write("small.gguf", SampleModel().draw().gguf().build());
  EXPECT_NE(refusal(small, GgufWeights::tl1).find("setup_env.py"), std::string::npos);
}

// What is not ternary becomes so only when it is asked for, as in a .bitnet file.
TEST_F(Export, RoundsToTernaryOnlyOnRequest) {
  SampleModel sample;
  sample.weights = Encoding::f32;
  sample.draw();
  GgufBuilder builder = sample.gguf();
  for (const auto& [name, matrix] : sample.ternary) {
    std::vector<float> values(matrix.trits.size());
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>(matrix.trits[i]) + static_cast<float>(i % 7) / 64;
    }
    replace(builder, name, encode_values(Encoding::f32, values));
  }
  const std::string in = write("in.gguf", builder.build());
  EXPECT_NE(refusal(in, GgufWeights::i2_s).find("it is not ternary"), std::string::npos);
  ConvertOptions options;
  options.quantize = Quantize::absmean;
  const std::string out = gguf(in, GgufWeights::i2_s, options);
  EXPECT_EQ(compare(bitnet(in, options), out).verdict(), "lossless");
}

}  // namespace
