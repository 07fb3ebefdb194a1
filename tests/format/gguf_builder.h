// SPDX-License-Identifier: MIT
// Writes GGUF files in memory, for tests: written from ggml's docs/gguf.md and sharing nothing with the library's
// reader.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace bitnet_test {

template <typename Number>
void append(std::string& out, Number value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

inline void append_string(std::string& out, std::string_view text) {
  append(out, uint64_t{text.size()});
  out += text;
}

class GgufBuilder {
 public:
  struct Info {
    std::string name;
    std::vector<uint64_t> shape;  // the innermost first
    uint32_t type;
    uint64_t offset;
  };

  uint32_t version = 3;
  std::vector<Info> infos;
  std::string data;  // of all tensors

  void raw(std::string_view key, uint32_t type, std::string_view value) {
    std::string bytes;
    append_string(bytes, key);
    append(bytes, type);
    bytes += value;
    values_.push_back({std::string(key), std::move(bytes)});
  }
  void remove(std::string_view key) {
    std::erase_if(values_, [&](const Value& value) { return value.key == key; });
  }
  // In place of what is there.
  void set(std::string_view key, uint32_t type, std::string_view value) {
    remove(key);
    raw(key, type, value);
  }
  template <typename Number>
  void number(std::string_view key, uint32_t type, Number value) {
    std::string bytes;
    append(bytes, value);
    raw(key, type, bytes);
  }
  void u32(std::string_view key, uint32_t value) { number(key, 4, value); }
  void f32(std::string_view key, float value) { number(key, 6, value); }
  void boolean(std::string_view key, bool value) { number(key, 7, static_cast<uint8_t>(value)); }
  void string(std::string_view key, std::string_view value) {
    std::string bytes;
    append_string(bytes, value);
    raw(key, 8, bytes);
  }
  void strings(std::string_view key, const std::vector<std::string>& values) {
    std::string bytes;
    append(bytes, uint32_t{8});
    append(bytes, uint64_t{values.size()});
    for (const auto& value : values) append_string(bytes, value);
    raw(key, 9, bytes);
  }
  template <typename Number>
  void numbers(std::string_view key, uint32_t element, const std::vector<Number>& values) {
    std::string bytes;
    append(bytes, element);
    append(bytes, uint64_t{values.size()});
    for (const Number value : values) append(bytes, value);
    raw(key, 9, bytes);
  }

  void tensor(std::string name, std::vector<uint64_t> shape, uint32_t type, std::string_view bytes) {
    infos.push_back({std::move(name), std::move(shape), type, data.size()});
    data += bytes;
    data.resize((data.size() + 31) / 32 * 32);
  }

  Info& info(std::string_view name) {
    for (Info& info : infos) {
      if (info.name == name) return info;
    }
    throw std::string("no such tensor");
  }

  std::string build() const {
    std::string out = "GGUF";
    append(out, version);
    append(out, uint64_t{infos.size()});
    append(out, uint64_t{values_.size()});
    for (const Value& value : values_) out += value.bytes;
    for (const Info& info : infos) {
      append_string(out, info.name);
      append(out, static_cast<uint32_t>(info.shape.size()));
      for (const uint64_t extent : info.shape) append(out, extent);
      append(out, info.type);
      append(out, info.offset);
    }
    out.resize((out.size() + 31) / 32 * 32);
    return out + data;
  }

 private:
  struct Value {
    std::string key, bytes;
  };
  std::vector<Value> values_;
};

}  // namespace bitnet_test
