// SPDX-License-Identifier: MIT
// Files of the tests: a folder that is removed with its contents, reading and writing whole files, and .bitnet files
// taken apart and sealed again.
#pragma once

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <random>
#include <string>

#include "model_generated.h"

namespace bitnet_test {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    do {
      path_ = std::filesystem::temp_directory_path() / ("bitnet_test_" + std::to_string(std::random_device()()));
    } while (!std::filesystem::create_directory(path_));
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  size_t files() const { return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(path_), {})); }

 private:
  std::filesystem::path path_;
};

inline void write_file(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

inline std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// A .bitnet file whose metadata has been changed, with right checksums again.
std::string reseal(const std::string& file, const std::function<void(bitnet::fb::ModelT&)>& change);
// The same with any bytes for unpacked metadata, and any bytes for its frame.
std::string replace_metadata(const std::string& file, std::string_view raw);
std::string replace_frame(const std::string& file, std::string_view frame, uint64_t raw_size);

// Fields of the header, by docs/format.md.
enum HeaderField : size_t {
  kVersion = 8,
  kFileSize = 16,
  kMetadataOffset = 24,
  kMetadataStored = 32,
  kMetadataRaw = 40
};
std::string set_header(std::string file, HeaderField field, uint64_t value);

}  // namespace bitnet_test
