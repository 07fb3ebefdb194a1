// SPDX-License-Identifier: MIT
#include "base/compression.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"

namespace bitnet {
namespace {

using Bytes = std::vector<std::byte>;

// What does not compress by itself, and is longer than a block.
Bytes some_bytes(size_t count) {
  Bytes bytes(count);
  uint32_t state = 1;
  for (std::byte& byte : bytes) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<std::byte>(state >> 24);
  }
  return bytes;
}

constexpr size_t kSizes[] = {0, 1, 1000, size_t{128} << 10, 300000};

Bytes bytes_of(std::initializer_list<int> values) {
  Bytes bytes;
  for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

std::string error_of(const Bytes& frame, size_t size) {
  Bytes out(size);
  try {
    decompress(frame, out, "the frame");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(StoredFrame, IsWrittenAsTheStandardHasIt) {
  // Magic number; one segment, its size in eight bytes; a stored block of one byte; an empty last one.
  EXPECT_EQ(store(bytes_of({0x61})), bytes_of({0x28, 0xb5, 0x2f, 0xfd, 0xe0, 1, 0, 0, 0, 0, 0, 0, 0,  //
                                               0x08, 0,    0,    0x61, 0x01, 0, 0}));
}

// With Zstandard, by Zstandard's own decoder.
TEST(StoredFrame, IsUnpacked) {
  for (const size_t size : kSizes) {
    const Bytes bytes = some_bytes(size), frame = store(bytes);
    EXPECT_EQ(announced_size(frame), size);
    Bytes out(size);
    decompress(frame, out, "the frame");
    EXPECT_EQ(out, bytes) << size;
  }
}

TEST(StoredFrame, MayKeepItsSizeToItself) {
  const Bytes bytes = some_bytes(300000);
  Bytes frame;
  const ByteSink sink = [&frame](std::span<const std::byte> part) {
    frame.insert(frame.end(), part.begin(), part.end());
  };
  StoredFrame stored(std::nullopt, sink);
  stored.add(std::span(bytes).first(7));
  stored.add(std::span(bytes).subspan(7));
  stored.end();
  EXPECT_EQ(announced_size(frame), std::nullopt);
  Bytes out(bytes.size());
  decompress(frame, out, "the frame");
  EXPECT_EQ(out, bytes);
}

TEST(StoredFrame, ThatIsDamagedIsRefused) {
  const Bytes whole = store(some_bytes(1000));
  for (size_t size = 0; size < whole.size(); ++size) {
    const Bytes part(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
    EXPECT_NE(error_of(part, 1000), "") << size;
    EXPECT_EQ(announced_size(part).has_value(), size >= 13) << size;
  }
  EXPECT_NE(error_of(whole, 999), "");
  EXPECT_NE(error_of(whole, 1001), "");
  Bytes longer = whole;
  longer.push_back(std::byte{1});
  EXPECT_NE(error_of(longer, 1000), "");
}

TEST(Compressor, MakesFrameAfterFrame) {
  Bytes out;
  Compressor compressor(1, 2,
                        [&out](std::span<const std::byte> part) { out.insert(out.end(), part.begin(), part.end()); });
  for (const size_t size : kSizes) {
    const Bytes bytes = some_bytes(size);
    out.clear();
    compressor.announce(size);
    compressor.add(std::span(bytes).first(size / 2));
    compressor.add(std::span(bytes).subspan(size / 2));
    compressor.end();
    EXPECT_EQ(announced_size(out), size);
    Bytes again(size);
    decompress(out, again, "the frame");
    EXPECT_EQ(again, bytes) << size;
  }
}

// The header of a frame as Zstandard writes it, of sizes in each number of bytes (RFC 8878, 3.1.1.1).
TEST(Frame, SaysItsSize) {
  const auto size_of = [](std::initializer_list<int> rest) {
    Bytes frame = bytes_of({0x28, 0xb5, 0x2f, 0xfd});
    const Bytes more = bytes_of(rest);
    frame.insert(frame.end(), more.begin(), more.end());
    return announced_size(frame);
  };
  EXPECT_EQ(size_of({0x20, 200}), 200u);
  EXPECT_EQ(size_of({0x60, 0x10, 0x01}), 0x110u + 256);
  EXPECT_EQ(size_of({0xa0, 0, 0, 1, 0}), 65536u);
  EXPECT_EQ(size_of({0x80, 0x38, 0, 0, 1, 0}), 65536u) << "behind a window";
  EXPECT_EQ(size_of({0x22, 1, 2, 200}), 200u) << "behind a dictionary";
  EXPECT_EQ(size_of({0x00, 0x38}), std::nullopt) << "it does not say it";
  EXPECT_EQ(size_of({0xa0, 0, 0, 1}), std::nullopt) << "it ends early";
  EXPECT_EQ(announced_size(bytes_of({1, 2, 3, 4, 5, 6, 7, 8, 9})), std::nullopt);
}

}  // namespace
}  // namespace bitnet
