// SPDX-License-Identifier: MIT
// What the converter gets of a GGUF file: rows of queries and keys in our order, scales of groups, and trits that fit.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "format/metadata.h"
#include "format/open.h"
#include "format/sample_model.h"
#include "format/source.h"

using namespace bitnet;
using namespace bitnet_test;

namespace {

constexpr uint32_t kHeadDim = 16;

// llama.cpp's order: of each head's two halves in turns.
template <typename T>
std::vector<T> permuted(const std::vector<T>& rows, size_t cols) {
  std::vector<T> out;
  for (size_t head = 0; head < rows.size() / cols; head += kHeadDim) {
    for (size_t i = 0; i < kHeadDim / 2; ++i) {
      for (size_t half = 0; half < 2; ++half) {
        const auto row = rows.begin() + static_cast<ptrdiff_t>((head + half * kHeadDim / 2 + i) * cols);
        out.insert(out.end(), row, row + static_cast<ptrdiff_t>(cols));
      }
    }
  }
  return out;
}

std::vector<float> scaled(const SampleMatrix& matrix, const std::function<float(size_t row, size_t col)>& scale) {
  std::vector<float> values;
  for (size_t i = 0; i < matrix.trits.size(); ++i) {
    values.push_back(static_cast<float>(matrix.trits[i]) * scale(i / matrix.cols, i % matrix.cols));
  }
  return values;
}

// A model of `llama`, without what that does not have.
class LlamaSource : public testing::Test {
 protected:
  LlamaSource() {
    sample_.architecture = "llama";
    sample_.layers = 1;
    sample_.hidden = 64;
    sample_.ffn = 128;
    sample_.heads = 4;
    sample_.kv_heads = 2;
    sample_.vocabulary = 20;
    sample_.weights = Encoding::f32;
    sample_.draw();
    std::erase_if(sample_.norms, [](const auto& norm) { return norm.first.find("sub_norm") != std::string::npos; });
    gguf_ = sample_.gguf();
  }

  void replace(const std::string& name, const std::string& bytes) {
    gguf_.data.replace(gguf_.info(name).offset, bytes.size(), bytes);
  }
  void open() {
    file_ = gguf_.build();
    const auto bytes = std::as_bytes(std::span(file_));
    source_ = open_gguf_source({&bytes, 1}, {});
    const fb::ModelT model = source_->describe();
    specs_ = tensor_specs(read_hyperparameters(model), [&](std::string_view name) { return source_->has(name); });
    source_->check(specs_);
  }
  const TensorSpec& spec(std::string_view name) const { return *std::ranges::find(specs_, name, &TensorSpec::name); }
  std::vector<int8_t> trits(const TensorSpec& spec) const {
    std::vector<int8_t> out(size_t{spec.rows} * spec.cols);
    source_->read_trits(spec, source_->ternary_scales(spec), 0, spec.rows, out.data());
    return out;
  }
  std::vector<float> values(const TensorSpec& spec) const {
    std::vector<float> out(size_t{spec.rows} * spec.cols);
    source_->read_values(spec, 0, spec.rows, out.data());
    return out;
  }

  SampleModel sample_;
  GgufBuilder gguf_;
  std::string file_;
  std::unique_ptr<Source> source_;
  std::vector<TensorSpec> specs_;
};

TEST_F(LlamaSource, PutsRowsOfQueriesAndKeysBack) {
  for (const Encoding encoding : {Encoding::f32, Encoding::iq2_bn_r4, Encoding::iq1_bn, Encoding::i2_s}) {
    SampleModel stored = sample_;
    stored.weights = encoding;
    for (const char* const name : {"blk.0.attn_q.weight", "blk.0.attn_k.weight"}) {
      SampleMatrix& matrix = stored.ternary.at(name);
      matrix.trits = permuted(matrix.trits, matrix.cols);
    }
    gguf_ = stored.gguf();
    open();
    for (const auto& [name, matrix] : sample_.ternary) {
      EXPECT_EQ(trits(spec(name)), matrix.trits) << name << ", GGUF type " << gguf_number(encoding);
      EXPECT_EQ(values(spec(name)), scaled(matrix, [](size_t, size_t) { return kScale; })) << name;
    }
  }
}

TEST_F(LlamaSource, PutsScalesAndBiasesBackWithTheirRows) {
  const auto scale = [](size_t row, size_t) { return 1.0f + static_cast<float>(row); };
  const SampleMatrix& q = sample_.ternary.at("blk.0.attn_q.weight");
  const std::vector<float> plain = scaled(q, scale);
  replace("blk.0.attn_q.weight", encode_values(Encoding::f32, permuted(plain, q.cols)));
  std::vector<float> bias;
  for (size_t i = 0; i < q.rows; ++i) bias.push_back(static_cast<float>(i));
  for (const char* const name : {"blk.0.attn_q.bias", "blk.0.attn_v.bias", "blk.0.attn_k.bias"}) {
    const size_t rows = name[11] == 'q' ? q.rows : q.rows / 2;
    const std::vector<float> ours(bias.begin(), bias.begin() + static_cast<ptrdiff_t>(rows));
    gguf_.tensor(name, {rows}, 0, encode_values(Encoding::f32, name[11] == 'v' ? ours : permuted(ours, 1)));
  }
  open();
  const TernaryScales found = source_->ternary_scales(spec("blk.0.attn_q.weight"));
  ASSERT_EQ(found.scales.size(), q.rows);
  for (size_t row = 0; row < q.rows; ++row) EXPECT_EQ(found.scales[row], scale(row, 0));
  EXPECT_EQ(values(spec("blk.0.attn_q.weight")), plain);
  EXPECT_EQ(values(spec("blk.0.attn_q.bias")), bias);
  bias.resize(q.rows / 2);
  EXPECT_EQ(values(spec("blk.0.attn_k.bias")), bias);
  EXPECT_EQ(values(spec("blk.0.attn_v.bias")), bias);
}

// Rows that are used where they lie would be used in the file's order.
TEST_F(LlamaSource, DoesNotLendRowsThatAreElsewhere) {
  sample_.weights = Encoding::f16;
  gguf_ = sample_.gguf();
  open();
  EXPECT_FALSE(source_->stored(spec("blk.0.attn_q.weight"), fb::Type::f16).has_value());
  EXPECT_FALSE(source_->stored(spec("blk.0.attn_k.weight"), fb::Type::f16).has_value());
  EXPECT_TRUE(source_->stored(spec("blk.0.attn_v.weight"), fb::Type::f16).has_value());
}

TEST_F(LlamaSource, FindsScalesOfGroups) {
  const auto scale = [](size_t row, size_t col) {
    const size_t group = col / 64;
    return 1.0f + static_cast<float>(row * 2 + group);
  };
  const SampleMatrix& down = sample_.ternary.at("blk.0.ffn_down.weight");
  replace("blk.0.ffn_down.weight", encode_values(Encoding::f32, scaled(down, scale)));
  open();
  const TernaryScales found = source_->ternary_scales(spec("blk.0.ffn_down.weight"));
  EXPECT_EQ(found.group, 64u);
  ASSERT_EQ(found.scales.size(), size_t{down.rows} * 2);
  for (size_t i = 0; i < found.scales.size(); ++i) EXPECT_EQ(found.scales[i], scale(i / 2, i % 2 * 64));
  EXPECT_EQ(trits(spec("blk.0.ffn_down.weight")), down.trits);
}

TEST_F(LlamaSource, SaysWhyAMatrixIsNotTernary) {
  std::vector<float> values = scaled(sample_.ternary.at("blk.0.ffn_up.weight"), [](size_t, size_t) { return 1.0f; });
  std::ranges::fill(values, 1.0f);
  values[64 * 5 + 9] = 0.5f;
  replace("blk.0.ffn_up.weight", encode_values(Encoding::f32, values));
  open();
  const TernaryScales found = source_->ternary_scales(spec("blk.0.ffn_up.weight"));
  EXPECT_NE(found.not_ternary.find("row 5, column 9 holds 0.5"), std::string::npos) << found.not_ternary;
}

// A row of zeros has the scale 0 in ik_llama.cpp's types, and the codes of 1.
TEST_F(LlamaSource, RowsOfZerosHaveAPositiveScale) {
  sample_.weights = Encoding::iq2_bn;
  gguf_ = sample_.gguf();
  const size_t row_bytes = sizeof(float) + 64 / 4;
  gguf_.data.replace(gguf_.info("blk.0.attn_v.weight").offset + 3 * row_bytes, sizeof(float), 4, '\0');
  open();
  const TensorSpec& v = spec("blk.0.attn_v.weight");
  EXPECT_EQ(source_->ternary_scales(v).scales, std::vector<float>{kScale});
  auto expected = sample_.ternary.at("blk.0.attn_v.weight").trits;
  std::fill_n(expected.begin() + 3 * 64, 64, int8_t{0});
  EXPECT_EQ(trits(v), expected);
}

// As files of BitNet b1.58 2B-4T were published for a while.
TEST(ZeroWeights, AreToldWhateverTheFile) {
  for (const Encoding encoding : {Encoding::i2_s, Encoding::f16, Encoding::q8_0}) {
    SampleModel sample = small_model();
    sample.weights = encoding;
    for (const char* name : {"blk.0.ffn_down.weight", "blk.0.ffn_up.weight"}) {
      std::ranges::fill(sample.ternary.at(name).trits, int8_t{0});
    }
    std::vector<std::string> warnings;
    OpenOptions options;
    options.layout = I2sLayout::x86;
    options.log = [&](bitnet_log_level level, const std::string& text) {
      if (level == BITNET_LOG_WARNING) warnings.push_back(text);
    };
    const std::string file = sample.gguf().build();
    open_container(std::as_bytes(std::span(file)), options);
    ASSERT_EQ(warnings.size(), 1u) << static_cast<int>(encoding);
    EXPECT_TRUE(
        warnings.front().starts_with("all weights of 2 tensors are zero, the first of them blk.0.ffn_up.weight:"))
        << warnings.front();
  }
}

TEST(ZeroWeights, WithAScaleOfZeroAreRefused) {
  SampleModel sample = small_model();
  GgufBuilder gguf = sample.gguf();
  const SampleMatrix& m = sample.ternary.at("blk.0.ffn_down.weight");
  const std::string zeros = encode_ternary(Encoding::i2_s, std::vector<int8_t>(m.trits.size()), m.cols, 0);
  gguf.data.replace(gguf.info("blk.0.ffn_down.weight").offset, zeros.size(), zeros);
  const std::string file = gguf.build();
  try {
    open_container(std::as_bytes(std::span(file)), {});
    FAIL() << "was opened";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("tensor blk.0.ffn_down.weight has the scale 0"), std::string::npos)
        << error.what();
  }
}

}  // namespace
