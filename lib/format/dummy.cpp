// SPDX-License-Identifier: MIT
#include "format/dummy.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/half.h"
#include "base/parallel.h"
#include "format/container_writer.h"
#include "format/metadata.h"
#include "format/planes_quantizer.h"

namespace bitnet {
namespace {

struct Shape {
  std::string_view name;
  uint32_t hidden, ffn, layers, heads, kv_heads, vocabulary;
  float rope_theta;
  uint32_t context;
};

// 2B-4T and 3B as published; the others are those that the papers of BitNet b1.58 and bitnet.cpp measure,
// and one for tests.
constexpr std::array kShapes = std::to_array<Shape>({
    {"tiny", 320, 864, 3, 4, 2, 1000, 10000, 512},
    {"125M", 768, 3072, 11, 12, 12, 32002, 10000, 2048},
    {"350M", 1024, 3072, 24, 16, 16, 32002, 10000, 2048},
    {"700M", 1536, 4096, 24, 16, 16, 32002, 10000, 2048},
    {"1B", 2048, 3584, 24, 32, 32, 32002, 10000, 2048},
    {"2B-4T", 2560, 6912, 30, 20, 5, 128256, 500000, 4096},
    {"3B", 3200, 8640, 26, 32, 32, 32002, 10000, 2048},
    {"7B", 4096, 12032, 32, 32, 32, 32002, 10000, 2048},
    {"13B", 5120, 13824, 40, 40, 40, 32002, 10000, 2048},
    {"30B", 6656, 16384, 60, 52, 52, 32002, 10000, 2048},
    {"70B", 8192, 24576, 80, 64, 64, 32002, 10000, 2048},
    {"100B", 8192, 45568, 72, 64, 64, 32002, 10000, 2048},
});

// Sebastiano Vigna's SplitMix64: one multiplication chain for each eight bytes, and defined everywhere alike.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }

 private:
  uint64_t state_;
};

// For each random byte the byte of a packing, so that every combination of weights is about as likely as any other.
std::array<uint8_t, 256> byte_table(Packing packing) {
  const unsigned digits = static_cast<unsigned>(weights_per_byte(packing)), combinations = digits == 4 ? 81 : 243;
  std::array<uint8_t, 256> table;
  for (unsigned i = 0; i < 256; ++i) {
    std::array<int8_t, 5> trits;
    unsigned rest = i * combinations >> 8;
    for (unsigned d = 0; d < digits; ++d, rest /= 3) trits[d] = static_cast<int8_t>(static_cast<int>(rest % 3) - 1);
    std::array<uint8_t, kGroupRows * kBlockBytes> block;
    pack_group(packing, trits.data(), 0, 1, digits, block.data());
    table[i] = block[0];
  }
  return table;
}

// For each random byte an F16 of the even distribution with deviation 0.05.
std::array<uint16_t, 256> half_table() {
  std::array<uint16_t, 256> table;
  for (int i = 0; i < 256; ++i) table[i] = float_to_half(static_cast<float>(2 * i - 255) * (0.0866f / 255));
  return table;
}

class DummyWriter {
 public:
  DummyWriter(const std::string& out, const Shape& shape, const DummyOptions& options)
      : shape_(shape),
        options_(options),
        head_(options.head.value_or(default_head(shape.vocabulary))),
        writer_(out, std::nullopt),
        random_(options.seed) {}

  uint64_t run() {
    fb::ModelT model = describe();
    const HeadForm form = form_of(head_);
    const auto has = [&](std::string_view name) {
      return (name == kHeadName && form.copied) || (name == kScreenName && form.screen);
    };
    const auto specs = tensor_specs(read_hyperparameters(model), has);
    uint64_t total = 0;
    for (const TensorSpec& spec : specs) {
      auto tensor = std::make_unique<fb::TensorT>();
      tensor->name = spec.name;
      tensor->type = type_for(spec.role);
      tensor->rows = spec.rows;
      tensor->cols = spec.cols;
      tensor->stride = row_stride(tensor->type, spec.cols);
      tensor->raw_size = raw_bytes(tensor->type, spec.rows, spec.cols);
      total += tensor->raw_size;
      model.tensors.push_back(std::move(tensor));
    }
    writer_.expect(total);
    ProgressMeter meter(options_.progress, total);
    for (const auto& tensor : model.tensors) {
      writer_.begin(*tensor);
      fill(*tensor, meter);
      writer_.end();
    }
    return writer_.finish(model);
  }

 private:
  fb::Type type_for(Role role) const {
    switch (role) {
      case Role::vector:
      case Role::bias:
        return fb::Type::f32;
      case Role::linear:
        return type_of(options_.packing);
      case Role::embedding:
        return fb::Type::f16;
      case Role::screen:
        return fb::Type::q5;
      case Role::head:
        return form_of(head_).type;
    }
    fail(BITNET_ERROR_INTERNAL, "a tensor of an unknown role");
  }

  fb::ModelT describe() const {
    fb::ModelT model;
    model.architecture = "bitnet-b1.58";
    model.name = "dummy-" + std::string(shape_.name);
    model.license = "MIT";
    model.tied = true;
    model.settled = true;
    model.hyper = std::make_unique<fb::HyperParametersT>();
    fb::HyperParametersT& hyper = *model.hyper;
    hyper.layers = shape_.layers;
    hyper.hidden = shape_.hidden;
    hyper.ffn = shape_.ffn;
    hyper.heads = shape_.heads;
    hyper.kv_heads = shape_.kv_heads;
    hyper.head_dim = shape_.hidden / shape_.heads;
    hyper.vocabulary = shape_.vocabulary;
    hyper.context = shape_.context;
    hyper.rms_epsilon = 1e-5f;
    hyper.rope_theta = shape_.rope_theta;
    hyper.activation = fb::Activation::relu2;
    model.tokenizer = make_tokenizer();
    return model;
  }

  // Bytes in GPT-2's alphabet, without merges; then BOS and EOS; then pieces that no text is made of.
  std::unique_ptr<fb::TokenizerT> make_tokenizer() const {
    constexpr uint8_t kNormal = 1, kControl = 3, kUnused = 5;
    auto tokenizer = std::make_unique<fb::TokenizerT>();
    tokenizer->kind = fb::TokenizerKind::byte_bpe;
    tokenizer->pre_tokenizer = "gpt-2";
    const auto add = [&](std::string_view piece, uint8_t type) {
      tokenizer->pieces.insert(tokenizer->pieces.end(), piece.begin(), piece.end());
      tokenizer->ends.push_back(static_cast<uint32_t>(tokenizer->pieces.size()));
      tokenizer->types.push_back(type);
    };
    // Bytes that Latin-1 prints stand for themselves, the others for U+0100 and up in turn (GPT-2's bytes_to_unicode).
    unsigned next = 256;
    for (unsigned byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173);
      const unsigned code = printable ? byte : next++;
      const char utf8[] = {static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 63))};
      const char ascii = static_cast<char>(code);
      add(code < 128 ? std::string_view(&ascii, 1) : std::string_view(utf8, 2), kNormal);
    }
    tokenizer->bos = 256;
    tokenizer->eos = 257;
    tokenizer->add_bos = true;
    add("<|begin_of_text|>", kControl);
    add("<|end_of_text|>", kControl);
    while (tokenizer->ends.size() < shape_.vocabulary) {
      add("<|unused_" + std::to_string(tokenizer->ends.size()) + "|>", kUnused);
    }
    return tokenizer;
  }

  void fill(fb::TensorT& tensor, ProgressMeter& meter) {
    switch (tensor.type) {
      case fb::Type::f32:
        return fill_norm(tensor);
      case fb::Type::f16:
        embedding_ = random_;
        return fill_rows(
            tensor, 2, [&](std::byte* row) { fill_halves(tensor.cols, row, random_); }, meter);
      case fb::Type::int8:
        tensor.scales.assign(tensor.rows, 0.0866f / 127);
        return fill_rows(
            tensor, 1, [&](std::byte* row) { fill_bytes(row, tensor.cols); }, meter);
      case fb::Type::q5:
      case fb::Type::q6:
        return fill_planes(tensor, meter);
      case fb::Type::i2:
      case fb::Type::t5:
        tensor.scales = {1.2f / std::sqrt(static_cast<float>(tensor.cols))};
        return fill_ternary(tensor, meter);
      case fb::Type::g128:
      case fb::Type::g64:
        break;
    }
    fail(BITNET_ERROR_INTERNAL, "tensor ", tensor.name, " of type ", name_of(tensor.type), " is none of a dummy");
  }

  void fill_norm(const fb::TensorT& tensor) {
    std::vector<float> values(tensor.stride);
    for (uint32_t i = 0; i < tensor.cols; ++i)
      values[i] = 0.9f + 0.2f * static_cast<float>(random_.next() >> 40) * 0x1p-24f;
    writer_.write(std::as_bytes(std::span(values)));
  }

  template <typename FillRow>
  void fill_rows(const fb::TensorT& tensor, size_t width, const FillRow& fill_row, ProgressMeter& meter) {
    constexpr uint32_t kRows = 256;
    const size_t row_bytes = tensor.stride * width;
    std::vector<std::byte> rows(kRows * row_bytes);
    for (uint32_t begin = 0; begin < tensor.rows; begin += kRows) {
      const uint32_t count = std::min(kRows, tensor.rows - begin);
      for (uint32_t row = 0; row < count; ++row) fill_row(rows.data() + row * row_bytes);
      writer_.write(std::span(rows).first(count * row_bytes));
      meter.advance(count * row_bytes);
    }
  }

  void fill_bytes(std::byte* out, size_t count) {
    for (size_t i = 0; i < count; i += sizeof(uint64_t)) {
      const uint64_t bits = random_.next();
      std::memcpy(out + i, &bits, std::min(sizeof bits, count - i));
    }
    std::replace(out, out + count, std::byte{0x80}, std::byte{0x81});  // int8 rows keep to -127 .. 127
  }

  void fill_halves(uint32_t cols, std::byte* out, Random& random) const {
    for (uint32_t i = 0; i < cols; i += sizeof(uint64_t)) {
      const uint64_t bits = random.next();
      for (uint32_t j = 0; j < std::min<uint32_t>(sizeof bits, cols - i); ++j) {
        const uint16_t half = halves_[bits >> 8 * j & 255];
        std::memcpy(out + (i + j) * sizeof half, &half, sizeof half);
      }
    }
  }

  // Of the embedding, which is made anew for it.
  void fill_planes(fb::TensorT& tensor, ProgressMeter& meter) {
    constexpr uint32_t kRows = 64, kParts = 16;
    const Planes planes = *tensor_type(tensor.type).planes;
    const uint32_t cols = tensor.cols;
    const bool screen = tensor.name == kScreenName;
    tensor.scales.resize(tensor.rows);
    tensor.bounds.resize(screen ? tensor.rows : 0);
    std::vector<uint16_t> halves(size_t{kRows} * kParts * cols);
    for (uint32_t begin = 0; begin < tensor.rows; begin += kRows * kParts) {
      const uint32_t count = std::min(kRows * kParts, tensor.rows - begin);
      for (uint32_t row = 0; row < count; ++row) {
        fill_halves(cols, reinterpret_cast<std::byte*>(&halves[size_t{row} * cols]), embedding_);
      }
      std::vector<std::byte> packed(planes_bytes(planes, count, cols));
      parallel_for((count + kRows - 1) / kRows, [&](size_t part) {
        const size_t row = part * kRows;
        quantize_planes(planes, &halves[row * cols], std::min<size_t>(kRows, count - row), cols,
                        reinterpret_cast<uint8_t*>(packed.data()) + planes_bytes(planes, row, cols),
                        &tensor.scales[begin + row], screen ? &tensor.bounds[begin + row] : nullptr);
      });
      writer_.write(packed);
      meter.advance(packed.size());
    }
  }

  // All shapes have whole groups of rows. In a group the last blocks of its rows lie together at the end: a group of
  // rows as long as what is in them.
  void fill_ternary(const fb::TensorT& tensor, ProgressMeter& meter) {
    const Packing packing = options_.packing;
    const size_t group_bytes = packed_bytes(packing, kGroupRows, tensor.cols), last_bytes = kGroupRows * kBlockBytes;
    const size_t last_cols = tensor.cols - (blocks_per_row(packing, tensor.cols) - 1) * weights_per_block(packing);
    std::vector<uint8_t> group(group_bytes);
    std::vector<int8_t> trits(kGroupRows * last_cols);
    for (uint32_t row = 0; row < tensor.rows; row += kGroupRows) {
      for (size_t i = 0; i < group_bytes; i += sizeof(uint64_t)) {
        const uint64_t bits = random_.next();
        for (size_t j = 0; j < sizeof bits; ++j) group[i + j] = bytes_[bits >> 8 * j & 255];
      }
      uint8_t* const last = group.data() + group_bytes - last_bytes;
      if (last_cols != weights_per_block(packing)) {
        unpack_group(packing, last, kGroupRows, last_cols, trits.data(), last_cols);
        pack_group(packing, trits.data(), last_cols, kGroupRows, last_cols, last);
      }
      writer_.write(std::as_bytes(std::span(group)));
      meter.advance(group_bytes);
    }
  }

  const Shape& shape_;
  const DummyOptions& options_;
  const HeadType head_;
  ContainerWriter writer_;
  Random random_;
  Random embedding_ = random_;  // as it was before the embedding
  const std::array<uint8_t, 256> bytes_ = byte_table(options_.packing);
  const std::array<uint16_t, 256> halves_ = half_table();
};

bool same_name(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

}  // namespace

std::string dummy_shapes() {
  std::string names;
  for (const Shape& shape : kShapes) names += (names.empty() ? "" : ", ") + std::string(shape.name);
  return names;
}

uint64_t write_dummy(const std::string& out, std::string_view name, const DummyOptions& options) {
  const auto shape = std::ranges::find_if(kShapes, [&](const Shape& s) { return same_name(s.name, name); });
  require(shape != kShapes.end(), BITNET_ERROR_ARGUMENT, "no shape is called ", name, "; there are ", dummy_shapes());
  return DummyWriter(out, *shape, options).run();
}

}  // namespace bitnet
