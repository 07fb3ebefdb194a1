// SPDX-License-Identifier: MIT
// Damaged and hostile files: each is refused with its own error, nothing is left behind, and the next file opens.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <zstd.h>

#include <cmath>
#include <limits>
#include <random>

#include "base/error.h"
#include "format/convert.h"
#include "format/files.h"
#include "format/hf_sample.h"
#include "format/load.h"
#include "format/sample_model.h"
#include "format/verify.h"

using namespace bitnet;
using namespace bitnet_test;

namespace {

Model load(std::string_view file, const OpenOptions& options = {}) {
  return load_model(open_container(std::as_bytes(std::span(file)), options));
}

// The error that loading the file gives.
testing::AssertionResult refuses(std::string_view file, bitnet_status status, std::string_view word) {
  try {
    load(file);
  } catch (const Error& error) {
    const std::string message = error.what();
    if (error.status() == status && message.find(word) != message.npos) return testing::AssertionSuccess();
    return testing::AssertionFailure() << "status " << error.status() << ", \"" << message << "\", without \"" << word
                                       << "\"";
  }
  return testing::AssertionFailure() << "was taken; \"" << word << "\" was expected";
}

// Whatever the error, it must be one of the file's own.
bool is_refused(std::string_view file) {
  try {
    load(file);
    return false;
  } catch (const Error& error) {
    EXPECT_TRUE(error.status() == BITNET_ERROR_FORMAT || error.status() == BITNET_ERROR_UNSUPPORTED) << error.what();
    return true;
  }
}

const float kNan = std::numeric_limits<float>::quiet_NaN();
const float kInfinity = std::numeric_limits<float>::infinity();

// --- files as such -------------------------------------------------------------------------------------------------

testing::AssertionResult path_refused(const std::string& path, bitnet_status status, std::string_view word) {
  try {
    open_container(path);
  } catch (const Error& error) {
    const std::string message = error.what();
    if (error.status() == status && message.find(word) != message.npos && message.find(path) == 0) {
      return testing::AssertionSuccess();
    }
    return testing::AssertionFailure() << error.status() << " " << message;
  }
  return testing::AssertionFailure() << "was opened";
}

TEST(Path, ThatNamesNoModelIsRefused) {
  const TemporaryFolder folder;
  EXPECT_TRUE(path_refused(folder / "missing", BITNET_ERROR_NOT_FOUND, "No such file"));
  EXPECT_TRUE(path_refused("", BITNET_ERROR_NOT_FOUND, "No such file"));
  EXPECT_TRUE(path_refused(folder / "", BITNET_ERROR_FORMAT, "the folder has no config.json"));
  EXPECT_TRUE(path_refused("/dev/null", BITNET_ERROR_IO, "not a regular file"));
  write_file(folder / "empty", "");
  EXPECT_TRUE(path_refused(folder / "empty", BITNET_ERROR_FORMAT, "empty"));
  write_file(folder / "text", "Once upon a time");
  EXPECT_TRUE(path_refused(folder / "text/model", BITNET_ERROR_IO, "Not a directory"));
  EXPECT_TRUE(path_refused(folder / "text", BITNET_ERROR_FORMAT, "neither a .bitnet nor a GGUF"));
}

// --- .bitnet -------------------------------------------------------------------------------------------------------

class BitnetFile : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const TemporaryFolder folder;
    write_file(folder / "in.gguf", small_model().gguf().build());
    convert(folder / "in.gguf", folder / "plain.bitnet");
    convert(folder / "in.gguf", folder / "packed.bitnet", {.head = HeadType::int8, .zstd_level = 3});
    plain = read_file(folder / "plain.bitnet");
    packed = read_file(folder / "packed.bitnet");
  }
  void SetUp() override { ASSERT_GT(plain.size(), 8192u); }
  // After every refusal, the sound file opens.
  void TearDown() override {
    EXPECT_EQ(load(plain).layers.size(), 1u);
    EXPECT_EQ(load(packed).layers.size(), 1u);
  }

  static testing::AssertionResult refuses_change(bitnet_status status, std::string_view word,
                                                 const std::function<void(fb::ModelT&)>& change) {
    return refuses(reseal(plain, change), status, word);
  }
  static fb::TensorT& tensor(fb::ModelT& model, std::string_view name) {
    for (const auto& tensor : model.tensors) {
      if (tensor->name == name) return *tensor;
    }
    throw std::string("no such tensor");
  }

  static std::string plain, packed;
};
std::string BitnetFile::plain, BitnetFile::packed;

TEST_F(BitnetFile, TruncatedAnywhereIsRefused) {
  for (const std::string& file : {plain, packed}) {
    for (size_t size = 0; size < 64; ++size) EXPECT_TRUE(is_refused(file.substr(0, size))) << size;
    for (size_t size = 4096; size < file.size(); size += 4096) {
      EXPECT_TRUE(refuses(file.substr(0, size), BITNET_ERROR_FORMAT, "truncated")) << size;
    }
    EXPECT_TRUE(refuses(file.substr(0, file.size() - 1), BITNET_ERROR_FORMAT, "truncated"));
    EXPECT_TRUE(refuses(file + "x", BITNET_ERROR_FORMAT, "truncated or was changed"));
  }
}

TEST_F(BitnetFile, ScreensThatCannotBeTrustedAreRefused) {
  const TemporaryFolder folder;
  write_file(folder / "plain.bitnet", plain);
  convert(folder / "plain.bitnet", folder / "screened.bitnet", {.head = HeadType::screened});
  const std::string screened = read_file(folder / "screened.bitnet");
  EXPECT_NE(load(screened).screen.data, nullptr);
  const auto refuses_screen = [&](std::string_view word, const std::function<void(fb::TensorT&)>& change) {
    return refuses(reseal(screened, [&](fb::ModelT& model) { change(tensor(model, kScreenName)); }),
                   BITNET_ERROR_FORMAT, word);
  };
  EXPECT_TRUE(refuses_screen("bound", [](fb::TensorT& t) { t.bounds[1] = -0.5f; }));
  EXPECT_TRUE(refuses_screen("bound", [](fb::TensorT& t) { t.bounds[1] = std::nanf(""); }));
  EXPECT_TRUE(refuses_screen("bound", [](fb::TensorT& t) { t.bounds[1] = INFINITY; }));
  EXPECT_TRUE(refuses_screen("bounds", [](fb::TensorT& t) { t.bounds.pop_back(); }));
  EXPECT_TRUE(refuses_screen("bounds", [](fb::TensorT& t) { t.bounds.clear(); }));
  EXPECT_TRUE(refuses_screen("scale", [](fb::TensorT& t) { t.scales[0] = 0; }));
  EXPECT_TRUE(refuses_screen("scales", [](fb::TensorT& t) { t.scales.pop_back(); }));
  EXPECT_TRUE(refuses_screen("fit its type", [](fb::TensorT& t) { t.stride = 64; }));
  EXPECT_TRUE(refuses_screen("fit its type", [](fb::TensorT& t) { t.type = fb::Type::q6; }));
  EXPECT_TRUE(refuses_screen("fit its type", [](fb::TensorT& t) { t.rows += 16; }));
  EXPECT_TRUE(refuses(reseal(screened, [&](fb::ModelT& m) { tensor(m, kEmbeddingName).bounds = {1}; }),
                      BITNET_ERROR_FORMAT, "bounds"));

  write_file(folder / "loose.bitnet", reseal(screened, [](fb::ModelT& m) { tensor(m, kScreenName).bounds[1] *= 2; }));
  EXPECT_TRUE(verify(folder / "loose.bitnet").sound());
  write_file(folder / "tight.bitnet",
             reseal(screened, [](fb::ModelT& m) { tensor(m, kScreenName).bounds[1] *= 0.999f; }));
  const VerifyReport report = verify(folder / "tight.bitnet");
  EXPECT_FALSE(report.sound());
  EXPECT_NE(report.tensors.back().problem.find("bound of row 1 "), std::string::npos) << report.tensors.back().problem;

  convert(folder / "plain.bitnet", folder / "q6.bitnet", {.head = HeadType::q6});
  EXPECT_TRUE(
      refuses(reseal(read_file(folder / "q6.bitnet"), [&](fb::ModelT& m) { tensor(m, kHeadName).name = kScreenName; }),
              BITNET_ERROR_FORMAT, "bounds"));
}

TEST_F(BitnetFile, AnyFlippedBitOfTheHeaderIsFound) {
  for (size_t bit = 0; bit < 64 * 8; ++bit) {
    std::string file = plain;
    file[bit / 8] = static_cast<char>(file[bit / 8] ^ 1 << bit % 8);
    EXPECT_TRUE(is_refused(file)) << "bit " << bit;
  }
}

TEST_F(BitnetFile, AnyFlippedBitOfTheMetadataIsFound) {
  uint64_t begin;
  std::memcpy(&begin, plain.data() + kMetadataOffset, sizeof begin);
  for (size_t bit = begin * 8; bit < plain.size() * 8; ++bit) {
    std::string file = plain;
    file[bit / 8] = static_cast<char>(file[bit / 8] ^ 1 << bit % 8);
    ASSERT_TRUE(refuses(file, BITNET_ERROR_FORMAT, "metadata's checksum")) << "bit " << bit;
  }
}

TEST_F(BitnetFile, AFlippedBitOfATensorIsFoundWhenAsked) {
  const TemporaryFolder folder;
  const auto container = open_container(std::as_bytes(std::span(plain)));
  for (const fb::Tensor* entry : *container->metadata().tensors()) {
    std::string file = plain;
    file[entry->offset() + entry->stored_size() / 2] ^= 16;
    write_file(folder / "flipped.bitnet", file);
    const VerifyReport report = verify(folder / "flipped.bitnet");
    EXPECT_FALSE(report.sound());
    for (const TensorReport& tensor : report.tensors) {
      EXPECT_EQ(tensor.problem, tensor.name == entry->name()->str() ? "wrong checksum" : "");
    }
    EXPECT_THROW(open_container(folder / "flipped.bitnet", {.verify_checksums = true}), Error);
    EXPECT_THROW(convert(folder / "flipped.bitnet", folder / "out.bitnet"), Error);
  }
  EXPECT_EQ(folder.files(), 1u);
}

TEST_F(BitnetFile, RandomDamageBehindRightChecksumsNeverHarms) {
  uint64_t offset, stored, raw_size;
  std::memcpy(&offset, plain.data() + kMetadataOffset, 8);
  std::memcpy(&stored, plain.data() + kMetadataStored, 8);
  std::memcpy(&raw_size, plain.data() + kMetadataRaw, 8);
  std::string raw(raw_size, '\0');
  ASSERT_EQ(ZSTD_decompress(raw.data(), raw.size(), plain.data() + offset, stored), raw_size);
  std::minstd_rand random(1);
  int refused = 0;
  for (int i = 0; i < 4000; ++i) {
    std::string damaged = raw;
    for (int flips = i % 3; flips >= 0; --flips) damaged[random() % raw.size()] = static_cast<char>(random() >> 8);
    try {
      load(replace_metadata(plain, damaged));  // may be harmless: a letter of a name
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 1000);
}

TEST_F(BitnetFile, HeaderThatLiesIsRefused) {
  EXPECT_TRUE(refuses(set_header(plain, kVersion, 2), BITNET_ERROR_UNSUPPORTED, "format version 2"));
  EXPECT_TRUE(refuses(set_header(plain, kFileSize, plain.size() + 1), BITNET_ERROR_FORMAT, "truncated"));
  EXPECT_TRUE(refuses(set_header(plain, kMetadataOffset, plain.size() + 1), BITNET_ERROR_FORMAT, "outside the file"));
  EXPECT_TRUE(refuses(set_header(plain, kMetadataOffset, ~uint64_t{0}), BITNET_ERROR_FORMAT, "outside the file"));
  EXPECT_TRUE(refuses(set_header(plain, kMetadataOffset, 8), BITNET_ERROR_FORMAT, "outside the file"));
  EXPECT_TRUE(refuses(set_header(plain, kMetadataStored, ~uint64_t{0}), BITNET_ERROR_FORMAT, "outside the file"));
  EXPECT_TRUE(refuses(set_header(plain, kMetadataRaw, uint64_t{1} << 40), BITNET_ERROR_FORMAT, "format allows"));
  EXPECT_TRUE(refuses(set_header(plain, kMetadataRaw, 1000), BITNET_ERROR_FORMAT, "announce"));
}

TEST_F(BitnetFile, MetadataThatIsNoneIsRefused) {
  EXPECT_TRUE(refuses(replace_metadata(plain, ""), BITNET_ERROR_FORMAT, "valid table"));
  EXPECT_TRUE(refuses(replace_metadata(plain, std::string(100, 'x')), BITNET_ERROR_FORMAT, "valid table"));
  EXPECT_TRUE(refuses(replace_frame(plain, "no frame at all", 100), BITNET_ERROR_FORMAT, "announce"));
}

TEST_F(BitnetFile, MetadataThatUnpacksWithoutEndIsRefused) {
  // A gigabyte of zeros in some tens of kilobytes, announced truly, falsely, and not at all.
  const std::string zeros(size_t{64} << 20, '\0');
  std::string bomb(ZSTD_compressBound(zeros.size()), '\0');
  bomb.resize(ZSTD_compress(bomb.data(), bomb.size(), zeros.data(), zeros.size(), 1));
  std::string frames;
  for (int i = 0; i < 16; ++i) frames += bomb;
  EXPECT_TRUE(refuses(replace_frame(plain, frames, zeros.size() * 16), BITNET_ERROR_FORMAT, "format allows"));
  EXPECT_TRUE(refuses(replace_frame(plain, frames, zeros.size()), BITNET_ERROR_FORMAT, "unpack"));
  EXPECT_TRUE(refuses(replace_frame(plain, bomb, 1000), BITNET_ERROR_FORMAT, "announce"));
  EXPECT_TRUE(refuses(replace_frame(plain, bomb, zeros.size()), BITNET_ERROR_FORMAT, "valid table"));
}

// Each note has the same text; copied for each of them it would take more than the format allows.
TEST_F(BitnetFile, MetadataThatHoldsATextManyTimesIsRefused) {
  std::string shared;
  reseal(plain, [&](fb::ModelT& model) {
    flatbuffers::FlatBufferBuilder builder;
    const auto text = builder.CreateString(std::string(size_t{16} << 20, 'x'));
    std::vector<flatbuffers::Offset<fb::KeyValue>> notes;
    for (int i = 0; i < 20; ++i) notes.push_back(fb::CreateKeyValue(builder, text, fb::ValueKind::text, text));
    std::vector<flatbuffers::Offset<fb::Tensor>> tensors;
    for (const auto& tensor : model.tensors) tensors.push_back(fb::Tensor::Pack(builder, tensor.get()));
    const auto hyper = fb::HyperParameters::Pack(builder, model.hyper.get());
    const auto tokenizer = fb::Tokenizer::Pack(builder, model.tokenizer.get());
    const auto architecture = builder.CreateString(model.architecture);
    const auto all_tensors = builder.CreateVector(tensors);
    const auto all_notes = builder.CreateVector(notes);
    fb::FinishModelBuffer(builder, fb::CreateModel(builder, architecture, 0, 0, hyper, tokenizer, 0, model.tied,
                                                   all_tensors, all_notes, true));
    shared.assign(reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize());
  });
  EXPECT_TRUE(refuses(replace_metadata(plain, shared), BITNET_ERROR_FORMAT, "many in one place"));
}

TEST_F(BitnetFile, TensorsThatDoNotFitTheFileAreRefused) {
  const auto refuses_tensor = [&](std::string_view word, const std::function<void(fb::TensorT&)>& change) {
    const auto change_model = [&](fb::ModelT& model) { change(tensor(model, "blk.0.ffn_up.weight")); };
    auto result = refuses_change(BITNET_ERROR_FORMAT, word, change_model);
    return result ? refuses_change(BITNET_ERROR_FORMAT, "blk.0.ffn_up.weight", change_model) : result;
  };
  EXPECT_TRUE(refuses_tensor("outside the file", [](auto& t) { t.offset = uint64_t{1} << 40; }));
  EXPECT_TRUE(refuses_tensor("outside the file", [](auto& t) { t.offset = ~uint64_t{63}; }));
  EXPECT_TRUE(refuses_tensor("outside the file", [](auto& t) { t.stored_size = ~uint64_t{0}; }));
  EXPECT_TRUE(refuses_tensor("no multiple of 64", [](auto& t) { t.offset += 8; }));
  EXPECT_TRUE(refuses_tensor("overlap", [](auto& t) { t.offset = 0; }));
  EXPECT_TRUE(refuses_tensor("overlap", [](auto& t) { t.offset += 64; }));
  EXPECT_TRUE(refuses_tensor("bytes instead of", [](auto& t) { t.stored_size -= 64; }));
  EXPECT_TRUE(refuses_tensor("does not fit its type", [](auto& t) { t.raw_size -= 64; }));
  EXPECT_TRUE(refuses_tensor("does not fit its type", [](auto& t) { t.stride = 64; }));
  EXPECT_TRUE(refuses_tensor("does not fit its type", [](auto& t) { t.rows = 1 << 20; }));
  EXPECT_TRUE(refuses_tensor("impossible shape", [](auto& t) { t.rows = ~0u; }));
  EXPECT_TRUE(refuses_tensor("impossible shape", [](auto& t) { t.cols = 0; }));
  EXPECT_TRUE(refuses_tensor("claims to unpack", [](auto& t) { t.codec = fb::Codec::zstd; }));
  EXPECT_TRUE(refuses_change(BITNET_ERROR_UNSUPPORTED, "newer libbitnet", [](fb::ModelT& model) {
    tensor(model, "blk.0.ffn_up.weight").type = static_cast<fb::Type>(9);
  }));
  EXPECT_TRUE(refuses_change(BITNET_ERROR_UNSUPPORTED, "newer libbitnet", [](fb::ModelT& model) {
    tensor(model, "blk.0.ffn_up.weight").codec = static_cast<fb::Codec>(9);
  }));
}

TEST_F(BitnetFile, TensorsThatDoNotFitTheModelAreRefused) {
  EXPECT_TRUE(refuses_change(BITNET_ERROR_FORMAT, "output_norm.weight is missing",
                             [](auto& m) { tensor(m, "output_norm.weight").name = "other"; }));
  EXPECT_TRUE(refuses_change(BITNET_ERROR_FORMAT, "appears twice",
                             [](auto& m) { tensor(m, "blk.0.attn_q.weight").name = "blk.0.attn_k.weight"; }));
  EXPECT_TRUE(refuses_change(BITNET_ERROR_FORMAT, "hyperparameters ask for", [](auto& m) { m.hyper->ffn = 97; }));
  EXPECT_TRUE(refuses_change(BITNET_ERROR_FORMAT, "hyperparameters ask for", [](auto& m) { m.hyper->heads = 2; }));
  EXPECT_TRUE(
      refuses_change(BITNET_ERROR_FORMAT, "blk.1.attn_norm.weight is missing", [](auto& m) { m.hyper->layers = 2; }));
  EXPECT_TRUE(refuses_change(BITNET_ERROR_FORMAT, "output.weight is missing", [](auto& m) { m.tied = false; }));
}

TEST_F(BitnetFile, TensorsBeyondTheModelsOwnAreRefused) {
  const TemporaryFolder folder;
  SampleModel two_layers = small_model();
  two_layers.layers = 2;
  write_file(folder / "in.gguf", two_layers.draw().gguf().build());
  convert(folder / "in.gguf", folder / "out.bitnet");
  const std::string file = reseal(read_file(folder / "out.bitnet"), [](fb::ModelT& model) { model.hyper->layers = 1; });
  EXPECT_TRUE(refuses(file, BITNET_ERROR_UNSUPPORTED, "architecture does not have"));
}

TEST_F(BitnetFile, ScalesThatAreNoneAreRefused) {
  for (const float scale : {kNan, kInfinity, -kInfinity, 0.0f, -1.0f}) {
    EXPECT_TRUE(refuses_change(BITNET_ERROR_FORMAT, "finite and positive",
                               [&](auto& m) { tensor(m, "blk.0.attn_q.weight").scales = {scale}; }));
  }
  for (const size_t count : {0, 2, 63, 65}) {
    EXPECT_TRUE(refuses_change(BITNET_ERROR_FORMAT, "scales",
                               [&](auto& m) { tensor(m, "blk.0.attn_q.weight").scales.assign(count, 1.0f); }));
  }
  EXPECT_TRUE(
      refuses_change(BITNET_ERROR_FORMAT, "scales", [](auto& m) { tensor(m, "output_norm.weight").scales = {1}; }));
}

TEST_F(BitnetFile, NormsThatAreNoNumbersAreRefused) {
  const auto container = open_container(std::as_bytes(std::span(plain)));
  for (const fb::Tensor* entry : *container->metadata().tensors()) {
    if (entry->type() != fb::Type::f32) continue;
    std::string file = plain;
    std::memcpy(file.data() + entry->offset() + 4, &kNan, sizeof kNan);
    EXPECT_TRUE(refuses(file, BITNET_ERROR_FORMAT, entry->name()->str() + ", column 1"));
  }
}

TEST_F(BitnetFile, HyperparametersOutOfBoundsAreRefused) {
  const auto refuses_hyper = [&](std::string_view word, const std::function<void(fb::HyperParametersT&)>& change) {
    return refuses_change(BITNET_ERROR_FORMAT, word, [&](fb::ModelT& model) { change(*model.hyper); });
  };
  EXPECT_TRUE(refuses_hyper("layers is 0", [](auto& h) { h.layers = 0; }));
  EXPECT_TRUE(refuses_hyper("layers is 4294967295", [](auto& h) { h.layers = ~0u; }));
  EXPECT_TRUE(refuses_hyper("hidden is 4294967295", [](auto& h) { h.hidden = ~0u; }));
  EXPECT_TRUE(refuses_hyper("ffn is 0", [](auto& h) { h.ffn = 0; }));
  EXPECT_TRUE(refuses_hyper("kv_heads is 5", [](auto& h) { h.kv_heads = 5; }));
  EXPECT_TRUE(refuses_hyper("not a multiple of kv_heads", [](auto& h) { h.kv_heads = 3; }));
  EXPECT_TRUE(refuses_hyper("odd", [](auto& h) { h.head_dim = 15; }));
  EXPECT_TRUE(refuses_hyper("heads x head_dim", [](auto& h) { h.heads = h.head_dim = 4096; }));
  EXPECT_TRUE(refuses_hyper("context is 0", [](auto& h) { h.context = 0; }));
  EXPECT_TRUE(refuses_hyper("rms_epsilon", [](auto& h) { h.rms_epsilon = kNan; }));
  EXPECT_TRUE(refuses_hyper("rope_theta", [](auto& h) { h.rope_theta = kInfinity; }));
  EXPECT_TRUE(refuses_change(BITNET_ERROR_UNSUPPORTED, "activation",
                             [](auto& m) { m.hyper->activation = static_cast<fb::Activation>(7); }));
  EXPECT_TRUE(refuses_change(BITNET_ERROR_UNSUPPORTED, "architecture", [](auto& m) { m.architecture = "llama"; }));
}

TEST_F(BitnetFile, TokenizersThatContradictThemselvesAreRefused) {
  const auto refuses_tokenizer = [&](std::string_view word, const std::function<void(fb::TokenizerT&)>& change) {
    return refuses_change(BITNET_ERROR_FORMAT, word, [&](fb::ModelT& model) { change(*model.tokenizer); });
  };
  EXPECT_TRUE(refuses_tokenizer("19 tokens", [](auto& t) { t.ends.pop_back(); }));
  EXPECT_TRUE(refuses_tokenizer("19 types", [](auto& t) { t.types.pop_back(); }));
  EXPECT_TRUE(refuses_tokenizer("1 score for", [](auto& t) { t.scores = {1}; }));
  EXPECT_TRUE(refuses_tokenizer("0 scores", [](auto& t) {
    t.kind = fb::TokenizerKind::sentencepiece;
    t.merges.clear();
  }));
  EXPECT_TRUE(refuses_tokenizer("20 scores", [](auto& t) {
    t.kind = fb::TokenizerKind::sentencepiece;
    t.scores.assign(20, 0);
  }));
  EXPECT_TRUE(refuses_tokenizer("token 1 ends", [](auto& t) { t.ends[1] = 0; }));
  EXPECT_TRUE(refuses_tokenizer("token 19 ends", [](auto& t) { t.ends[19] = ~0u; }));
  EXPECT_TRUE(refuses_tokenizer("token 5 has an unknown type", [](auto& t) { t.types[5] = 0; }));
  EXPECT_TRUE(refuses_tokenizer("merge 0", [](auto& t) { t.merges[0] = fb::Merge(0, 20); }));
  EXPECT_TRUE(refuses_tokenizer("merge 0", [](auto& t) { t.merges[0] = fb::Merge(-1, 0); }));
  EXPECT_TRUE(refuses_tokenizer("eos", [](auto& t) { t.eos = 20; }));
  EXPECT_TRUE(refuses_tokenizer("bos", [](auto& t) { t.bos = -2; }));
  EXPECT_TRUE(refuses_change(BITNET_ERROR_UNSUPPORTED, "tokenizer",
                             [](auto& m) { m.tokenizer->kind = static_cast<fb::TokenizerKind>(7); }));
  EXPECT_TRUE(refuses_change(BITNET_ERROR_UNSUPPORTED, "spaces before texts",
                             [](auto& m) { m.tokenizer->space_prefix = static_cast<fb::SpacePrefix>(3); }));
}

TEST_F(BitnetFile, CompressedTensorsThatAreDamagedAreRefused) {
  const auto container = open_container(std::as_bytes(std::span(packed)));
  for (const fb::Tensor* entry : *container->metadata().tensors()) {
    std::string file = packed;
    // The frame's header is 4 bytes of magic, a descriptor and the size; behind it everything is coded.
    for (uint64_t i = entry->offset() + 16; i < entry->offset() + entry->stored_size(); i += 7) file[i] ^= 0x55;
    try {
      load(file, {.verify_checksums = true});
      ADD_FAILURE() << entry->name()->str() << " was taken";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(entry->name()->str()), std::string::npos) << error.what();
    }
  }
  EXPECT_TRUE(refuses(reseal(packed,
                             [](fb::ModelT& m) {
                               auto& t = tensor(m, "token_embd.weight");
                               t.stored_size = t.raw_size / 17;
                             }),
                      BITNET_ERROR_FORMAT, "format does not allow"));
}

// --- GGUF ----------------------------------------------------------------------------------------------------------

class GgufFile : public testing::Test {
 protected:
  void TearDown() override { EXPECT_EQ(load(small_model().gguf().build()).layers.size(), 1u); }

  SampleModel sample = small_model();
  GgufBuilder gguf = sample.gguf();
};

template <typename Number>
std::string patched(std::string file, size_t at, Number value) {
  std::memcpy(file.data() + at, &value, sizeof value);
  return file;
}

TEST_F(GgufFile, TruncatedAnywhereIsRefused) {
  const std::string file = gguf.build();
  for (size_t size = 1; size < 64; ++size) EXPECT_TRUE(is_refused(std::string_view(file).substr(0, size))) << size;
  for (size_t size = 64; size < file.size() - 32; size += 61) {
    EXPECT_TRUE(is_refused(std::string_view(file).substr(0, size))) << size;
  }
  for (size_t size = 4096; size < file.size(); size += 4096) {
    EXPECT_TRUE(refuses(std::string_view(file).substr(0, size), BITNET_ERROR_FORMAT, "truncated")) << size;
  }
}

TEST_F(GgufFile, RandomDamageNeverHarms) {
  const std::string file = gguf.build();
  std::minstd_rand random(2);
  const size_t structure = file.size() - gguf.data.size();
  int refused = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string damaged = file;
    for (int flips = i % 3; flips >= 0; --flips) damaged[random() % structure] = static_cast<char>(random() >> 8);
    try {
      load(damaged);
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 1000);
}

TEST_F(GgufFile, VersionsAndCountsThatLieAreRefused) {
  const std::string file = gguf.build();
  EXPECT_TRUE(refuses(patched(file, 4, uint32_t{1}), BITNET_ERROR_UNSUPPORTED, "version 1"));
  EXPECT_TRUE(refuses(patched(file, 4, uint32_t{4}), BITNET_ERROR_UNSUPPORTED, "version 4"));
  EXPECT_TRUE(refuses(patched(file, 4, uint32_t{3} << 24), BITNET_ERROR_UNSUPPORTED, "big-endian"));
  EXPECT_TRUE(refuses(patched(file, 8, ~uint64_t{0}), BITNET_ERROR_FORMAT, "tensors, more than"));
  EXPECT_TRUE(refuses(patched(file, 16, ~uint64_t{0}), BITNET_ERROR_FORMAT, "metadata values, more than"));
  EXPECT_TRUE(refuses(patched(file, 24, ~uint64_t{0}), BITNET_ERROR_FORMAT, "ends inside a metadata key"));
  gguf.version = 2;
  EXPECT_EQ(load(gguf.build()).layers.size(), 1u);
}

TEST_F(GgufFile, ArraysThatLieAreRefused) {
  std::string array;
  for (const uint32_t element : {0, 8, 9, 10}) {
    GgufBuilder other = sample.gguf();
    array.clear();
    append(array, element);
    append(array, uint64_t{1} << 61);
    other.raw("huge", 9, array);
    EXPECT_TRUE(refuses(other.build(), BITNET_ERROR_FORMAT, "huge is an array of"));
  }
  // Of arrays, one of which is longer than the file, of an unknown type, or not there.
  const auto nested = [&](uint32_t element, uint64_t count) {
    std::string bytes;
    append(bytes, uint32_t{9});
    append(bytes, uint64_t{1});
    append(bytes, element);
    append(bytes, count);
    GgufBuilder other = sample.gguf();
    other.raw("nested", 9, bytes);
    return other.build();
  };
  EXPECT_TRUE(refuses(nested(4, uint64_t{1} << 40), BITNET_ERROR_FORMAT, "nested is an array of"));
  EXPECT_TRUE(refuses(nested(9, uint64_t{1} << 61), BITNET_ERROR_FORMAT, "nested is an array of"));
  EXPECT_TRUE(refuses(nested(13, 1), BITNET_ERROR_FORMAT, "nested has unknown type 13"));
  GgufBuilder unknown = sample.gguf();
  unknown.raw("strange", 13, "");
  EXPECT_TRUE(refuses(unknown.build(), BITNET_ERROR_FORMAT, "strange has unknown type 13"));
  GgufBuilder twice = sample.gguf();
  twice.string("general.name", "again");
  EXPECT_TRUE(refuses(twice.build(), BITNET_ERROR_FORMAT, "general.name appears twice"));
}

TEST_F(GgufFile, TensorsThatLieAreRefused) {
  const auto refuses_info = [&](bitnet_status status, std::string_view word,
                                const std::function<void(GgufBuilder::Info&)>& change) {
    GgufBuilder other = sample.gguf();
    change(other.info("blk.0.ffn_up.weight"));
    return refuses(other.build(), status, word);
  };
  EXPECT_TRUE(refuses_info(BITNET_ERROR_FORMAT, "beyond the end", [](auto& t) { t.offset = uint64_t{1} << 62; }));
  EXPECT_TRUE(refuses_info(BITNET_ERROR_FORMAT, "beyond the end", [](auto& t) { t.offset = ~uint64_t{31}; }));
  EXPECT_TRUE(refuses_info(BITNET_ERROR_FORMAT, "no multiple of the alignment", [](auto& t) { t.offset += 1; }));
  EXPECT_TRUE(refuses_info(BITNET_ERROR_FORMAT, "overlap", [](auto& t) { t.offset -= 32; }));
  EXPECT_TRUE(refuses_info(BITNET_ERROR_FORMAT, "overlap", [](auto& t) { t.offset = 0; }));
  EXPECT_TRUE(refuses_info(BITNET_ERROR_UNSUPPORTED, "GGUF type 4294967295 (unknown)", [](auto& t) { t.type = ~0u; }));
  EXPECT_TRUE(refuses_info(BITNET_ERROR_FORMAT, "no multiple of 256", [](auto& t) { t.type = 34; }));
  EXPECT_TRUE(refuses_info(BITNET_ERROR_FORMAT, "impossible shape", [](auto& t) {
    t.shape = {1ull << 32, 1ull << 32};
  }));
  EXPECT_TRUE(refuses_info(BITNET_ERROR_FORMAT, "impossible shape", [](auto& t) { t.shape = {0, 96}; }));
  EXPECT_TRUE(refuses_info(BITNET_ERROR_FORMAT, "hyperparameters ask for", [](auto& t) { t.shape = {}; }));
  EXPECT_TRUE(refuses_info(BITNET_ERROR_FORMAT, "dimensions", [](auto& t) { t.shape = {1, 1, 1, 1, 1}; }));
  EXPECT_TRUE(refuses_info(BITNET_ERROR_UNSUPPORTED, "more than three", [](auto& t) { t.shape = {64, 48, 1, 2}; }));
  EXPECT_TRUE(refuses_info(BITNET_ERROR_FORMAT, "is 2 matrices of 48 x 64", [](auto& t) { t.shape = {64, 48, 2}; }));
  EXPECT_TRUE(refuses_info(BITNET_ERROR_FORMAT, "impossible shape", [](auto& t) {
    t.shape = {1, 1ull << 32, 1ull << 32};
  }));
  EXPECT_TRUE(refuses_info(BITNET_ERROR_FORMAT, "hyperparameters ask for", [](auto& t) { t.shape = {96, 64}; }));
  EXPECT_TRUE(refuses_info(BITNET_ERROR_FORMAT, "appears twice", [](auto& t) { t.name = "blk.0.attn_q.weight"; }));
  EXPECT_TRUE(refuses_info(BITNET_ERROR_FORMAT, "blk.0.ffn_up.weight is missing", [](auto& t) { t.name = "x"; }));
}

TEST_F(GgufFile, TypesThatAreNotReadAreRefusedByNameWithThoseThatAre) {
  struct Type {
    uint32_t number;
    const char* shown;
  };
  constexpr Type kTypes[] = {{9, "GGUF type 9 (Q8_1)"},
                             {16, "GGUF type 16 (IQ2_XXS)"},
                             {24, "GGUF type 24 (I8)"},
                             {40, "GGUF type 40 (NVFP4)"},
                             {137, "GGUF type 137 (IQ2_K of ik_llama.cpp)"},
                             {399, "GGUF type 399 (Q8_K_R8 of ik_llama.cpp)"}};
  for (const Type& type : kTypes) {
    GgufBuilder other = sample.gguf();
    other.info("blk.0.ffn_up.weight").type = type.number;
    const std::string file = other.build();
    EXPECT_TRUE(refuses(file, BITNET_ERROR_UNSUPPORTED, type.shown));
    EXPECT_TRUE(refuses(file, BITNET_ERROR_UNSUPPORTED, "tensor blk.0.ffn_up.weight"));
    EXPECT_TRUE(refuses(file, BITNET_ERROR_UNSUPPORTED, "F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K"));
    EXPECT_TRUE(refuses(file, BITNET_ERROR_UNSUPPORTED, "I2_S"));
  }
}

// A number of several types is one of them by the room that its tensors have.
TEST_F(GgufFile, NumbersOfSeveralTypesAreRefusedUnlessTheSizesTellWhich) {
  struct Type {
    uint32_t number;
    const char* shown;
  };
  constexpr Type kTypes[] = {
      {39, "GGUF type 39, TL2 or MXFP4; the sizes of the tensors are not those of TL2"},
      {42, "GGUF type 42, Q2_0 or Q2_0 in blocks of 128; the sizes of the tensors are not those of either"},
      {134, "GGUF type 134, IQ1_BN or IQ1_BN of ik_llama.cpp before rows had scales; the sizes"},
      {135, "GGUF type 135, IQ2_BN or IQ2_BN of ik_llama.cpp before rows had scales; the sizes"},
      {142, "GGUF type 142, PQ2_0 or IQ2_TN of ik_llama.cpp; the sizes of the tensors are not those of PQ2_0"},
      {143, "GGUF type 143, PTQ1_0 or IQ1_TN of ik_llama.cpp; the sizes"},
  };
  for (const Type& type : kTypes) {
    GgufBuilder other = sample.gguf();
    other.info("blk.0.ffn_up.weight").type = type.number;
    EXPECT_TRUE(refuses(other.build(), BITNET_ERROR_UNSUPPORTED, type.shown));
  }
  // One tensor, of 4 x 128 weights, has the same room in either kind of Q2_0.
  GgufBuilder other = sample.gguf();
  other.tensor("x", {128, 4}, 42, std::string(144, '\0'));
  EXPECT_TRUE(refuses(other.build(), BITNET_ERROR_UNSUPPORTED, "the sizes of the tensors do not show which"));
  // A gap behind one of two tensors fits neither kind, though each of them would lie there.
  other.tensor("y", {128, 64}, 42, std::string(128 * 64 / 64 * 18 + 64, '\0'));
  EXPECT_TRUE(refuses(other.build(), BITNET_ERROR_UNSUPPORTED, "are not those of either of the two"));
}

TEST_F(GgufFile, MatricesOfTritsAreRefusedInShapesThatTheyDoNotHave) {
  const auto refuses_type = [&](uint32_t type, size_t size, bitnet_status status, std::string_view word) {
    GgufBuilder other;
    const GgufBuilder plain = sample.gguf();
    other = sample.gguf();
    other.infos.clear();
    other.data.clear();
    for (const auto& info : plain.infos) {
      const bool changed = info.name == "blk.0.ffn_up.weight";
      const size_t next = &info == &plain.infos.back() ? plain.data.size() : (&info)[1].offset;
      other.tensor(info.name, info.shape, changed ? type : info.type,
                   changed ? std::string(size, '\0') : plain.data.substr(info.offset, next - info.offset));
    }
    return refuses(other.build(), status, word);
  };
  // 96 x 64.
  EXPECT_TRUE(refuses_type(38, 96 * 64 / 4, BITNET_ERROR_UNSUPPORTED,
                           "tensor blk.0.ffn_up.weight is 96 x 64, no whole number of blocks in the TL1 layout"));
  EXPECT_TRUE(refuses_type(335, 96 * 20 - 32, BITNET_ERROR_FORMAT, "tensor blk.0.ffn_up.weight (1920 bytes at"));
  GgufBuilder embedding = sample.gguf();
  embedding.info("token_embd.weight").type = 36;
  EXPECT_TRUE(refuses(embedding.build(), BITNET_ERROR_UNSUPPORTED, "I2_S, which is only for ternary matrices"));
}

TEST_F(GgufFile, Tl1WithoutItsScaleIsRefused) {
  SampleModel model;
  model.layers = 1;
  model.weights = Encoding::tl1;
  model.draw();
  GgufBuilder other = model.gguf();
  std::erase_if(other.infos, [](const auto& info) { return info.name == "blk.0.attn_k.weight_scale"; });
  EXPECT_TRUE(refuses(other.build(), BITNET_ERROR_FORMAT, "tensor blk.0.attn_k.weight_scale is missing"));
}

TEST_F(GgufFile, TensorsThatAreNotOfTheArchitectureAreRefused) {
  gguf.tensor("blk.0.attn_q.bias", {64}, 0, std::string(256, '\0'));
  EXPECT_TRUE(refuses(gguf.build(), BITNET_ERROR_UNSUPPORTED, "blk.0.attn_q.bias"));
}

TEST_F(GgufFile, AlignmentThatIsNoneIsRefused) {
  for (const uint32_t alignment : {0u, 3u, 1u << 31}) {
    GgufBuilder other = sample.gguf();
    other.u32("general.alignment", alignment);
    EXPECT_TRUE(refuses(other.build(), BITNET_ERROR_FORMAT, "general.alignment is"));
  }
}

TEST_F(GgufFile, ValuesThatAreNoNumbersAreRefused) {
  sample.weights = Encoding::f32;
  for (const char* const name : {"output_norm.weight", "blk.0.attn_k.weight", "token_embd.weight"}) {
    for (const float value : {kNan, kInfinity}) {
      sample.embedding_type = Encoding::f32;
      GgufBuilder other = sample.gguf();
      std::memcpy(other.data.data() + other.info(name).offset + 20, &value, sizeof value);
      EXPECT_TRUE(refuses(other.build(), BITNET_ERROR_FORMAT, std::string(name) + ", row 0, column 5"));
    }
  }
  GgufBuilder large = sample.gguf();
  const float value = 70000;
  std::memcpy(large.data.data() + large.info("token_embd.weight").offset + 20, &value, sizeof value);
  EXPECT_TRUE(refuses(large.build(), BITNET_ERROR_FORMAT, "beyond the range of F16"));

  sample.embedding_type = Encoding::f16;
  GgufBuilder half = sample.gguf();
  const uint16_t infinity = 0x7c00;
  std::memcpy(half.data.data() + half.info("token_embd.weight").offset + 10, &infinity, sizeof infinity);
  EXPECT_TRUE(refuses(half.build(), BITNET_ERROR_FORMAT, "token_embd.weight, row 0, column 5"));
}

TEST_F(GgufFile, ScalesAndCodesThatAreNoneAreRefused) {
  for (const float scale : {kNan, kInfinity, 0.0f, -1.0f}) {
    GgufBuilder other = sample.gguf();
    const auto& info = other.info("blk.0.attn_k.weight");
    std::memcpy(other.data.data() + info.offset + info.shape[0] * info.shape[1] / 4, &scale, sizeof scale);
    EXPECT_TRUE(refuses(other.build(), BITNET_ERROR_FORMAT, "finite and positive"));
    GgufBuilder separate = sample.gguf();
    separate.tensor("blk.0.attn_k.scale", {1}, 0, encode_values(Encoding::f32, {scale}));
    EXPECT_TRUE(refuses(separate.build(), BITNET_ERROR_FORMAT, "finite and positive"));
  }
  GgufBuilder codes = sample.gguf();
  codes.data[codes.info("blk.0.attn_k.weight").offset + 40] = '\xff';
  EXPECT_TRUE(refuses(codes.build(), BITNET_ERROR_FORMAT, "codes that mean no weight"));
}

TEST_F(GgufFile, ScalesThatDifferWithinARowAreRefused) {
  SampleModel large;
  large.layers = 1;
  large.hidden = 512;
  large.weights = Encoding::tq2_0;
  large.draw();
  GgufBuilder other = large.gguf();
  other.data[other.info("blk.0.attn_q.weight").offset + 65] ^= 4;  // the first block's F16 scale
  EXPECT_TRUE(refuses(other.build(), BITNET_ERROR_UNSUPPORTED, "blk.0.attn_q.weight has a scale for each"));
}

TEST_F(GgufFile, MetadataThatIsMissingOrWrongIsNamed) {
  const auto refuses_key = [&](bitnet_status status, std::string_view word, const std::string& from,
                               const std::string& to) {
    std::string file = gguf.build();
    file.replace(file.find(from), to.size(), to);
    return refuses(file, status, word);
  };
  EXPECT_TRUE(refuses_key(BITNET_ERROR_FORMAT, "general.architecture is missing", "general.architecture", "genexal"));
  EXPECT_TRUE(refuses_key(BITNET_ERROR_FORMAT, "block_count is missing", "bitnet-b1.58.block_count", "bitxet"));
  EXPECT_TRUE(
      refuses_key(BITNET_ERROR_FORMAT, "layer_norm_rms_epsilon is missing", "bitnet-b1.58.attention.layer", "bitxet"));
  EXPECT_TRUE(refuses_key(BITNET_ERROR_UNSUPPORTED, "tokenizer.ggml.model", "tokenizer.ggml.model", "tokexizer"));
  EXPECT_TRUE(
      refuses_key(BITNET_ERROR_FORMAT, "tokenizer.ggml.tokens is missing", "tokenizer.ggml.tokens", "tokexizer"));
  EXPECT_TRUE(
      refuses_key(BITNET_ERROR_FORMAT, "tokenizer.ggml.merges is missing", "tokenizer.ggml.merges", "tokexizer"));
  EXPECT_TRUE(refuses_key(BITNET_ERROR_FORMAT, "\"x0 t1\"", "t0 t1", "x0"));
  sample.architecture = "qwen35";
  EXPECT_TRUE(refuses(sample.gguf().build(), BITNET_ERROR_UNSUPPORTED, "most of its layers are gated delta nets"));
  sample.architecture = "bitnet-b1.58";
  GgufBuilder scaled = sample.gguf();
  scaled.string("bitnet-b1.58.rope.scaling.type", "longrope");
  EXPECT_TRUE(refuses(scaled.build(), BITNET_ERROR_UNSUPPORTED, "rope.scaling.type is longrope"));
  GgufBuilder partial = sample.gguf();
  partial.u32("bitnet-b1.58.rope.dimension_count", 8);
  EXPECT_TRUE(refuses(partial.build(), BITNET_ERROR_UNSUPPORTED, "rope.dimension_count"));
  GgufBuilder activation = sample.gguf();
  activation.string("bitnet-b1.58.hidden_act", "gelu");
  EXPECT_TRUE(refuses(activation.build(), BITNET_ERROR_UNSUPPORTED, "bitnet-b1.58.hidden_act is gelu"));
}

// --- writing -------------------------------------------------------------------------------------------------------

// Lets no file of this process grow beyond a size, as a full disk would.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t size) {
    old_handler_ = signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old_limit_);
    const rlimit limit{size, old_limit_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &old_limit_);
    signal(SIGXFSZ, old_handler_);
  }

 private:
  rlimit old_limit_;
  void (*old_handler_)(int);
};

TEST(Writing, OfAFolderToAFullDiskLeavesNothingBehind) {
  const TemporaryFolder folder, checkpoint;
  HfSample().write(checkpoint);
  const FileSizeLimit full(5000);
  try {
    convert(checkpoint / "", folder / "out.bitnet");
    ADD_FAILURE() << "wrote beyond the limit";
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), BITNET_ERROR_IO);
    EXPECT_EQ(std::string(error.what()).find(checkpoint / ""), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find(folder / "out.bitnet"), std::string::npos) << error.what();
  }
  EXPECT_EQ(folder.files(), 0u);
}

TEST(Writing, ToAFullDiskLeavesNothingBehind) {
  const TemporaryFolder folder;
  write_file(folder / "in.gguf", small_model().gguf().build());
  const uint64_t size = convert(folder / "in.gguf", folder / "out.bitnet");
  const std::string before = read_file(folder / "out.bitnet");
  ASSERT_EQ(before.size(), size);
  for (const std::optional<int> level : {std::optional<int>(), std::optional<int>(3)}) {
    for (const rlim_t limit : {0, 100, 5000}) {
      const FileSizeLimit full(limit);
      try {
        convert(folder / "in.gguf", folder / "out.bitnet", {.zstd_level = level});
        ADD_FAILURE() << "wrote beyond " << limit;
      } catch (const Error& error) {
        EXPECT_EQ(error.status(), BITNET_ERROR_IO);
        EXPECT_NE(std::string(error.what()).find(folder / "out.bitnet"), std::string::npos) << error.what();
        EXPECT_NE(std::string(error.what()).find("bytes are needed"), std::string::npos) << error.what();
      }
      EXPECT_EQ(folder.files(), 2u);
    }
  }
  EXPECT_EQ(read_file(folder / "out.bitnet"), before);
  EXPECT_EQ(convert(folder / "in.gguf", folder / "out.bitnet"), size);
}

TEST(Writing, WhereNoFileCanBeIsRefused) {
  const TemporaryFolder folder;
  write_file(folder / "in.gguf", small_model().gguf().build());
  EXPECT_THROW(convert(folder / "in.gguf", folder / "no/such/folder.bitnet"), Error);
  EXPECT_THROW(convert(folder / "in.gguf", folder / ""), Error);
  EXPECT_THROW(convert(folder / "in.gguf", "/dev/null"), Error);
  EXPECT_EQ(folder.files(), 1u);
}

// Whatever is wrong with the input, its path comes first, though the writer's errors name the output.
TEST(Writing, OfWhatCannotBeReadNamesIt) {
  const TemporaryFolder folder, checkpoint;
  const auto expect_named = [&](const std::string& in, std::string_view word) {
    try {
      convert(in, folder / "out.bitnet");
      ADD_FAILURE() << in << " was converted";
    } catch (const Error& error) {
      const std::string message = error.what();
      EXPECT_TRUE(message.starts_with(in + ": ")) << message;
      EXPECT_NE(message.find(word), message.npos) << message;
    }
  };
  expect_named("/dev/null", "not a regular file");
  HfSample().write(checkpoint);
  std::filesystem::remove(checkpoint / "config.json");
  std::filesystem::create_directory(checkpoint / "config.json");
  expect_named(checkpoint / "", "config.json: is a directory");
  EXPECT_EQ(folder.files(), 0u);
}

TEST(Writing, OfARefusedModelLeavesNothingBehind) {
  const TemporaryFolder folder;
  GgufBuilder gguf = small_model().gguf();
  gguf.data[gguf.info("blk.0.ffn_down.weight").offset] = '\xff';
  write_file(folder / "in.gguf", gguf.build());
  EXPECT_THROW(convert(folder / "in.gguf", folder / "out.bitnet"), Error);
  EXPECT_EQ(folder.files(), 1u);
}

TEST(Writing, OntoTheSourceItselfWorks) {
  const TemporaryFolder folder;
  write_file(folder / "in.gguf", small_model().gguf().build());
  convert(folder / "in.gguf", folder / "model.bitnet");
  convert(folder / "model.bitnet", folder / "model.bitnet", {.packing = Packing::t5});
  EXPECT_TRUE(verify(folder / "model.bitnet").sound());
  EXPECT_EQ(folder.files(), 2u);
}

}  // namespace
