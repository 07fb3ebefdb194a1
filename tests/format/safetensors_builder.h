// SPDX-License-Identifier: MIT
// Writes safetensors files in memory, for tests: written from the format's description and sharing nothing with the
// library's reader.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bitnet_test {

class SafetensorsBuilder {
 public:
  struct Info {
    std::string name, dtype, shape;  // shape as JSON
    uint64_t begin, end;
  };

  std::vector<Info> infos;
  std::string data;      // of all tensors
  std::string metadata;  // JSON; none: no __metadata__

  void tensor(std::string name, std::string dtype, const std::vector<uint64_t>& shape, std::string_view bytes) {
    std::string text = "[";
    for (const uint64_t extent : shape) text += (text.size() > 1 ? "," : "") + std::to_string(extent);
    infos.push_back({std::move(name), std::move(dtype), text + "]", data.size(), data.size() + bytes.size()});
    data += bytes;
  }

  Info& info(std::string_view name) {
    for (Info& info : infos) {
      if (info.name == name) return info;
    }
    throw std::string("no such tensor");
  }

  std::string header() const {
    std::string out = "{";
    if (!metadata.empty()) out += "\"__metadata__\":" + metadata;
    for (const Info& info : infos) {
      if (out.size() > 1) out += ",";
      out += "\"" + info.name + "\":{\"dtype\":\"" + info.dtype + "\",\"shape\":" + info.shape + ",\"data_offsets\":[" +
             std::to_string(info.begin) + "," + std::to_string(info.end) + "]}";
    }
    return out + "}";
  }

  static std::string file(std::string_view header, std::string_view data) {
    std::string out;
    for (int i = 0; i < 8; ++i) out += static_cast<char>(header.size() >> 8 * i & 255);
    return out.append(header).append(data);
  }
  std::string build() const { return file(header(), data); }
};

}  // namespace bitnet_test
