// SPDX-License-Identifier: MIT
// compression.h for a build without Zstandard.
#include <cstring>
#include <utility>

#include "base/compression.h"
#include "base/error.h"
#include "base/frame.h"

namespace bitnet {
namespace {

// Takes the next block off the front of the frame and gives what is in it.
std::span<const std::byte> take_block(std::span<const std::byte>& frame, bool& last, const std::string& what) {
  const auto require_rest = [&](size_t size) {
    require(frame.size() >= size, BITNET_ERROR_FORMAT, what,
            " cannot be unpacked (it ends early); the file is damaged");
  };
  require_rest(kBlockHeader);
  const BlockHeader header = read_block_header(frame.first<kBlockHeader>());
  require(header.kind == BlockKind::stored, BITNET_ERROR_UNSUPPORTED, what,
          " is compressed, and this build of libbitnet has no Zstandard (BITNET_CORE); convert the file with a whole "
          "build, which writes it uncompressed if no zstd_level is asked for");
  frame = frame.subspan(kBlockHeader);
  require_rest(header.size);
  const auto block = frame.first(header.size);
  frame = frame.subspan(header.size);
  last = header.last;
  return block;
}

}  // namespace

void require_compression(int) {
  fail(BITNET_ERROR_UNSUPPORTED, "this build of libbitnet cannot compress: it has no Zstandard (BITNET_CORE)");
}

struct Compressor::State {
  ByteSink out;
  std::optional<uint64_t> size;
  std::optional<StoredFrame> frame;

  StoredFrame& begun() {
    if (!frame) frame.emplace(std::exchange(size, std::nullopt), out);
    return *frame;
  }
};

Compressor::Compressor(int, unsigned, ByteSink out) : state_(std::make_unique<State>()) {
  state_->out = std::move(out);
}

Compressor::~Compressor() = default;

void Compressor::announce(uint64_t size) { state_->size = size; }
void Compressor::add(std::span<const std::byte> bytes) { state_->begun().add(bytes); }
void Compressor::end() {
  state_->begun().end();
  state_->frame.reset();
}

std::vector<std::byte> compress(std::span<const std::byte> bytes, int) { return store(bytes); }

void decompress(std::span<const std::byte> frames, std::span<std::byte> out, const std::string& what) {
  const auto header = read_frame_header(frames);
  require(header.has_value(), BITNET_ERROR_FORMAT, what, " cannot be unpacked (it is no frame); the file is damaged");
  frames = frames.subspan(header->size);
  size_t size = 0;
  for (bool last = false; !last;) {
    const auto block = take_block(frames, last, what);
    require(block.size() <= out.size() - size, BITNET_ERROR_FORMAT, what, " unpacks to more than ", out.size(),
            " bytes; the file is damaged");
    if (!block.empty()) std::memcpy(out.data() + size, block.data(), block.size());
    size += block.size();
  }
  require(size == out.size(), BITNET_ERROR_FORMAT, what, " unpacks to ", size, " bytes instead of ", out.size(),
          "; the file is damaged");
  require(frames.size() == (header->checksum ? sizeof(uint32_t) : 0), BITNET_ERROR_FORMAT, what,
          " is followed by other bytes; the file is damaged");
}

}  // namespace bitnet
