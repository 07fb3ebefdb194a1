// SPDX-License-Identifier: MIT
#include "format/dummy.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/half.h"
#include "base/parallel.h"
#include "format/container_writer.h"
#include "format/form.h"
#include "format/metadata.h"
#include "format/open.h"
#include "format/planes_quantizer.h"
#include "format/shapes.h"
#include "groups.h"

namespace bitnet {
namespace {

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

// For each random byte the byte that holds `digits` trits, so that every combination is about as likely as any other.
template <typename Pack>
std::array<uint8_t, 256> byte_table(unsigned digits, const Pack& pack) {
  const unsigned combinations = digits == 4 ? 81 : 243;
  std::array<uint8_t, 256> table;
  for (unsigned i = 0; i < 256; ++i) {
    std::array<int8_t, 5> trits;
    unsigned rest = i * combinations >> 8;
    for (unsigned d = 0; d < digits; ++d, rest /= 3) trits[d] = static_cast<int8_t>(static_cast<int>(rest % 3) - 1);
    table[i] = pack(trits);
  }
  return table;
}

std::array<uint8_t, 256> packing_table(Packing packing) {
  const auto digits = static_cast<unsigned>(weights_per_byte(packing));
  return byte_table(digits, [&](const std::array<int8_t, 5>& trits) {
    std::array<uint8_t, kGroupRows * kBlockBytes> block;
    pack_group(packing, trits.data(), 0, 1, digits, block.data());
    return block[0];
  });
}

std::array<uint8_t, 256> group_table() {
  return byte_table(4, [](const std::array<int8_t, 5>& trits) {
    unsigned byte = 0;
    for (unsigned k = 0; k < 4; ++k) byte |= static_cast<unsigned>(trits[k] + 1) << 2 * k;
    return static_cast<uint8_t>(byte);
  });
}

using HalfTable = std::array<uint16_t, 256>;

// For each random byte an F16 of the even distribution up to this magnitude.
HalfTable half_table(float most) {
  HalfTable table;
  for (int i = 0; i < 256; ++i) table[i] = float_to_half(static_cast<float>(2 * i - 255) * (most / 255));
  return table;
}

// The scales of groups, which differ.
HalfTable group_scale_table(float mean) {
  HalfTable table;
  for (int i = 0; i < 256; ++i) table[i] = float_to_half(mean * (0.5f + static_cast<float>(i) / 255));
  return table;
}

// Magnitudes with which logits come out in the usual range: of the numbers of embedding and head, and of a matrix
// whose outputs are to be as large as its inputs.
constexpr float kMostToken = 0.0866f, kTokenScale = 0.06f, kMostBias = 0.1f;
float most_weight(uint32_t cols) { return std::sqrt(3.0f / static_cast<float>(cols)); }
float trit_scale(uint32_t cols) { return 1.2f / std::sqrt(static_cast<float>(cols)); }

Shape as_asked(Shape shape, const DummyOptions& options) {
  shape.weights = options.weights.value_or(shape.weights);
  shape.architecture = options.architecture.value_or(shape.architecture);
  return shape;
}

Form form_of_dummy(const Shape& shape, const DummyOptions& options) {
  const auto linear = [&] {
    switch (shape.weights) {
      case Weights::ternary:
        return type_of(options.packing);
      case Weights::groups:
        return fb::Type::g128;
      case Weights::dense:
        return dense_type(options.dense);
    }
    fail(BITNET_ERROR_INTERNAL, "shape ", shape.name, " has weights of no kind");
  };
  const fb::Type plain = options.dense == Dense::f32 ? fb::Type::f32 : fb::Type::f16;
  const fb::Type tokens = shape.ternary_tokens ? fb::Type::g128 : plain;
  const Form form = {.linear = linear(), .embedding = tokens, .head = tokens};
  return with_head(form, options.head.value_or(default_head(shape.vocabulary)));
}

std::vector<TensorSpec> specs_of(const Shape& shape, const Form& form) {
  return tensor_specs(shape.hyper(), [&](std::string_view name) {
    if (shape.embeds && (name == kHeadName || name == kScreenName)) return false;
    return (shape.input_norms && name.ends_with(kInputNormEnd)) ||
           (name == kHeadName && (form.head_copied || !shape.tied)) || (name == kScreenName && form.screen) ||
           (name == kRopeFactorsName && shape.rope != RopeKind::plain);
  });
}

fb::Type type_of_role(const Form& form, Role role) {
  switch (role) {
    case Role::vector:
    case Role::bias:
    case Role::router:
      return fb::Type::f32;
    case Role::linear:
      return form.linear;
    case Role::embedding:
      return form.embedding;
    case Role::head:
      return form.head;
    case Role::screen:
      return fb::Type::q5;
  }
  fail(BITNET_ERROR_INTERNAL, "a tensor of an unknown role");
}

class DummyWriter {
 public:
  DummyWriter(const std::string& out, const Shape& shape, const DummyOptions& options)
      : shape_(shape),
        options_(options),
        form_(form_of_dummy(shape, options)),
        rope_(rope_scaling(shape)),
        writer_(out, std::nullopt),
        random_(options.seed) {}

  uint64_t run() {
    fb::ModelT model = describe();
    const auto specs = specs_of(shape_, form_);
    uint64_t total = 0;
    for (const TensorSpec& spec : specs) {
      model.tensors.push_back(plan_tensor(spec, spec.name, type_of_role(form_, spec.role)));
      total += model.tensors.back()->raw_size;
    }
    writer_.expect(total);
    ProgressMeter meter(options_.progress, total);
    for (size_t i = 0; i < specs.size(); ++i) {
      fb::TensorT& tensor = *model.tensors[i];
      writer_.begin(tensor);
      fill(specs[i], tensor, meter);
      writer_.end();
    }
    writer_.finish(model);
    return writer_.commit();
  }

 private:
  fb::ModelT describe() const {
    fb::ModelT model;
    model.architecture = shape_.architecture;
    model.name = "dummy-" + std::string(shape_.name);
    model.license = "MIT";
    model.tied = shape_.tied;
    model.headless = shape_.embeds;
    if (shape_.embeds) model.pooling = fb::Pooling::last;
    model.settled = true;
    model.hyper = std::make_unique<fb::HyperParametersT>(store_hyperparameters(shape_.hyper()));
    model.tokenizer = make_tokenizer();
    if (shape_.rope == RopeKind::yarn) model.notes = describe_yarn();
    return model;
  }

  // The parameters that the rotary factors came from, in GGUF's words, as a model that was converted has them.
  std::vector<std::unique_ptr<fb::KeyValueT>> describe_yarn() const {
    const std::string prefix = std::string(shape_.architecture) + ".rope.scaling.";
    std::vector<std::unique_ptr<fb::KeyValueT>> notes;
    const auto add = [&](const char* key, fb::ValueKind kind) {
      notes.push_back(std::make_unique<fb::KeyValueT>());
      notes.back()->key = prefix + key;
      notes.back()->kind = kind;
    };
    add("type", fb::ValueKind::text);
    notes.back()->text = "yarn";
    add("factor", fb::ValueKind::real);
    notes.back()->real = kYarnFactor;
    add("original_context_length", fb::ValueKind::integer);
    notes.back()->integer = static_cast<int64_t>(shape_.context / kYarnFactor);
    return notes;
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
    tokenizer->add_bos = !shape_.embeds;
    tokenizer->add_eos = shape_.embeds;
    add("<|begin_of_text|>", kControl);
    add("<|end_of_text|>", kControl);
    while (tokenizer->ends.size() < shape_.vocabulary) {
      add("<|unused_" + std::to_string(tokenizer->ends.size()) + "|>", kUnused);
    }
    return tokenizer;
  }

  void fill(const TensorSpec& spec, fb::TensorT& tensor, ProgressMeter& meter) {
    if (spec.role == Role::embedding || (spec.role == Role::head && !shape_.tied)) head_values_ = random_;
    const bool linear = spec.role == Role::linear;
    switch (tensor.type) {
      case fb::Type::f32:
        return fill_floats(spec, tensor, meter);
      case fb::Type::f16: {
        const HalfTable halves = values_of(spec);
        return fill_rows(
            tensor, 2, [&](std::byte* row) { fill_halves(halves, tensor.cols, row, random_); }, meter);
      }
      case fb::Type::int8:
        tensor.scales.assign(tensor.rows, (linear ? most_weight(tensor.cols) : kMostToken) / 127);
        return fill_rows(
            tensor, 1, [&](std::byte* row) { fill_bytes(row, tensor.cols); }, meter);
      case fb::Type::q5:
      case fb::Type::q6:
        return fill_planes(tensor, meter);
      case fb::Type::i2:
      case fb::Type::t5:
        tensor.scales = {ternary_scale(tensor.cols)};
        return fill_ternary(tensor, meter);
      case fb::Type::g128:
      case fb::Type::g64:
        tensor.scales = {1};
        return fill_groups(tensor, group_scale_table(linear ? trit_scale(tensor.cols) : kTokenScale), meter);
    }
    fail(BITNET_ERROR_INTERNAL, "tensor ", tensor.name, " has an unknown type");
  }

  HalfTable values_of(const TensorSpec& spec) const {
    return spec.role == Role::linear || spec.role == Role::router ? half_table(most_weight(spec.cols)) : tokens_;
  }

  // Files of bitnet.cpp have scales of 32 bits; those that llama.cpp reads, of 16.
  float ternary_scale(uint32_t cols) const {
    const float scale = trit_scale(cols);
    return require_architecture(shape_.architecture).ternary ? scale : half_to_float(float_to_half(scale));
  }

  void fill_floats(const TensorSpec& spec, const fb::TensorT& tensor, ProgressMeter& meter) {
    switch (spec.role) {
      case Role::vector:
        if (spec.name == kRopeFactorsName) return write_vector(tensor, [&](uint32_t i) { return rope_.factors[i]; });
        return write_vector(tensor, [&](uint32_t) { return 0.9f + 0.2f * uniform(); });
      case Role::bias:
        return write_vector(tensor, [&](uint32_t) { return kMostBias * (2 * uniform() - 1); });
      case Role::linear:
      case Role::router:
      case Role::embedding:
      case Role::head:
      case Role::screen:
        break;
    }
    const HalfTable halves = values_of(spec);
    std::vector<uint16_t> row_halves(tensor.cols);
    fill_rows(
        tensor, 4,
        [&](std::byte* row) {
          fill_halves(halves, tensor.cols, reinterpret_cast<std::byte*>(row_halves.data()), random_);
          std::ranges::transform(row_halves, reinterpret_cast<float*>(row), half_to_float);
        },
        meter);
  }

  float uniform() { return static_cast<float>(random_.next() >> 40) * 0x1p-24f; }

  template <typename Value>
  void write_vector(const fb::TensorT& tensor, const Value& value) {
    std::vector<float> values(tensor.stride);
    for (uint32_t i = 0; i < tensor.cols; ++i) values[i] = value(i);
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

  static void fill_halves(const HalfTable& halves, uint32_t cols, std::byte* out, Random& random) {
    for (uint32_t i = 0; i < cols; i += sizeof(uint64_t)) {
      const uint64_t bits = random.next();
      for (uint32_t j = 0; j < std::min<uint32_t>(sizeof bits, cols - i); ++j) {
        const uint16_t half = halves[bits >> 8 * j & 255];
        std::memcpy(out + (i + j) * sizeof half, &half, sizeof half);
      }
    }
  }

  // Of what the head's values are: the embedding, or a head, made anew for it.
  void fill_planes(fb::TensorT& tensor, ProgressMeter& meter) {
    constexpr uint32_t kRows = 64, kParts = 16;
    const Planes planes = *tensor_type(tensor.type).planes;
    const uint32_t cols = tensor.cols;
    const bool screen = tensor.name == kScreenName;
    tensor.scales.resize(tensor.rows);
    tensor.bounds.resize(screen ? tensor.rows : 0);
    std::vector<uint16_t> halves(size_t{kRows} * kParts * cols);
    Random values = head_values_;
    for (uint32_t begin = 0; begin < tensor.rows; begin += kRows * kParts) {
      const uint32_t count = std::min(kRows * kParts, tensor.rows - begin);
      for (uint32_t row = 0; row < count; ++row) {
        fill_halves(tokens_, cols, reinterpret_cast<std::byte*>(&halves[size_t{row} * cols]), values);
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
      fill_codes(bytes_, group.data(), group_bytes);
      uint8_t* const last = group.data() + group_bytes - last_bytes;
      if (last_cols != weights_per_block(packing)) {
        unpack_group(packing, last, kGroupRows, last_cols, trits.data(), last_cols);
        pack_group(packing, trits.data(), last_cols, kGroupRows, last_cols, last);
      }
      writer_.write(std::as_bytes(std::span(group)));
      meter.advance(group_bytes);
    }
  }

  // A row of tiles at a time. What fills up the last tiles is packed anew.
  void fill_groups(const fb::TensorT& tensor, const HalfTable& scales, ProgressMeter& meter) {
    const size_t group = *group_of(tensor_type(tensor.type).numbers), groups = groups_per_row(tensor.cols, group);
    const size_t tile = group_tile_bytes(group), of_scales = group_scale_bytes(group);
    std::vector<uint8_t> tiles(group_bytes(kGroupTileRows, tensor.cols, group));
    std::vector<int8_t> trits(kGroupTileRows * size_t{tensor.cols});
    std::vector<uint16_t> halves(kGroupTileRows * groups);
    for (uint32_t row = 0; row < tensor.rows; row += kGroupTileRows) {
      for (size_t begin = 0; begin < tiles.size(); begin += tile) {
        for (size_t i = 0; i < of_scales; i += sizeof(uint16_t)) {
          std::memcpy(&tiles[begin + i], &scales[random_.next() & 255], sizeof(uint16_t));
        }
        fill_codes(groups_, &tiles[begin + of_scales], tile - of_scales);
      }
      const size_t rows = std::min<size_t>(kGroupTileRows, tensor.rows - row);
      if (rows != kGroupTileRows || tensor.cols % kGroupTileCols != 0) {
        unpack_groups(group, tiles.data(), {trits.data(), tensor.cols, halves.data(), groups, rows, tensor.cols});
        pack_groups(group, {trits.data(), tensor.cols, halves.data(), groups, rows, tensor.cols}, tiles.data());
      }
      writer_.write(std::as_bytes(std::span(tiles)));
      meter.advance(tiles.size());
    }
  }

  // count: a multiple of eight.
  void fill_codes(const std::array<uint8_t, 256>& table, uint8_t* out, size_t count) {
    for (size_t i = 0; i < count; i += sizeof(uint64_t)) {
      const uint64_t bits = random_.next();
      for (size_t j = 0; j < sizeof bits; ++j) out[i + j] = table[bits >> 8 * j & 255];
    }
  }

  const Shape& shape_;
  const DummyOptions& options_;
  const Form form_;
  const RopeScaling rope_;
  ContainerWriter writer_;
  Random random_;
  Random head_values_ = random_;  // as it was before the values of the head
  const std::array<uint8_t, 256> bytes_ = packing_table(options_.packing), groups_ = group_table();
  const HalfTable tokens_ = half_table(kMostToken);
};

}  // namespace

std::string dummy_shapes() {
  std::string names;
  for (const Shape& shape : shapes()) names += (names.empty() ? "" : ", ") + std::string(shape.name);
  return names;
}

ShapeSize size_of(const Shape& named, const DummyOptions& options) {
  const Shape shape = as_asked(named, options);
  const Form form = form_of_dummy(shape, options);
  ShapeSize size{};
  for (const TensorSpec& spec : specs_of(shape, form)) {
    const uint64_t values = uint64_t{spec.rows} * spec.cols,
                   bytes = raw_bytes(type_of_role(form, spec.role), spec.rows, spec.cols);
    const bool copy = spec.role == Role::screen || (spec.role == Role::head && shape.tied);
    const bool embedding = spec.role == Role::embedding, head = spec.role == Role::head;
    // The embedding is looked up, a row for a token, unless it is the head; a screened head is read in a few rows.
    const bool read_whole = !((embedding && (!shape.tied || form.head_copied || form.screen)) || (head && form.screen));
    size.parameters += copy ? 0 : values;
    size.bytes += bytes;
    const uint64_t networks = std::max(spec.experts, 1u), used = spec.experts == 0 ? 1 : shape.experts_used;
    size.bytes_a_token += read_whole ? bytes / networks * used : bytes / spec.rows;
  }
  size.cache_bytes_a_token = uint64_t{2} * shape.layers * shape.kv_heads * shape.head_dim * sizeof(uint16_t);
  return size;
}

namespace {

GgufWriterOptions gguf_options(const Shape& shape, const DummyOptions& options) {
  require(!options.head, BITNET_ERROR_ARGUMENT,
          "a GGUF file has its head as the model is published; leave out the "
          "kind of head");
  require(shape.weights != Weights::dense || options.dense != Dense::int8, BITNET_ERROR_ARGUMENT,
          "GGUF has no type for int8 with a scale for each row; choose f16 or f32");
  // Products of trits and scales are rounded where F16 is asked for, or usual; no scale is.
  GgufWriterOptions result{.weights = options.gguf_weights,
                           .lossy = !options.gguf_weights || *options.gguf_weights == GgufWeights::f16,
                           .progress = options.progress,
                           .log = options.log};
  if (!result.weights && options.dense == Dense::f32 && shape.weights == Weights::dense) {
    result.weights = GgufWeights::f32;
  }
  return result;
}

// By way of a .bitnet file beside it.
uint64_t write_gguf_dummy(const std::string& out, const Shape& shape, const DummyOptions& options) {
  const GgufWriterOptions gguf = gguf_options(shape, options);
  DummyOptions plain = options;
  plain.head = HeadType::f16;
  plain.progress = {};
  const struct Temporary {
    std::string path;
    ~Temporary() { std::remove(path.c_str()); }
  } temporary{out + ".tmp.bitnet"};
  DummyWriter(temporary.path, shape, plain).run();
  return write_gguf(out, *open_container_source(open_container(temporary.path)), gguf).commit();
}

}  // namespace

uint64_t write_dummy(const std::string& out, std::string_view name, const DummyOptions& options) {
  const Shape* const shape = find_shape(name);
  require(shape != nullptr, BITNET_ERROR_ARGUMENT, "no shape is called ", name, "; there are ", dummy_shapes());
  const Shape written = as_asked(*shape, options);
  return options.gguf ? write_gguf_dummy(out, written, options) : DummyWriter(out, written, options).run();
}

}  // namespace bitnet
