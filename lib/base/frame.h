// SPDX-License-Identifier: MIT
// The header of a Zstandard frame and of its blocks (RFC 8878, 3.1.1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace bitnet {

constexpr size_t kMostBlock = size_t{128} << 10;  // bytes that a block unpacks to
constexpr size_t kBlockHeader = 3;

struct FrameHeader {
  size_t size;                      // of the header itself
  std::optional<uint64_t> content;  // bytes that the frame unpacks to
  bool checksum;                    // four bytes of it follow the last block
};
// Null if the bytes do not begin with a frame's header.
std::optional<FrameHeader> read_frame_header(std::span<const std::byte> frame);

enum class BlockKind : uint8_t { stored, repeated, compressed, reserved };
struct BlockHeader {
  bool last;
  BlockKind kind;
  size_t size;
};
BlockHeader read_block_header(std::span<const std::byte, kBlockHeader> bytes);

}  // namespace bitnet
