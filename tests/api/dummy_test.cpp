// SPDX-License-Identifier: MIT
// Dummies: that they stay what they are, that each family computes the same from each of its files, and that a file is
// told from one that is not its like.
#include "format/dummy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "../format/files.h"
#include "base/error.h"
#include "base/hash.h"
#include "format/compare.h"
#include "format/convert.h"
#include "format/verify.h"
#include "test_model.h"

namespace bitnet {
namespace {

using bitnet_test::TemporaryFolder;

std::vector<std::string> tiny_families() {
  std::vector<std::string> names;
  for (const Shape& shape : shapes()) {
    if (shape.name.starts_with("tiny-")) names.emplace_back(shape.name);
  }
  return names;
}

std::vector<float> logits_of(const std::string& path) {
  const auto model = bitnet_test::open(path);
  const auto session = bitnet_test::make_session(model);
  bitnet_test::eval(session, std::vector<bitnet_token>{256, 5, 77, 900, 5});
  return bitnet_test::logits(session);
}

// The logits, or where there is no head the embedding.
std::vector<float> outputs_of(const std::string& path) {
  const auto model = bitnet_test::open(path);
  bitnet_model_info info = {.size = sizeof info};
  EXPECT_OK(bitnet_model_get_info(model.get(), &info));
  if (info.head != std::string_view("none")) return logits_of(path);
  const bitnet_embed_options options = {.size = sizeof options, .raw = 1};
  const bitnet_token tokens[] = {256, 5, 77, 900, 5};
  const size_t count = std::size(tokens);
  std::vector<float> embedding(info.hidden);
  EXPECT_OK(bitnet_embed_tokens(model.get(), tokens, &count, 1, &options, embedding.data(),
                                embedding.size() * sizeof(float)));
  return embedding;
}

uint64_t hash_of_tensors(const std::string& path) {
  Hasher hasher;
  const auto container = open_container(path);
  for (const Tensor& tensor : container->tensors()) hasher.add(std::as_bytes(std::span(&tensor.checksum, 1)));
  return hasher.digest();
}

template <typename Action>
std::string refusal(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

class Dummies : public testing::Test {
 protected:
  std::string write(const std::string& shape, DummyOptions options = {}, const std::string& name = "a") {
    std::string path = folder_ / (name + (options.gguf ? ".gguf" : ".bitnet"));
    write_dummy(path, shape, options);
    return path;
  }

  TemporaryFolder folder_;
};

// Measurements name dummies; these digests are those of the first version.
TEST_F(Dummies, KeepTheirWeights) {
  struct Case {
    Packing packing;
    HeadType head;
    uint64_t digest;
  };
  for (const auto& [packing, head, digest] :
       {Case{Packing::i2, HeadType::int8, 0xbd9778538e0ed08f}, Case{Packing::t5, HeadType::f16, 0x1e87a01e4a392d8a},
        Case{Packing::i2, HeadType::q6, 0xa439ea59fbb8d1e2},
        Case{Packing::t5, HeadType::screened, 0x6aa25b9053c35d0e}}) {
    const std::string path = write("tiny", {.packing = packing, .head = head, .seed = 7});
    EXPECT_EQ(hash_of_tensors(path), digest) << std::hex << hash_of_tensors(path);
  }
}

TEST_F(Dummies, AreAsLargeAsTheListSays) {
  for (const std::string& name : tiny_families()) {
    const auto container = open_container(write(name));
    EXPECT_EQ(size_of(*find_shape(name)).bytes, container->tensor_bytes()) << name;
  }
  EXPECT_EQ(size_of(*find_shape("2B-4T")).parameters, 2412820480u);
  // Half a gigabyte as published (a bit more, since a tile has both scales and codes).
  EXPECT_EQ(size_of(*find_shape("bonsai-1.7b")).bytes_a_token >> 20, 436u);
}

TEST_F(Dummies, OfEveryFamilyComputeTheSameFromEachFile) {
  for (const std::string& name : tiny_families()) {
    SCOPED_TRACE(name);
    const std::string file = write(name), gguf = write(name, {.gguf = true});
    EXPECT_TRUE(verify(file).sound());
    const std::vector<float> logits = outputs_of(file);
    ASSERT_EQ(logits.size(), find_shape(name)->embeds ? find_shape(name)->hidden : 1000u);
    EXPECT_TRUE(std::ranges::all_of(logits, [](float x) { return std::isfinite(x); }));
    const auto [least, most] = std::ranges::minmax(logits);
    EXPECT_GT(most - least, 1) << "all tokens are as likely";
    EXPECT_LT(most - least, 100);
    EXPECT_TRUE(bitnet_test::same_bits(outputs_of(gguf), logits));
    EXPECT_EQ(compare(file, gguf).verdict(), "lossless");
    convert(gguf, folder_ / "b.bitnet");
    EXPECT_EQ(compare(folder_ / "b.bitnet", file).verdict(), "lossless");
  }
}

TEST_F(Dummies, OfTernaryWeightsComputeTheSameInBothPackings) {
  for (const std::string name : {"tiny", "tiny-bitnet", "tiny-falcon3", "tiny-vibeasr"}) {
    const std::string file = write(name);
    convert(file, folder_ / "t5.bitnet", {.packing = Packing::t5});
    EXPECT_TRUE(bitnet_test::same_bits(logits_of(file), logits_of(folder_ / "t5.bitnet"))) << name;
    EXPECT_EQ(compare(folder_ / "t5.bitnet", file).verdict(), "lossless") << name;
  }
}

TEST_F(Dummies, AsGgufInEveryTypeThatHoldsThem) {
  struct Case {
    const char* name;
    GgufWeights weights;
  };
  for (const auto& [name, weights] :
       {Case{"tiny-bitnet", GgufWeights::i2_s}, Case{"tiny-bitnet", GgufWeights::f32},
        Case{"tiny-falcon3", GgufWeights::i2_s}, Case{"tiny-vibeasr", GgufWeights::tq2_0},
        Case{"tiny-vibeasr", GgufWeights::i2_s}, Case{"tiny-vibeasr", GgufWeights::q2_0},
        Case{"tiny-bonsai", GgufWeights::f16}, Case{"tiny-trilm", GgufWeights::f32},
        Case{"tiny-qwen3", GgufWeights::f32}, Case{"tiny-gemma3", GgufWeights::f16},
        Case{"tiny-embedding", GgufWeights::f16}, Case{"tiny-embedding-gemma", GgufWeights::f32}}) {
    const std::string file = write(name), gguf = write(name, {.gguf = true, .gguf_weights = weights});
    EXPECT_EQ(compare(file, gguf).verdict(), "lossless") << name << " " << gguf_name(weights);
  }
}

TEST_F(Dummies, AreNotWrittenInTypesThatDoNotHoldThem) {
  const auto refused = [&](const char* name, DummyOptions options) {
    options.gguf = true;
    return refusal([&] { write(name, options); });
  };
  EXPECT_NE(refused("tiny-llama", {.gguf_weights = GgufWeights::i2_s}).find("not ternary"), std::string::npos);
  EXPECT_NE(refused("tiny-trilm", {.gguf_weights = GgufWeights::tq2_0}).find("groups"), std::string::npos);
  EXPECT_NE(refused("tiny-falcon3", {.gguf_weights = GgufWeights::tq2_0}).find("256"), std::string::npos);
  EXPECT_NE(refused("tiny", {.gguf_weights = GgufWeights::q2_0}).find("not exact in F16"), std::string::npos);
  EXPECT_NE(refused("tiny-llama", {.dense = Dense::int8}).find("int8"), std::string::npos);
  EXPECT_NE(refused("tiny", {.head = HeadType::q6}).find("head"), std::string::npos);
  EXPECT_EQ(folder_.files(), 0u) << "something is left behind";
}

TEST_F(Dummies, DenseInF32HoldTheWeightsOfF16) {
  for (const char* const name : {"tiny-llama", "tiny-qwen2", "tiny-qwen3", "tiny-gemma3"}) {
    const std::string half = write(name), full = write(name, {.dense = Dense::f32}, "b");
    EXPECT_EQ(compare(half, full).verdict(), "lossless") << name;
    EXPECT_LT(bitnet_test::distance(logits_of(half), logits_of(full)), 1e-2) << name;
  }
}

// --- what a comparison finds
// ------------------------------------------------------------------------------------------

TEST_F(Dummies, OfOtherWeightsAreToldApart) {
  const std::string file = write("tiny-falcon3"), other = write("tiny-falcon3", {.seed = 2}, "b");
  const Comparison found = compare(file, other);
  EXPECT_FALSE(found.lossless());
  EXPECT_TRUE(found.metadata.empty());
  ASSERT_EQ(found.tensors.front().name, kEmbeddingName);
  EXPECT_TRUE(found.tensors.front().first.starts_with("row 0, column ")) << found.tensors.front().first;
  EXPECT_TRUE(found.verdict().starts_with("not lossless: tensor token_embd.weight, row 0")) << found.verdict();
  EXPECT_EQ(bitnet_verify_against(file.c_str(), other.c_str(), nullptr, nullptr), BITNET_ERROR_FORMAT);
  EXPECT_NE(std::string(bitnet_last_error()).find("token_embd.weight, row 0"), std::string::npos)
      << bitnet_last_error();
  EXPECT_EQ(bitnet_verify_against(file.c_str(), file.c_str(), nullptr, nullptr), BITNET_OK) << bitnet_last_error();
}

TEST_F(Dummies, WithOneOtherScaleAreToldApart) {
  const std::string file = write("tiny-falcon3");
  const std::string changed = bitnet_test::reseal(bitnet_test::read_file(file), [](fb::ModelT& model) {
    for (const auto& tensor : model.tensors) {
      if (tensor->name == "blk.1.ffn_up.weight") tensor->scales[0] = std::nextafter(tensor->scales[0], 1.0f);
    }
  });
  bitnet_test::write_file(folder_ / "b.bitnet", changed);
  const Comparison found = compare(folder_ / "b.bitnet", file);
  for (const TensorComparison& tensor : found.tensors) {
    EXPECT_EQ(tensor.differing != 0, tensor.name == "blk.1.ffn_up.weight") << tensor.name;
  }
  EXPECT_TRUE(found.verdict().starts_with("not lossless: tensor blk.1.ffn_up.weight, row 0")) << found.verdict();
}

// The largest error of a head in int8 is half a step of the row's 127, of q6 that of its groups.
TEST_F(Dummies, WithARoundedHeadSayByHowMuch) {
  const std::string file = write("tiny-falcon3");
  for (const auto& [head, most] : {std::pair{HeadType::int8, 0.0866 / 127}, std::pair{HeadType::q6, 0.01}}) {
    convert(file, folder_ / "b.bitnet", {.head = head});
    const Comparison found = compare(folder_ / "b.bitnet", file);
    for (const TensorComparison& tensor : found.tensors) {
      EXPECT_EQ(tensor.differing != 0, tensor.name == kHeadName) << tensor.name;
      if (tensor.differing == 0) continue;
      EXPECT_GT(tensor.largest_error, most / 10);
      EXPECT_LT(tensor.largest_error, most);
    }
  }
}

TEST_F(Dummies, OfOtherMetadataAreToldApart) {
  const std::string file = write("tiny-falcon3");
  const auto verdict = [&](const auto& change) {
    bitnet_test::write_file(folder_ / "b.bitnet", bitnet_test::reseal(bitnet_test::read_file(file), change));
    return compare(folder_ / "b.bitnet", file).verdict();
  };
  EXPECT_EQ(verdict([](fb::ModelT& model) { model.hyper->rope_theta = 10000; }),
            "not lossless: rope_theta is 10000, originally 1000042");
  EXPECT_EQ(verdict([](fb::ModelT& model) { model.tokenizer->eos = 3; }), "not lossless: eos is 3, originally 257");
  // The pieces of bytes 0 to 32 have two bytes each.
  EXPECT_EQ(verdict([](fb::ModelT& model) { model.tokenizer->pieces[66] = '?'; }),
            "not lossless: token 33 is ?, originally !");
  EXPECT_EQ(verdict([](fb::ModelT& model) { model.chat_template = "{{ x }}"; }), "lossless");
  EXPECT_EQ(compare(file, write("tiny-qwen3", {}, "b")).verdict(),
            "not lossless: the architecture is llama, originally qwen3");
}

TEST_F(Dummies, ComparedWithWhatIsNoModelSayWhich) {
  const std::string file = write("tiny");
  bitnet_test::write_file(folder_ / "text", "no model");
  const std::string message = refusal([&] { compare(file, folder_ / "text"); });
  EXPECT_NE(message.find("text"), std::string::npos) << message;
  EXPECT_NE(refusal([&] { compare(file, folder_ / "missing"); }).find("missing"), std::string::npos);
}

}  // namespace
}  // namespace bitnet
