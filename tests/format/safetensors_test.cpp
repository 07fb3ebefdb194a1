// SPDX-License-Identifier: MIT
// The reader of safetensors files: what it reads, and each way in which a file can be wrong.
#include "format/safetensors.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "base/error.h"
#include "format/files.h"
#include "format/json.h"
#include "format/safetensors_builder.h"

using namespace bitnet;
using namespace bitnet_test;

namespace {

std::vector<Safetensor> read(std::string_view file) { return read_safetensors(std::as_bytes(std::span(file))); }

template <typename Body>
testing::AssertionResult refuses(const Body& body, bitnet_status status, std::string_view word) {
  try {
    body();
  } catch (const Error& error) {
    const std::string message = error.what();
    if (error.status() == status && message.find(word) != message.npos) return testing::AssertionSuccess();
    return testing::AssertionFailure() << "status " << error.status() << ", \"" << message << "\"";
  }
  return testing::AssertionFailure() << "was taken; \"" << word << "\" was expected";
}

testing::AssertionResult refused(std::string_view file, std::string_view word,
                                 bitnet_status status = BITNET_ERROR_FORMAT) {
  return refuses([&] { read(file); }, status, word);
}

template <typename Number>
std::string bytes_of(const std::vector<Number>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(Number)};
}

std::vector<float> values_of(const Safetensor& tensor, uint64_t first = 0) {
  std::vector<float> out(tensor.rows * tensor.cols - first);
  safetensor_values(tensor, first, out);
  return out;
}

SafetensorsBuilder two_tensors() {
  SafetensorsBuilder builder;
  builder.tensor("a", "F32", {2, 3}, bytes_of<float>({1, 2, 3, 4, 5, 6}));
  builder.tensor("b", "BF16", {2}, bytes_of<uint16_t>({0x3f80, 0xc000}));
  return builder;
}

TEST(Safetensors, AreReadInEveryType) {
  SafetensorsBuilder builder;
  builder.metadata = R"({"format":"pt"})";
  builder.tensor("odd", "U8", {3}, "\x01\x02\xff");  // so that those that follow lie nowhere in particular
  builder.tensor("f64", "F64", {2}, bytes_of<double>({0.5, -1e300}));
  builder.tensor("f32", "F32", {2, 2}, bytes_of<float>({1, -2, 3.25f, 1e30f}));
  builder.tensor("f16", "F16", {2, 1}, bytes_of<uint16_t>({0x3c00, 0xfbff}));
  builder.tensor("bf16", "BF16", {1, 2}, bytes_of<uint16_t>({0x3f80, 0xc000}));
  builder.tensor("i8", "I8", {2}, "\x80\x7f");
  builder.tensor("scalar", "F32", {}, bytes_of<float>({7}));
  builder.tensor("empty", "F32", {0, 4}, "");
  builder.tensor("cube", "F16", {2, 3, 4}, std::string(48, '\0'));
  const std::string file = builder.build();
  const auto tensors = read(file);
  const auto find = [&](std::string_view name) -> const Safetensor& {
    return *std::ranges::find(tensors, name, &Safetensor::name);
  };
  ASSERT_EQ(tensors.size(), 9U);
  EXPECT_EQ(values_of(find("odd")), (std::vector<float>{1, 2, 255}));
  EXPECT_EQ(values_of(find("f64")), (std::vector<float>{0.5f, -INFINITY}));
  EXPECT_EQ(values_of(find("f32")), (std::vector<float>{1, -2, 3.25f, 1e30f}));
  EXPECT_EQ(values_of(find("f32"), 3), (std::vector<float>{1e30f}));
  EXPECT_EQ(values_of(find("f16")), (std::vector<float>{1, -65504}));
  EXPECT_EQ(values_of(find("bf16")), (std::vector<float>{1, -2}));
  EXPECT_EQ(values_of(find("i8")), (std::vector<float>{-128, 127}));
  EXPECT_EQ(values_of(find("scalar")), (std::vector<float>{7}));
  EXPECT_EQ(find("odd").rows, 1U);
  EXPECT_EQ(find("f32").rows, 2U);
  EXPECT_EQ(find("cube").rows, 6U);
  EXPECT_EQ(find("cube").cols, 4U);
  EXPECT_EQ(find("cube").dimensions, 3U);
}

TEST(Safetensors, TypesThatAreNotReadAreNamed) {
  SafetensorsBuilder builder;
  builder.tensor("ids", "I64", {2}, std::string(16, '\0'));
  builder.tensor("new", "Q9", {2}, "?");
  const std::string file = builder.build();
  const auto tensors = read(file);
  for (const Safetensor& tensor : tensors) EXPECT_EQ(tensor.type, Safetype::other);
  EXPECT_EQ(std::ranges::find(tensors, "new", &Safetensor::name)->type_name, "Q9");
}

TEST(Safetensors, HeadersThatAreNoneAreRefused) {
  EXPECT_TRUE(refused("", "too short"));
  EXPECT_TRUE(refused("GGUF\3\0\0", "too short"));
  EXPECT_TRUE(refused(SafetensorsBuilder::file("", "12345678"), "not JSON"));
  EXPECT_TRUE(refused("Once upon a time there was", "no safetensors file"));
  EXPECT_TRUE(refused(SafetensorsBuilder::file("[1]", ""), "not JSON"));
  EXPECT_TRUE(refused(SafetensorsBuilder::file("{\"a\":", ""), "is not JSON: there is a mistake at byte 6"));
  EXPECT_TRUE(
      refused(SafetensorsBuilder::file("{\"a\":3}", ""), "tensor \"a\": the whole is 3; expected is an object"));
  const std::string whole = two_tensors().build();
  EXPECT_TRUE(refused(whole.substr(0, 20), "cut short"));
  EXPECT_TRUE(refused(whole.substr(0, whole.size() - 1), "cut short"));
}

TEST(Safetensors, HeadersThatTakeMuchMemoryAreRefused) {
  EXPECT_TRUE(
      refused(SafetensorsBuilder::file("{" + std::string((8 << 20) + 1, ' ') + "}", ""), "its header would have"));
  const std::string deep = std::string(100, '[') + std::string(100, ']');
  EXPECT_TRUE(refused(SafetensorsBuilder::file("{\"__metadata__\":" + deep + "}", ""), "nested deeper"));
}

TEST(Safetensors, DamagedEntriesAreRefused) {
  const auto spoiled = [](const auto& spoil) {
    SafetensorsBuilder builder = two_tensors();
    spoil(builder.info("b"));
    return builder.build();
  };
  using Info = SafetensorsBuilder::Info;
  EXPECT_TRUE(refused(spoiled([](Info& info) { info.name = "a"; }), "same name twice"));
  EXPECT_TRUE(refused(SafetensorsBuilder::file("{\"b\":{}}", ""), "tensor \"b\": dtype is missing"));
  EXPECT_TRUE(refused(spoiled([](Info& info) { info.dtype = "F32"; }), "2 elements of F32 take 8"));
  EXPECT_TRUE(refused(spoiled([](Info& info) { info.shape = "[3]"; }), "3 elements of BF16 take 6"));
  EXPECT_TRUE(refused(spoiled([](Info& info) { info.shape = "2"; }), "tensor \"b\": shape is 2; expected is an array"));
  EXPECT_TRUE(refused(spoiled([](Info& info) { info.shape = "[-2]"; }), "shape[0] is -2"));
  EXPECT_TRUE(refused(spoiled([](Info& info) { info.shape = "[2.0]"; }), "shape[0] is 2.0"));
  EXPECT_TRUE(refused(spoiled([](Info& info) { info.shape = "[18446744073709551615,2]"; }),
                      "shape[0] is 18446744073709551615"));
  EXPECT_TRUE(refused(spoiled([](Info& info) { info.shape = "[4294967296,4294967296]"; }), "more elements than any"));
  EXPECT_TRUE(refused(spoiled([](Info& info) { info.shape = "[1,1,1,1,1,1,1,1,2]"; }), "9 dimensions",
                      BITNET_ERROR_UNSUPPORTED));
  EXPECT_TRUE(refused(spoiled([](Info& info) { std::swap(info.begin, info.end); }), "ends before it begins"));
  EXPECT_TRUE(refused(spoiled([](Info& info) { info.end = INT64_MAX; }), "the data, of which there are 28"));
  EXPECT_TRUE(refused(spoiled([](Info& info) { info.begin -= 2, info.end -= 2; }), "\"a\" and \"b\" overlap"));
  EXPECT_TRUE(refused(spoiled([](Info& info) { info.begin = 4, info.end = 8; }), "overlap"));
}

TEST(Safetensors, NoDamageAtRandomDoesHarm) {
  const std::string sound = two_tensors().build();
  std::mt19937 random(1);
  for (int i = 0; i < 20000; ++i) {
    std::string file = sound;
    for (uint32_t changes = random() % 3 + 1; changes != 0; --changes) {
      file[random() % file.size()] = static_cast<char>(random());
    }
    if (random() % 4 == 0) file.resize(random() % file.size());
    try {
      for (const Safetensor& tensor : read(file)) {
        if (tensor.type != Safetype::other) values_of(tensor);
      }
    } catch (const Error& error) {
      EXPECT_TRUE(error.status() == BITNET_ERROR_FORMAT || error.status() == BITNET_ERROR_UNSUPPORTED) << error.what();
    }
  }
}

// --- shards --------------------------------------------------------------------------------------------------------

class Shards : public testing::Test {
 protected:
  Shards() {
    SafetensorsBuilder first, second;
    first.tensor("a", "F32", {1}, bytes_of<float>({1}));
    second.tensor("b", "F32", {1}, bytes_of<float>({2}));
    second.tensor("c", "F32", {1}, bytes_of<float>({3}));
    write_file(folder / "model-00001-of-00002.safetensors", first.build());
    write_file(folder / "model-00002-of-00002.safetensors", second.build());
    index(R"("a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors")");
  }
  void index(const std::string& map) {
    write_file(folder / "model.safetensors.index.json", R"({"metadata":{"total_size":12},"weight_map":{)" + map + "}}");
  }
  testing::AssertionResult refused(std::string_view word, bitnet_status status = BITNET_ERROR_FORMAT) {
    return refuses([&] { Safetensors(folder / ""); }, status, word);
  }

  TemporaryFolder folder;
};

TEST_F(Shards, AreOneModel) {
  const Safetensors files(folder / "");
  ASSERT_EQ(files.tensors().size(), 3U);
  EXPECT_EQ(values_of(*files.find("a")), (std::vector<float>{1}));
  EXPECT_EQ(values_of(*files.find("b")), (std::vector<float>{2}));
  EXPECT_EQ(values_of(*files.find("c")), (std::vector<float>{3}));  // the index need not name all
  EXPECT_EQ(files.find("d"), nullptr);
  EXPECT_TRUE(files.is_mapped());
}

TEST_F(Shards, OneWholeFileComesFirstAsInTransformers) {
  SafetensorsBuilder whole;
  whole.tensor("a", "F32", {1}, bytes_of<float>({9}));
  write_file(folder / "model.safetensors", whole.build());
  EXPECT_EQ(Safetensors(folder / "").tensors().size(), 1U);
}

TEST_F(Shards, ThatAreMissingAreNamed) {
  std::filesystem::remove(folder / "model-00002-of-00002.safetensors");
  EXPECT_TRUE(refused("model-00002-of-00002.safetensors: cannot open", BITNET_ERROR_NOT_FOUND));
  EXPECT_TRUE(refused("names it as a shard", BITNET_ERROR_NOT_FOUND));
}

TEST_F(Shards, ThatAreDamagedAreNamed) {
  write_file(folder / "model-00002-of-00002.safetensors", "version https://git-lfs.github.com/spec/v1");
  EXPECT_TRUE(refused("model-00002-of-00002.safetensors: is a pointer of Git LFS"));
}

TEST_F(Shards, MustHoldWhatTheIndexSays) {
  index(R"("a":"model-00001-of-00002.safetensors","d":"model-00002-of-00002.safetensors")");
  EXPECT_TRUE(refused("model-00002-of-00002.safetensors: tensor \"d\" is not in it"));
}

TEST_F(Shards, MayNotHaveATensorTwice) {
  SafetensorsBuilder second;
  second.tensor("a", "F32", {1}, bytes_of<float>({2}));
  write_file(folder / "model-00002-of-00002.safetensors", second.build());
  index(R"("a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors")");
  EXPECT_TRUE(refused("model-00002-of-00002.safetensors: tensor \"a\" is in an earlier shard"));
}

TEST_F(Shards, OfADamagedIndexAreNotOpened) {
  index("");
  EXPECT_TRUE(refused("names no shards"));
  for (const char* const name : {"\"/etc/passwd\"", "\"../a\"", "\"\"", "\"..\"", "3", "\"a\\u0000b\"", "[\"a\"]"}) {
    index(std::string("\"a\":") + name);
    EXPECT_TRUE(refused("the shard of \"a\" is")) << name;
  }
  index(R"("a":"x","a":"y")");
  EXPECT_TRUE(refused("same name twice"));
  write_file(folder / "model.safetensors.index.json", "[]");
  EXPECT_TRUE(refused("model.safetensors.index.json: the whole is an array"));
  write_file(folder / "model.safetensors.index.json", "{}");
  EXPECT_TRUE(refused("weight_map is missing"));
  write_file(folder / "model.safetensors.index.json", "");
  EXPECT_TRUE(refused("is not JSON"));
}

}  // namespace
