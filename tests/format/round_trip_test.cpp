// SPDX-License-Identifier: MIT
// What goes into a file comes out of it: every GGUF type, packing, head and codec.
#include <gtest/gtest.h>

#include <cfenv>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/half.h"
#include "format/convert.h"
#include "format/dummy.h"
#include "format/files.h"
#include "format/load.h"
#include "format/sample_model.h"
#include "format/verify.h"

using namespace bitnet;
using namespace bitnet_test;

namespace {

// One weight of a packed matrix, computed from docs/format.md alone.
int trit_at(const Tensor& tensor, size_t row, size_t col) {
  const size_t per_byte = tensor.type == fb::Type::i2 ? 4 : 5, per_block = 64 * per_byte;
  const size_t blocks = (tensor.cols + per_block - 1) / per_block;
  const size_t block = (row / 4 * blocks + col / per_block) * 4 + row % 4;
  unsigned byte = std::to_integer<unsigned>(tensor.data[block * 64 + col % per_block / per_byte]);
  size_t digit = col % per_byte;
  if (tensor.type == fb::Type::i2) return static_cast<int>(byte >> 2 * digit & 3) - 1;
  for (; digit > 0; --digit) byte = 3 * byte % 256;
  return static_cast<int>(3 * byte / 256) - 1;
}

std::span<const std::byte> bytes(const std::string& file) { return std::as_bytes(std::span(file)); }

void expect_weights(const Container& container, const SampleModel& sample) {
  for (const auto& [name, matrix] : sample.ternary) {
    const Tensor* const tensor = container.find(name);
    ASSERT_NE(tensor, nullptr) << name;
    ASSERT_EQ(tensor->rows, matrix.rows);
    ASSERT_EQ(tensor->cols, matrix.cols);
    ASSERT_EQ(tensor->scales.size(), 1u) << name;
    EXPECT_EQ(tensor->scales[0], kScale) << name;
    size_t wrong = 0;
    for (size_t i = 0; i < matrix.trits.size(); ++i) {
      wrong += trit_at(*tensor, i / matrix.cols, i % matrix.cols) != matrix.trits[i];
    }
    EXPECT_EQ(wrong, 0u) << name;
  }
}

void expect_halves(const Matrix& matrix, const std::vector<float>& values) {
  ASSERT_EQ(matrix.numbers, Numbers::f16);
  ASSERT_EQ(matrix.stride % 32, 0u);
  ASSERT_EQ(reinterpret_cast<uintptr_t>(matrix.data) % 2, 0u);
  ASSERT_EQ(size_t{matrix.rows} * matrix.cols, values.size());
  const auto* const halves = static_cast<const uint16_t*>(matrix.data);
  size_t wrong = 0;
  for (size_t row = 0; row < matrix.rows; ++row) {
    for (size_t col = 0; col < matrix.stride; ++col) {
      const float expected = col < matrix.cols ? values[row * matrix.cols + col] : 0;
      wrong += half_to_float(halves[row * matrix.stride + col]) != expected;
    }
  }
  EXPECT_EQ(wrong, 0u);
}

void expect_int8(const Matrix& matrix, const std::vector<float>& values) {
  ASSERT_EQ(matrix.numbers, Numbers::int8);
  const auto* const codes = static_cast<const int8_t*>(matrix.data);
  for (size_t row = 0; row < matrix.rows; ++row) {
    int largest = 0;
    for (size_t col = 0; col < matrix.cols; ++col) {
      const int code = codes[row * matrix.stride + col];
      largest = std::max(largest, std::abs(code));
      EXPECT_LE(std::fabs(static_cast<float>(code) * matrix.scales[row] - values[row * matrix.cols + col]),
                matrix.scales[row] * 0.5001f);
    }
    EXPECT_EQ(largest, 127) << "row " << row;
  }
}

// What the tiles stand for, row by row.
std::vector<float> tile_values(const Matrix& matrix) {
  const Planes planes = matrix.numbers == Numbers::q5 ? Planes::q5 : Planes::q6;
  std::vector<float> values;
  for (size_t row = 0; row < matrix.rows; ++row) {
    for (size_t col = 0; col < matrix.cols; ++col) {
      const auto* const tile = static_cast<const uint8_t*>(matrix.data) +
                               (row / kTileRows * tiles_per_row(matrix.cols) + col / kTileCols) * tile_bytes(planes);
      const int group = static_cast<int8_t>(tile[col % kTileCols / kGroupCols * kTileRows + row % kTileRows]);
      const int code = read_code(planes, tile, row % kTileRows, col % kTileCols) - middle_code(planes);
      values.push_back(matrix.scales[row] * static_cast<float>(group * code));
    }
  }
  return values;
}

// Within so much of the largest weight of the group.
void expect_tiles(const Matrix& matrix, const std::vector<float>& values, float tolerance) {
  const auto found = tile_values(matrix);
  for (size_t begin = 0; begin < values.size(); begin += kGroupCols) {
    float largest = 0;
    for (size_t i = begin; i < begin + kGroupCols; ++i) largest = std::max(largest, std::fabs(values[i]));
    for (size_t i = begin; i < begin + kGroupCols; ++i) EXPECT_NEAR(found[i], values[i], tolerance * largest);
  }
}

void expect_screen(const Matrix& screen, const std::vector<float>& values) {
  ASSERT_EQ(screen.numbers, Numbers::q5);
  expect_tiles(screen, values, 1 / 12.0f);
  const auto found = tile_values(screen);
  for (size_t row = 0; row < screen.rows; ++row) {
    double error = 0;
    for (size_t i = row * screen.cols; i < (row + 1) * screen.cols; ++i) {
      error += (double{found[i]} - values[i]) * (double{found[i]} - values[i]);
    }
    EXPECT_GE(screen.bounds[row], std::sqrt(error) * (1 - 1e-6)) << "row " << row;
  }
}

void expect_norms(const Model& model, const SampleModel& sample) {
  const auto same = [&](const float* norm, const std::string& name) {
    const auto& expected = sample.norms.at(name);
    return std::memcmp(norm, expected.data(), expected.size() * sizeof(float)) == 0;
  };
  EXPECT_TRUE(same(model.output_norm, "output_norm.weight"));
  for (size_t i = 0; i < model.layers.size(); ++i) {
    const std::string layer = "blk." + std::to_string(i) + ".";
    EXPECT_TRUE(same(model.layers[i].attention_norm, layer + "attn_norm.weight"));
    EXPECT_TRUE(same(model.layers[i].attention_sub_norm, layer + "attn_sub_norm.weight"));
    EXPECT_TRUE(same(model.layers[i].ffn_norm, layer + "ffn_norm.weight"));
    EXPECT_TRUE(same(model.layers[i].ffn_sub_norm, layer + "ffn_sub_norm.weight"));
  }
}

void expect_model(std::shared_ptr<const Container> container, const SampleModel& sample) {
  expect_weights(*container, sample);
  const Model model = load_model(std::move(container));
  ASSERT_EQ(model.layers.size(), sample.layers);
  expect_norms(model, sample);
  expect_halves(model.embedding, sample.embedding);
  const auto& head = sample.own_head ? sample.head : sample.embedding;
  if (model.head.numbers == Numbers::int8) {
    expect_int8(model.head, head);
  } else if (model.head.numbers == Numbers::q6) {
    expect_tiles(model.head, head, 1 / 25.0f);
  } else {
    expect_halves(model.head, head);
  }
  if (model.screen.data != nullptr) expect_screen(model.screen, head);
  EXPECT_EQ(model.tied, !sample.own_head);
}

class EncodingTest : public testing::TestWithParam<Encoding> {
 protected:
  EncodingTest() {
    sample.weights = GetParam();
    if (GetParam() < Encoding::i2_s) sample.embedding_type = GetParam();
    sample.draw();
    options.layout = GetParam() == Encoding::i2_s_arm    ? I2sLayout::arm
                     : GetParam() == Encoding::i2_s_rows ? I2sLayout::rows
                                                         : I2sLayout::x86;
  }
  SampleModel sample;
  OpenOptions options;
};

TEST_P(EncodingTest, OpensDirectlyInBothPackings) {
  const std::string file = sample.gguf().build();
  for (const Packing packing : {Packing::i2, Packing::t5}) {
    options.packing = packing;
    expect_model(open_container(bytes(file), options), sample);
  }
}

TEST_P(EncodingTest, ConvertsToTheSameModelThatOpeningGives) {
  const TemporaryFolder folder;
  write_file(folder / "in.gguf", sample.gguf().build());
  convert(folder / "in.gguf", folder / "out.bitnet", {.layout = options.layout});
  const auto converted = open_container(folder / "out.bitnet", {.verify_checksums = true});
  expect_model(converted, sample);
  EXPECT_EQ(converted->fingerprint(), open_container(folder / "in.gguf", options)->fingerprint());
}

INSTANTIATE_TEST_SUITE_P(Types, EncodingTest, testing::ValuesIn(kEncodings));

struct Form {
  Packing packing;
  HeadType head;
  std::optional<int> zstd_level;
  bool own_head;
};

class FormTest : public testing::TestWithParam<Form> {
 protected:
  FormTest() {
    sample.hidden = 192;  // fills no block and no group of either packing
    sample.ffn = 330;
    sample.heads = 3;
    sample.kv_heads = 1;
    sample.weights = Encoding::f32;
    sample.own_head = GetParam().own_head;
    sample.draw();
    write_file(folder / "in.gguf", sample.gguf().build());
    convert(folder / "in.gguf", folder / "out.bitnet", options());
  }
  static ConvertOptions options() {
    return {.packing = GetParam().packing, .head = GetParam().head, .zstd_level = GetParam().zstd_level};
  }
  SampleModel sample;
  TemporaryFolder folder;
};

TEST_P(FormTest, HoldsTheModel) {
  expect_model(open_container(folder / "out.bitnet"), sample);
  const Model model = load_model(open_container(folder / "out.bitnet"));
  EXPECT_EQ(model.screen.data != nullptr, GetParam().head == HeadType::screened);
  EXPECT_EQ(model.head.numbers == Numbers::q6, GetParam().head == HeadType::q6);
}

TEST_P(FormTest, VerifiesAsSound) {
  const VerifyReport report = verify(folder / "out.bitnet");
  EXPECT_TRUE(report.sound());
  EXPECT_EQ(report.tensors.size(), open_container(folder / "out.bitnet")->tensors().size());
}

TEST_P(FormTest, OpensFromMemoryAtAnyAddress) {
  const std::string file = read_file(folder / "out.bitnet");
  for (const size_t shift : {0, 1, 32}) {
    std::string shifted(shift, ' ');
    shifted += file;
    expect_model(open_container(bytes(shifted).subspan(shift)), sample);
  }
}

TEST_P(FormTest, ComesBackFromTheOtherPackingByteForByte) {
  const Packing other = GetParam().packing == Packing::i2 ? Packing::t5 : Packing::i2;
  convert(folder / "out.bitnet", folder / "other.bitnet", {.packing = other, .zstd_level = GetParam().zstd_level});
  expect_model(open_container(folder / "other.bitnet"), sample);
  ConvertOptions back = options();
  back.head.reset();
  convert(folder / "other.bitnet", folder / "back.bitnet", back);
  EXPECT_EQ(read_file(folder / "back.bitnet"), read_file(folder / "out.bitnet"));
}

INSTANTIATE_TEST_SUITE_P(
    Forms, FormTest,
    testing::Values(Form{Packing::i2, HeadType::f16, {}, false}, Form{Packing::t5, HeadType::f16, {}, true},
                    Form{Packing::i2, HeadType::int8, {}, true}, Form{Packing::t5, HeadType::int8, {}, false},
                    Form{Packing::i2, HeadType::int8, 3, false}, Form{Packing::t5, HeadType::f16, 19, true},
                    Form{Packing::i2, HeadType::q6, {}, true}, Form{Packing::t5, HeadType::q6, 3, false},
                    Form{Packing::i2, HeadType::screened, {}, true}, Form{Packing::t5, HeadType::screened, {}, false}));

TEST(Convert, AScreenIsNoPartOfTheModelsFingerprint) {
  const TemporaryFolder folder;
  write_file(folder / "in.gguf", small_model().gguf().build());
  convert(folder / "in.gguf", folder / "f16.bitnet", {.head = HeadType::f16});
  convert(folder / "f16.bitnet", folder / "screened.bitnet", {.head = HeadType::screened});
  convert(folder / "screened.bitnet", folder / "back.bitnet", {.head = HeadType::f16});
  EXPECT_EQ(open_container(folder / "screened.bitnet")->fingerprint(),
            open_container(folder / "f16.bitnet")->fingerprint());
  EXPECT_NE(read_file(folder / "screened.bitnet"), read_file(folder / "f16.bitnet"));
  EXPECT_EQ(read_file(folder / "back.bitnet"), read_file(folder / "f16.bitnet"));
}

TEST(Convert, LargeVocabulariesGetAScreen) {
  const TemporaryFolder folder;
  for (const uint32_t vocabulary : {16383u, 16384u}) {
    SampleModel sample = small_model();
    sample.vocabulary = vocabulary;
    write_file(folder / "in.gguf", sample.draw().gguf().build());
    convert(folder / "in.gguf", folder / "out.bitnet");
    EXPECT_EQ(load_model(open_container(folder / "out.bitnet")).screen.data != nullptr, vocabulary == 16384);
  }
}

TEST(Convert, AnActivationThatIsNamedIsTaken) {
  const auto activation = [](const char* architecture, const char* key, const char* value) {
    SampleModel sample = small_model();
    sample.architecture = architecture;
    GgufBuilder gguf = sample.gguf();
    gguf.string(std::string(architecture) + key, value);
    const std::string file = gguf.build();
    return load_model(open_container(bytes(file))).hyper.activation;
  };
  EXPECT_EQ(activation("bitnet", ".hidden_act", "relu2"), Activation::relu2);
  EXPECT_EQ(activation("bitnet", ".hidden_activation", "silu"), Activation::silu);
  EXPECT_EQ(activation("bitnet-b1.58", ".hidden_activation", "silu"), Activation::silu);
}

TEST(Convert, ReadsMetadata) {
  SampleModel sample = small_model();
  sample.architecture = "bitnet";
  const std::string file = sample.gguf().build();
  const Model model = load_model(open_container(bytes(file)));
  EXPECT_EQ(model.name, "sample");
  EXPECT_EQ(model.license, "MIT");
  EXPECT_EQ(model.hyper.architecture->name, "bitnet");
  EXPECT_EQ(model.hyper.activation, Activation::silu);
  EXPECT_EQ(model.hyper.hidden, 64u);
  EXPECT_EQ(model.hyper.ffn, 96u);
  EXPECT_EQ(model.hyper.heads, 4u);
  EXPECT_EQ(model.hyper.kv_heads, 2u);
  EXPECT_EQ(model.hyper.head_dim, 16u);
  EXPECT_EQ(model.hyper.vocabulary, 20u);
  EXPECT_EQ(model.hyper.context, 128u);
  EXPECT_EQ(model.hyper.rms_epsilon, 1e-5f);
  EXPECT_EQ(model.hyper.rope_theta, 500000.0f);
  const Vocabulary& vocabulary = model.vocabulary;
  EXPECT_EQ(vocabulary.kind, TokenizerKind::byte_bpe);
  EXPECT_EQ(vocabulary.pre_tokenizer, "llama-bpe");
  EXPECT_EQ(vocabulary.pieces[2], "t0t1");
  EXPECT_EQ(vocabulary.pieces[19], "t19");
  EXPECT_EQ(vocabulary.types[3], static_cast<uint8_t>(TokenType::control));
  ASSERT_EQ(vocabulary.merges.size(), 1u);
  EXPECT_EQ(vocabulary.merges[0].left, 0);
  EXPECT_EQ(vocabulary.merges[0].right, 1);
  EXPECT_EQ(vocabulary.bos, 3);
  EXPECT_EQ(vocabulary.eos, 4);
  EXPECT_EQ(vocabulary.unknown, kNoToken);
  EXPECT_TRUE(vocabulary.add_bos);  // llama.cpp's rule for llama-bpe
  EXPECT_EQ(vocabulary.chat_template, "{{ messages }}");
}

TEST(Convert, KeepsTheScaleOfEachRow) {
  SampleModel sample = small_model();
  sample.weights = Encoding::f32;
  GgufBuilder gguf = sample.gguf();
  const SampleMatrix& matrix = sample.ternary.at("blk.0.ffn_up.weight");
  const size_t begin = gguf.info("blk.0.ffn_up.weight").offset;
  for (size_t i = 0; i < matrix.trits.size(); ++i) {
    const size_t row = i / matrix.cols;
    const float value = static_cast<float>(matrix.trits[i]) * static_cast<float>(row + 1);
    std::memcpy(gguf.data.data() + begin + i * sizeof value, &value, sizeof value);
  }
  const std::string file = gguf.build();
  const Model model = load_model(open_container(bytes(file)));
  ASSERT_TRUE(model.layers[0].up.weights.row_scales);
  for (uint32_t row = 0; row < matrix.rows; ++row)
    EXPECT_EQ(model.layers[0].up.weights.scales[row], static_cast<float>(row + 1));
}

TEST(Convert, MultipliesByASeparateScale) {
  GgufBuilder gguf = small_model().gguf();
  gguf.tensor("blk.0.attn_q.scale", {1}, 0, encode_values(Encoding::f32, {4}));
  const std::string file = gguf.build();
  const Model model = load_model(open_container(bytes(file)));
  EXPECT_EQ(model.layers[0].q.weights.scales[0], 4 * kScale);
}

TEST(Convert, RoundsByTheMeanOnlyWhenTold) {
  SampleModel sample = small_model();
  sample.weights = Encoding::f32;
  GgufBuilder gguf = sample.gguf();
  const auto& info = gguf.info("blk.0.attn_v.weight");
  std::vector<float> values;
  for (size_t i = 0; i < info.shape[0] * info.shape[1]; ++i) values.push_back(static_cast<float>(i % 5) * 0.25f - 0.5f);
  const std::string encoded = encode_values(Encoding::f32, values);
  gguf.data.replace(info.offset, encoded.size(), encoded);
  const std::string file = gguf.build();
  try {
    open_container(bytes(file));
    FAIL() << "weights that are not ternary were taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), BITNET_ERROR_UNSUPPORTED);
    EXPECT_NE(std::string(error.what()).find("blk.0.attn_v.weight"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("bitnet_convert_options; --quantize"), std::string::npos) << error.what();
  }
  const auto container = open_container(bytes(file), {.quantize = Quantize::absmean});
  const Tensor& tensor = *container->find("blk.0.attn_v.weight");
  double sum = 0;
  for (const float value : values) sum += std::fabs(value);
  const auto mean = static_cast<float>(sum / static_cast<double>(values.size()));
  EXPECT_FLOAT_EQ(tensor.scales[0], mean);
  for (size_t i = 0; i < values.size(); ++i) {
    const float rounded = std::fmax(-1.0f, std::fmin(1.0f, std::nearbyint(values[i] / mean)));
    EXPECT_EQ(trit_at(tensor, i / tensor.cols, i % tensor.cols), static_cast<int>(rounded));
  }
  // What was ternary before is taken as it is.
  EXPECT_EQ(container->find("blk.0.attn_q.weight")->scales[0], kScale);
}

TEST(Convert, DropsATiedHeadInInt8AndKeepsAnotherOne) {
  const TemporaryFolder folder;
  for (const bool own_head : {false, true}) {
    SampleModel sample = small_model();
    sample.own_head = own_head;
    write_file(folder / "in.gguf", sample.draw().gguf().build());
    convert(folder / "in.gguf", folder / "int8.bitnet", {.head = HeadType::int8});
    if (own_head) {
      EXPECT_THROW(convert(folder / "int8.bitnet", folder / "f16.bitnet", {.head = HeadType::f16}), Error);
    } else {
      convert(folder / "int8.bitnet", folder / "f16.bitnet", {.head = HeadType::f16});
      expect_model(open_container(folder / "f16.bitnet"), sample);
      EXPECT_EQ(load_model(open_container(folder / "f16.bitnet")).head.numbers, Numbers::f16);
    }
  }
}

TEST(Convert, RenamesAndCancels) {
  const TemporaryFolder folder;
  write_file(folder / "in.gguf", small_model().gguf().build());
  convert(folder / "in.gguf", folder / "out.bitnet", {.name = "another"});
  EXPECT_EQ(load_model(open_container(folder / "out.bitnet")).name, "another");
  uint64_t last = 0, total = 0;
  convert(folder / "in.gguf", folder / "out.bitnet", {.progress = [&](uint64_t done, uint64_t all) {
            EXPECT_GE(done, last);
            last = done;
            total = all;
            return true;
          }});
  EXPECT_EQ(last, total);
  EXPECT_GT(total, 0u);
  try {
    convert(folder / "in.gguf", folder / "none.bitnet", {.progress = [](uint64_t, uint64_t) { return false; }});
    FAIL() << "was not cancelled";
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), BITNET_ERROR_CANCELLED);
  }
  EXPECT_EQ(folder.files(), 2u);
}

TEST(Convert, RefusesATokenizerThatCannotBeUsed) {
  const TemporaryFolder folder;
  GgufBuilder gguf = small_model().gguf();
  gguf.remove("tokenizer.ggml.pre");
  gguf.string("tokenizer.ggml.pre", "klingon");
  write_file(folder / "model.gguf", gguf.build());
  try {
    convert(folder / "model.gguf", folder / "model.bitnet");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), BITNET_ERROR_UNSUPPORTED);
    EXPECT_NE(std::string(error.what()).find("model.gguf"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("klingon"), std::string::npos) << error.what();
  }
  EXPECT_EQ(folder.files(), 1u);
}

TEST(Convert, TheHostsRoundingModeIsPutAside) {
  const TemporaryFolder folder;
  write_dummy(folder / "in.bitnet", "tiny");
  for (const HeadType head : {HeadType::int8, HeadType::q6, HeadType::screened}) {
    convert(folder / "in.bitnet", folder / "nearest.bitnet", {.head = head});
    ASSERT_EQ(std::fesetround(FE_UPWARD), 0);
    convert(folder / "in.bitnet", folder / "upward.bitnet", {.head = head});
    std::fesetround(FE_TONEAREST);
    EXPECT_TRUE(read_file(folder / "nearest.bitnet") == read_file(folder / "upward.bitnet"));
  }
}

TEST(Dummy, IsSoundAndAlwaysTheSame) {
  const TemporaryFolder folder;
  const std::pair<Packing, HeadType> forms[] = {{Packing::i2, HeadType::int8},
                                                {Packing::t5, HeadType::f16},
                                                {Packing::i2, HeadType::q6},
                                                {Packing::t5, HeadType::screened}};
  for (const auto& [packing, head] : forms) {
    const DummyOptions options{.packing = packing, .head = head, .seed = 7};
    write_dummy(folder / "a.bitnet", "tiny", options);
    write_dummy(folder / "b.bitnet", "TINY", options);
    EXPECT_EQ(read_file(folder / "a.bitnet"), read_file(folder / "b.bitnet"));
    EXPECT_TRUE(verify(folder / "a.bitnet").sound());
    const Model model = load_model(open_container(folder / "a.bitnet"));
    EXPECT_EQ(model.hyper.vocabulary, 1000u);
    EXPECT_EQ(model.vocabulary.pieces.size(), 1000u);
    EXPECT_EQ(model.screen.data != nullptr, head == HeadType::screened);
  }
  write_dummy(folder / "c.bitnet", "tiny", {.seed = 8});
  EXPECT_NE(open_container(folder / "a.bitnet")->fingerprint(), open_container(folder / "c.bitnet")->fingerprint());
  EXPECT_THROW(write_dummy(folder / "d.bitnet", "12M"), Error);
}

// What f16 <-> f32 must give, by arithmetic on the format's definition.
TEST(Half, EveryValueThereAndBack) {
  for (unsigned bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const unsigned exponent = bits >> 10 & 31, fraction = bits & 1023;
    const float value = half_to_float(half);
    if (exponent == 31) {
      EXPECT_EQ(fraction == 0 ? std::isinf(value) : std::isnan(value), true) << bits;
      continue;
    }
    const double magnitude =
        exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, static_cast<int>(exponent) - 25);
    EXPECT_EQ(value, static_cast<float>(bits >> 15 ? -magnitude : magnitude)) << bits;
    EXPECT_EQ(float_to_half(value), half) << bits;
  }
}

TEST(Half, RoundsToNearestEven) {
  for (unsigned bits = 0; bits < 0x7bff; ++bits) {
    const float low = half_to_float(static_cast<uint16_t>(bits)), high = half_to_float(static_cast<uint16_t>(bits + 1));
    const float middle = (low + high) / 2;
    EXPECT_EQ(float_to_half(middle), bits % 2 == 0 ? bits : bits + 1) << bits;
    EXPECT_EQ(float_to_half(std::nextafter(middle, 0.0f)), bits) << bits;
    EXPECT_EQ(float_to_half(-std::nextafter(middle, 1e9f)), (bits + 1) | 0x8000) << bits;
  }
  EXPECT_EQ(float_to_half(65519.996f), 0x7bff);
  EXPECT_EQ(float_to_half(65520.0f), 0x7c00);
}

}  // namespace
