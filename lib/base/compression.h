// SPDX-License-Identifier: MIT
// Zstandard frames (RFC 8878). A build without Zstandard (BITNET_CORE) writes frames whose blocks are stored as they
// are, which any Zstandard decoder reads, and reads no others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace bitnet {

// Takes bytes as they come.
using ByteSink = std::function<void(std::span<const std::byte>)>;

constexpr int kMostCompression = 19;  // the levels begin at 1

// Throws unless this build can compress at such a level.
void require_compression(int level);

// Makes frames of bytes that come piece by piece.
class Compressor {
 public:
  // Several threads compress where that can be.
  Compressor(int level, unsigned threads, ByteSink out);
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;
  ~Compressor();

  // Instead of nothing before a frame's first bytes: how many there will be, which its header then says.
  void announce(uint64_t size);
  void add(std::span<const std::byte> bytes);
  // Ends the frame; the next bytes begin another one.
  void end();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Writes a frame whose blocks are stored: what Compressor does where there is no Zstandard.
class StoredFrame {
 public:
  StoredFrame(std::optional<uint64_t> size, const ByteSink& out);
  void add(std::span<const std::byte> bytes);
  void end();

 private:
  const ByteSink& out_;
};

// All bytes in one frame that says how many they are.
std::vector<std::byte> compress(std::span<const std::byte> bytes, int level);
std::vector<std::byte> store(std::span<const std::byte> bytes);

// What the frame's header says that it unpacks to. Null if it does not say it, or is no frame.
std::optional<uint64_t> announced_size(std::span<const std::byte> frame);

// Unpacks frames that give exactly out.size() bytes. Throws if they do not, naming `what`.
void decompress(std::span<const std::byte> frames, std::span<std::byte> out, const std::string& what);

}  // namespace bitnet
