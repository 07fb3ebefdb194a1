// SPDX-License-Identifier: MIT
#include "base/frame.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/compression.h"

namespace bitnet {
namespace {

constexpr std::array<uint8_t, 4> kFrame = {0x28, 0xb5, 0x2f, 0xfd};
// Bits of the byte behind the magic number.
constexpr unsigned kSingleSegment = 1 << 5, kChecksum = 1 << 2;
constexpr unsigned kContentInEightBytes = 3 << 6;
constexpr uint8_t kWindow = 7 << 3;  // 2^(10 + 7) bytes: that of kMostBlock

uint64_t read_number(std::span<const std::byte> bytes) {
  uint64_t value = 0;
  std::memcpy(&value, bytes.data(), bytes.size());
  return value;
}

void write_block(std::span<const std::byte> bytes, bool last, const ByteSink& out) {
  const auto header = static_cast<uint32_t>(bytes.size()) << 3 | static_cast<uint32_t>(last);  // kind 0: stored
  out(std::as_bytes(std::span(&header, 1)).first(kBlockHeader));
  if (!bytes.empty()) out(bytes);
}

}  // namespace

std::optional<FrameHeader> read_frame_header(std::span<const std::byte> frame) {
  constexpr std::array<size_t, 4> kDictionaryBytes = {0, 1, 2, 4}, kContentBytes = {0, 2, 4, 8};
  const size_t magic = kFrame.size();
  if (frame.size() <= magic || std::memcmp(frame.data(), kFrame.data(), magic) != 0) return std::nullopt;
  const auto bits = std::to_integer<unsigned>(frame[magic]);
  const bool single = (bits & kSingleSegment) != 0;
  const size_t content = bits >> 6 == 0 && single ? 1 : kContentBytes[bits >> 6];
  const size_t begin = magic + 1 + (single ? 0 : 1) + kDictionaryBytes[bits & 3];
  if (frame.size() < begin + content) return std::nullopt;
  FrameHeader header = {begin + content, std::nullopt, (bits & kChecksum) != 0};
  if (content != 0) header.content = read_number(frame.subspan(begin, content)) + (content == 2 ? 256 : 0);
  return header;
}

BlockHeader read_block_header(std::span<const std::byte, kBlockHeader> bytes) {
  const auto bits = static_cast<uint32_t>(read_number(bytes));
  return {(bits & 1) != 0, static_cast<BlockKind>(bits >> 1 & 3), bits >> 3};
}

StoredFrame::StoredFrame(std::optional<uint64_t> size, const ByteSink& out) : out_(out) {
  std::vector<std::byte> header(kFrame.size() + 2);
  std::memcpy(header.data(), kFrame.data(), kFrame.size());
  if (size) {
    header.resize(kFrame.size() + 1 + sizeof *size);
    header[kFrame.size()] = static_cast<std::byte>(kContentInEightBytes | kSingleSegment);
    std::memcpy(header.data() + kFrame.size() + 1, &*size, sizeof *size);
  } else {
    header[kFrame.size() + 1] = std::byte{kWindow};
  }
  out_(header);
}

void StoredFrame::add(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto block = bytes.first(std::min(kMostBlock, bytes.size()));
    write_block(block, false, out_);
    bytes = bytes.subspan(block.size());
  }
}

void StoredFrame::end() { write_block({}, true, out_); }

std::vector<std::byte> store(std::span<const std::byte> bytes) {
  std::vector<std::byte> frame;
  frame.reserve(bytes.size() + bytes.size() / kMostBlock * kBlockHeader + 64);
  const ByteSink out = [&frame](std::span<const std::byte> part) {
    frame.insert(frame.end(), part.begin(), part.end());
  };
  StoredFrame stored(bytes.size(), out);
  stored.add(bytes);
  stored.end();
  return frame;
}

std::optional<uint64_t> announced_size(std::span<const std::byte> frame) {
  const auto header = read_frame_header(frame);
  return header ? header->content : std::nullopt;
}

}  // namespace bitnet
