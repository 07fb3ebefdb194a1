// SPDX-License-Identifier: MIT
#include "format/sample_model.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

namespace bitnet_test {
namespace {

// Only for values that F16 holds exactly and that are no subnormals.
uint16_t to_half(float value) {
  if (value == 0) return 0;
  int exponent;
  const float fraction = std::frexp(std::fabs(value), &exponent);  // 0.5 .. 1
  return static_cast<uint16_t>((value < 0 ? 0x8000 : 0) | (exponent + 14) << 10 |
                               (static_cast<int>(fraction * 2048) & 1023));
}

uint16_t to_bfloat(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return static_cast<uint16_t>(bits >> 16);
}

// Blocks of 32: F16 step, then int8.
std::string encode_q8_0(const std::vector<float>& values, float step) {
  std::string out;
  for (size_t i = 0; i < values.size(); ++i) {
    if (i % 32 == 0) append(out, to_half(step));
    append(out, static_cast<int8_t>(std::lround(values[i] / step)));
  }
  return out;
}

// Blocks of 256: every value is step * group * (six bits - 32); here all groups are `group`.
std::string encode_q6_k(const std::vector<float>& values, float step, int8_t group) {
  std::string out;
  for (size_t begin = 0; begin < values.size(); begin += 256) {
    uint8_t low[128] = {}, high[64] = {};
    for (size_t i = 0; i < 256; ++i) {
      const int code = static_cast<int>(std::lround(values[begin + i] / (step * group))) + 32;
      const size_t half = i / 128, in_half = i % 128;
      low[half * 64 + in_half % 64] |= static_cast<uint8_t>((code & 15) << (in_half < 64 ? 0 : 4));
      high[half * 32 + in_half % 32] |= static_cast<uint8_t>(code >> 4 << 2 * (in_half / 32));
    }
    out.append(reinterpret_cast<char*>(low), sizeof low);
    out.append(reinterpret_cast<char*>(high), sizeof high);
    out.append(16, static_cast<char>(group));
    append(out, to_half(step));
  }
  return out;
}

// What is no whole block is lost, as it is in bitnet.cpp.
std::string encode_i2s(const std::vector<int8_t>& trits, float scale, size_t run) {
  std::string out(trits.size() / 4 + run, '\0');
  for (size_t i = 0; i < trits.size(); ++i) {
    const size_t block = i / (4 * run), place = i % (4 * run);
    out[block * run + place % run] |= static_cast<char>((trits[i] + 1) << (6 - 2 * (place / run)));
  }
  out.resize(trits.size() / 4);
  append(out, scale);
  out.append(28, '\0');
  return out;
}

// One byte holds one column of four rows, the first row in the top two bits.
std::string encode_i2s_rows(const std::vector<int8_t>& trits, size_t cols, float scale) {
  std::string out;
  for (size_t begin = 0; begin + 4 * cols <= trits.size(); begin += 4 * cols) {
    for (size_t col = 0; col < cols; ++col) {
      unsigned byte = 0;
      for (size_t row = 0; row < 4; ++row) {
        byte = byte << 2 | static_cast<unsigned>(trits[begin + row * cols + col] + 1);
      }
      out += static_cast<char>(byte);
    }
  }
  out.resize(trits.size() / 4);
  append(out, scale);
  out.append(28, '\0');
  return out;
}

// Five digits of base 3, the first the most significant, as ceil(256 v / 243); four digits are five with a last 0.
std::string encode_tq1_0(const std::vector<int8_t>& trits, float scale) {
  std::string out;
  const auto run = [&](size_t begin, size_t bytes, int digits) {
    for (size_t i = 0; i < bytes; ++i) {
      unsigned v = 0;
      for (int d = 0; d < 5; ++d)
        v = v * 3 + (d < digits ? static_cast<unsigned>(trits[begin + d * bytes + i] + 1) : 0);
      out += static_cast<char>((v * 256 + 242) / 243);
    }
  };
  for (size_t begin = 0; begin < trits.size(); begin += 256) {
    run(begin, 32, 5);
    run(begin + 160, 16, 5);
    run(begin + 240, 4, 4);
    append(out, to_half(scale));
  }
  return out;
}

// The same for 128 weights.
std::string encode_ptq1_0(const std::vector<int8_t>& trits, float scale) {
  std::string out;
  constexpr struct { size_t bytes, digits; } kRuns[] = {{16, 5}, {8, 5}, {2, 4}};
  for (auto block = trits.begin(); block != trits.end();) {
    for (const auto& run : kRuns) {
      for (size_t i = 0; i < run.bytes; ++i) {
        unsigned v = 0;
        for (size_t d = 0; d < 5; ++d) v = v * 3 + (d < run.digits ? block[d * run.bytes + i] + 1 : 0);
        out += static_cast<char>((v * 256 + 242) / 243);
      }
      block += run.bytes * run.digits;
    }
    append(out, to_half(scale));
  }
  return out;
}

// A scale, then four two-bit codes a byte, the first in the low bits.
std::string encode_q2_0(const std::vector<int8_t>& trits, size_t block, float scale) {
  std::string out;
  for (size_t i = 0; i < trits.size(); i += 4) {
    if (i % block == 0) append(out, to_half(scale));
    unsigned byte = 0;
    for (size_t k = 0; k < 4; ++k) byte |= static_cast<unsigned>(trits[i + k] + 1) << 2 * k;
    out += static_cast<char>(byte);
  }
  return out;
}

// Arrays of any number of dimensions, reshaped and transposed as bitnet.cpp's converter does it in NumPy.
class Array {
 public:
  Array(std::vector<unsigned> values, std::vector<size_t> shape)
      : values_(std::move(values)), shape_(std::move(shape)) {}

  Array reshape(std::vector<size_t> shape) const { return {values_, std::move(shape)}; }
  // Two neighbouring axes change places.
  Array swap(size_t axis) const {
    const auto product = [&](size_t begin, size_t end) {
      size_t size = 1;
      for (size_t i = begin; i < end; ++i) size *= shape_[i];
      return size;
    };
    const size_t outer = product(0, axis), a = shape_[axis], b = shape_[axis + 1];
    const size_t inner = product(axis + 2, shape_.size());
    Array out = *this;
    std::swap(out.shape_[axis], out.shape_[axis + 1]);
    for (size_t o = 0; o < outer; ++o) {
      for (size_t i = 0; i < a; ++i) {
        for (size_t j = 0; j < b; ++j) {
          for (size_t k = 0; k < inner; ++k) {
            out.values_[((o * b + j) * a + i) * inner + k] = values_[((o * a + i) * b + j) * inner + k];
          }
        }
      }
    }
    return out;
  }
  const std::vector<unsigned>& values() const { return values_; }

 private:
  std::vector<unsigned> values_;
  std::vector<size_t> shape_;
};

// Codes of `n` weights in a row each, in the order that TL1 and TL2 share: panels, tiles, steps of `by` columns, rows.
Array tile(const std::vector<unsigned>& codes, size_t rows, size_t cols, size_t n, size_t bm_rows, size_t panel,
           size_t bm, size_t by) {
  return Array(codes, {rows / bm_rows, bm_rows, cols / n})
      .swap(1)
      .reshape({rows / bm_rows, cols / panel, panel / n, bm_rows})
      .swap(2)
      .reshape({rows / bm_rows, cols / panel, bm_rows / bm, bm, panel / n})
      .swap(3)
      .reshape({rows / bm_rows, cols / panel, bm_rows / bm, panel / by, by / n, bm})
      .swap(4);
}

std::string pair_nibbles(const std::vector<unsigned>& codes) {
  std::string out;
  for (size_t i = 0; i < codes.size(); i += 2) out += static_cast<char>(codes[i] << 4 | codes[i + 1]);
  return out;
}

// Of bytes of 32 rows each, the second and the third eight change places.
std::string swap_middle(std::string bytes) {
  for (size_t begin = 0; begin < bytes.size(); begin += 32) {
    std::swap_ranges(bytes.begin() + begin + 8, bytes.begin() + begin + 16, bytes.begin() + begin + 16);
  }
  return bytes;
}

std::string encode_iq1_bn(const std::vector<int8_t>& trits, size_t cols, float scale) {
  constexpr unsigned kPowers[] = {1, 3, 9, 27, 81};
  const auto byte = [](unsigned number) { return static_cast<char>((256 * number + 242) / 243); };
  std::string out;
  for (size_t i = 0; i < trits.size(); i += 64) {
    if (i % cols == 0) append(out, to_half(scale));
    unsigned last = 0;
    for (size_t part = 0; part < 4; ++part) {
      const int8_t* const w = &trits[i + 16 * part];
      for (size_t k = 0; k < 3; ++k) {
        unsigned number = 0;
        for (size_t j = 0; j < 5; ++j) number += kPowers[j] * static_cast<unsigned>(w[5 * k + j] + 1);
        out += byte(number);
      }
      last += kPowers[part] * static_cast<unsigned>(w[15] + 1);
    }
    out += byte(last);
  }
  return out;
}

std::string encode_iq2_bn(const std::vector<int8_t>& trits, size_t cols, float scale) {
  std::string out;
  for (size_t i = 0; i < trits.size(); i += 64) {
    if (i % cols == 0) append(out, scale);
    for (size_t j = 0; j < 16; ++j) {
      unsigned byte = 0;
      for (size_t k = 0; k < 4; ++k) byte |= static_cast<unsigned>(trits[i + 16 * k + j] + 1) << 2 * k;
      out += static_cast<char>(byte);
    }
  }
  return out;
}

// Four rows of IQ2_BN, interleaved.
std::string encode_iq2_bn_r4(const std::vector<int8_t>& trits, size_t cols, float scale) {
  std::string out;
  for (size_t begin = 0; begin < trits.size(); begin += 4 * cols) {
    for (size_t row = 0; row < 4; ++row) append(out, scale);
    for (size_t block = 0; block < cols; block += 16) {
      for (size_t row = 0; row < 4; ++row) {
        for (size_t i = 0; i < 4; ++i) {
          const int8_t* const w = &trits[begin + row * cols + block + i];
          out += static_cast<char>((w[0] + 1) | (w[4] + 1) << 2 | (w[8] + 1) << 4 | (w[12] + 1) << 6);
        }
      }
    }
  }
  return out;
}

std::string encode_tq2_0(const std::vector<int8_t>& trits, float scale) {
  std::string out;
  for (size_t begin = 0; begin < trits.size(); begin += 256) {
    uint8_t bytes[64] = {};
    for (size_t i = 0; i < 256; ++i) {
      bytes[i / 128 * 32 + i % 32] |= static_cast<uint8_t>((trits[begin + i] + 1) << 2 * (i % 128 / 32));
    }
    out.append(reinterpret_cast<char*>(bytes), sizeof bytes);
    append(out, to_half(scale));
  }
  return out;
}

}  // namespace

uint32_t gguf_number(Encoding encoding) {
  switch (encoding) {
    case Encoding::f32:
      return 0;
    case Encoding::f16:
      return 1;
    case Encoding::q8_0:
      return 8;
    case Encoding::q6_k:
      return 14;
    case Encoding::bf16:
      return 30;
    case Encoding::tq1_0:
      return 34;
    case Encoding::tq2_0:
      return 35;
    case Encoding::q2_0:
    case Encoding::q2_0_128:
      return 42;
    case Encoding::pq2_0:
      return 142;
    case Encoding::ptq1_0:
      return 143;
    case Encoding::tl1:
      return 38;
    case Encoding::tl2:
      return 39;
    case Encoding::iq1_bn:
      return 134;
    case Encoding::iq2_bn:
      return 135;
    case Encoding::iq2_bn_r4:
      return 335;
    case Encoding::i2_s:
    case Encoding::i2_s_arm:
    case Encoding::i2_s_rows:
      break;
  }
  return 36;
}

std::string encode_values(Encoding encoding, const std::vector<float>& values) {
  std::string out;
  switch (encoding) {
    case Encoding::q8_0:
      return encode_q8_0(values, 1.0f / 1024);
    case Encoding::q6_k:
      return encode_q6_k(values, 1.0f / 1024, 1);
    case Encoding::f32:
      for (const float value : values) append(out, value);
      return out;
    case Encoding::f16:
      for (const float value : values) append(out, to_half(value));
      return out;
    case Encoding::bf16:
      for (const float value : values) append(out, to_bfloat(value));
      return out;
    case Encoding::i2_s:
    case Encoding::i2_s_arm:
    case Encoding::i2_s_rows:
    case Encoding::tq1_0:
    case Encoding::tq2_0:
    case Encoding::q2_0:
    case Encoding::q2_0_128:
    case Encoding::pq2_0:
    case Encoding::ptq1_0:
    case Encoding::tl1:
    case Encoding::tl2:
    case Encoding::iq1_bn:
    case Encoding::iq2_bn:
    case Encoding::iq2_bn_r4:
      break;
  }
  throw std::string("not a type of numbers");
}

std::string encode_tl1(const std::vector<int8_t>& trits, size_t cols, size_t band, size_t panel, size_t bm) {
  const size_t rows = trits.size() / cols, by = 256 / bm, steps = trits.size() / bm / by;
  std::vector<unsigned> codes;
  for (size_t i = 0; i < trits.size(); i += 2) codes.push_back(static_cast<unsigned>(3 * trits[i] + trits[i + 1] + 4));
  const Array tiled = tile(codes, rows, cols, 2, band, panel, bm, by)
                          .reshape({steps, bm / 16, 16, by / 2})
                          .swap(2)
                          .reshape({steps, bm / 16, by / 4, 2, 16})
                          .swap(3);
  return pair_nibbles(tiled.values());
}

std::string encode_tl2(const std::vector<int8_t>& trits, size_t cols, size_t band, size_t panel) {
  const size_t rows = trits.size() / cols, bm = 32, by = 192 / bm, threes = cols / panel * panel;
  std::vector<unsigned> triples, signs, pairs;
  for (size_t row = 0; row < rows; ++row) {
    const int8_t* const w = &trits[row * cols];
    for (size_t i = 0; i < threes; i += 3) {
      const int code = 9 * w[i] + 3 * w[i + 1] + w[i + 2];
      triples.push_back(static_cast<unsigned>(std::abs(code)));
      signs.push_back(code < 0);
    }
    for (size_t i = threes; i < cols; i += 2) pairs.push_back(static_cast<unsigned>(3 * w[i] + w[i + 1] + 4));
  }
  std::string out = swap_middle(pair_nibbles(tile(triples, rows, threes, 3, band, panel, bm, by).values()));
  const Array words =
      tile(signs, rows, threes, 3, band, panel, bm, 4 * by).reshape({signs.size() / 256, bm, 4 * by / 3}).swap(1);
  for (size_t begin = 0; begin < signs.size(); begin += 256) {
    for (size_t word = 0; word < 16; ++word) {
      unsigned bits = 0;
      for (size_t i = 0; i < 16; ++i) bits |= words.values()[begin + 16 * i + word] << (15 - i);
      append(out, static_cast<uint16_t>(bits));
    }
  }
  if (!pairs.empty()) {
    out += swap_middle(pair_nibbles(tile(pairs, rows, cols - threes, 2, band, 32, 32, 4).values()));
  }
  out.resize((cols - 256) * rows / 3 * 5 / 8 + 256 * rows / 4);
  return out;
}

std::string encode_ternary(Encoding encoding, const std::vector<int8_t>& trits, size_t cols, float scale) {
  std::vector<float> values;
  for (const int8_t trit : trits) values.push_back(static_cast<float>(trit) * scale);
  switch (encoding) {
    case Encoding::i2_s:
      return encode_i2s(trits, scale, 32);
    case Encoding::i2_s_arm:
      return encode_i2s(trits, scale, 16);
    case Encoding::i2_s_rows:
      return encode_i2s_rows(trits, cols, scale);
    case Encoding::tq1_0:
      return encode_tq1_0(trits, scale);
    case Encoding::tq2_0:
      return encode_tq2_0(trits, scale);
    case Encoding::q2_0:
      return encode_q2_0(trits, 64, scale);
    case Encoding::q2_0_128:
    case Encoding::pq2_0:
      return encode_q2_0(trits, 128, scale);
    case Encoding::ptq1_0:
      return encode_ptq1_0(trits, scale);
    case Encoding::tl1:
      return encode_tl1(trits, cols, 128, 128, 32);
    case Encoding::tl2:
      return encode_tl2(trits, cols, 128, 96);
    case Encoding::iq1_bn:
      return encode_iq1_bn(trits, cols, scale);
    case Encoding::iq2_bn:
      return encode_iq2_bn(trits, cols, scale);
    case Encoding::iq2_bn_r4:
      return encode_iq2_bn_r4(trits, cols, scale);
    case Encoding::q8_0:
      return encode_q8_0(values, scale / 127);
    case Encoding::q6_k:
      return encode_q6_k(values, scale / 127, 127);
    case Encoding::f32:
    case Encoding::f16:
    case Encoding::bf16:
      break;
  }
  return encode_values(encoding, values);
}

SampleModel& SampleModel::draw(uint32_t seed) {
  std::minstd_rand random(seed);
  const auto below = [&](int n) { return static_cast<int>(random() >> 8) % n; };
  const auto matrix = [&](const std::string& name, uint32_t rows, uint32_t cols) {
    SampleMatrix& m = ternary[name];
    m = {rows, cols, std::vector<int8_t>(size_t{rows} * cols)};
    for (int8_t& trit : m.trits) trit = static_cast<int8_t>(below(3) - 1);
  };
  const auto norm = [&](const std::string& name, uint32_t size) {
    norms[name].resize(size);
    for (float& value : norms[name]) value = 1 + static_cast<float>(below(200) - 100) / 1024;
  };
  const auto plain = [&](std::vector<float>& values) {
    values.resize(size_t{vocabulary} * hidden);
    for (float& value : values) value = static_cast<float>(below(63) - 31) / 1024;
  };
  const uint32_t kv = hidden / heads * kv_heads;
  for (uint32_t i = 0; i < layers; ++i) {
    const std::string layer = "blk." + std::to_string(i) + ".";
    norm(layer + "attn_norm.weight", hidden);
    matrix(layer + "attn_q.weight", hidden, hidden);
    matrix(layer + "attn_k.weight", kv, hidden);
    matrix(layer + "attn_v.weight", kv, hidden);
    norm(layer + "attn_sub_norm.weight", hidden);
    matrix(layer + "attn_output.weight", hidden, hidden);
    norm(layer + "ffn_norm.weight", hidden);
    matrix(layer + "ffn_gate.weight", ffn, hidden);
    matrix(layer + "ffn_up.weight", ffn, hidden);
    norm(layer + "ffn_sub_norm.weight", ffn);
    matrix(layer + "ffn_down.weight", hidden, ffn);
  }
  norm("output_norm.weight", hidden);
  plain(embedding);
  if (own_head) plain(head);
  return *this;
}

GgufBuilder SampleModel::gguf() const {
  GgufBuilder out;
  const std::string prefix = architecture + ".";
  out.string("general.architecture", architecture);
  out.string("general.name", "sample");
  out.string("general.license", "MIT");
  out.u32(prefix + "block_count", layers);
  out.u32(prefix + "context_length", 128);
  out.u32(prefix + "embedding_length", hidden);
  out.u32(prefix + "feed_forward_length", ffn);
  out.u32(prefix + "attention.head_count", heads);
  out.u32(prefix + "attention.head_count_kv", kv_heads);
  out.f32(prefix + "attention.layer_norm_rms_epsilon", 1e-5f);
  out.f32(prefix + "rope.freq_base", 500000);
  out.string("tokenizer.ggml.model", "gpt2");
  out.string("tokenizer.ggml.pre", "llama-bpe");
  std::vector<std::string> pieces = tokens;
  std::vector<int32_t> kinds = types;
  if (tokens.empty()) {
    for (uint32_t i = 0; i < vocabulary; ++i) {
      pieces.push_back(std::string("t").append(i == 2 ? "0t1" : std::to_string(i)));
    }
    kinds.assign(vocabulary, 1);
    kinds[3] = kinds[4] = 3;
  }
  out.strings("tokenizer.ggml.tokens", pieces);
  out.numbers("tokenizer.ggml.token_type", 5, kinds);
  out.strings("tokenizer.ggml.merges", tokens.empty() ? std::vector<std::string>{"t0 t1"} : std::vector<std::string>{});
  out.u32("tokenizer.ggml.bos_token_id", bos);
  out.u32("tokenizer.ggml.eos_token_id", eos);
  if (!chat_template.empty()) out.string("tokenizer.chat_template", chat_template);
  const auto number = gguf_number(embedding_type);
  out.tensor("token_embd.weight", {hidden, vocabulary}, number, encode_values(embedding_type, embedding));
  if (own_head) out.tensor("output.weight", {hidden, vocabulary}, number, encode_values(embedding_type, head));
  for (const auto& [name, values] : norms) {
    out.tensor(name, {values.size()}, 0, encode_values(Encoding::f32, values));
  }
  for (const auto& [name, m] : ternary) {
    out.tensor(name, {m.cols, m.rows}, gguf_number(weights), encode_ternary(weights, m.trits, m.cols));
    if (weights == Encoding::tl1 || weights == Encoding::tl2) {
      out.tensor(name + "_scale", {}, 0, encode_values(Encoding::f32, {kScale}));
    }
  }
  return out;
}

SampleModel small_model() {
  SampleModel model;
  model.layers = 1;
  model.hidden = 64;
  model.ffn = 96;
  model.heads = 4;
  model.kv_heads = 2;
  model.vocabulary = 20;
  model.draw();
  return model;
}

}  // namespace bitnet_test
