// SPDX-License-Identifier: MIT
#include "text_input.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "handles.h"
#include "terminal.h"
#include "text/utf8.h"

namespace bitnet::program {

namespace {

using namespace std::string_view_literals;

constexpr std::string_view kMark = "\xEF\xBB\xBF";  // U+FEFF, the byte order mark, in UTF-8

enum class ByteOrder { little, big };

bool is_utf32(std::string_view bytes) {
  return bytes.size() % 4 == 0 && (bytes.starts_with("\xFF\xFE\0\0"sv) || bytes.starts_with("\0\0\xFE\xFF"sv));
}

std::optional<ByteOrder> marked_order(std::string_view bytes) {
  if (bytes.starts_with("\xFF\xFE"sv)) return ByteOrder::little;
  if (bytes.starts_with("\xFE\xFF"sv)) return ByteOrder::big;
  return std::nullopt;
}

// Latin text in UTF-16 has a zero byte in nearly every unit, always on the same side. UTF-8 text has none.
std::optional<ByteOrder> evident_order(std::string_view bytes) {
  const std::string_view sample = bytes.substr(0, 4096);
  size_t zeros[2] = {0, 0};
  for (size_t i = 0; i < sample.size(); ++i) zeros[i % 2] += sample[i] == '\0';
  const size_t enough = (sample.size() / 2 + 1) / 2;
  if (bytes.size() % 2 != 0 || bytes.size() < 4) return std::nullopt;
  if (zeros[0] == 0 && zeros[1] >= enough) return ByteOrder::little;
  if (zeros[1] == 0 && zeros[0] >= enough) return ByteOrder::big;
  return std::nullopt;
}

constexpr bool is_high_surrogate(char32_t unit) { return unit >= 0xD800 && unit < 0xDC00; }
constexpr bool is_low_surrogate(char32_t unit) { return unit >= 0xDC00 && unit < 0xE000; }

std::string from_utf16(std::string_view bytes, ByteOrder order, const std::string& source) {
  const auto unit = [&](size_t at) -> char32_t {
    const auto first = static_cast<unsigned char>(bytes[at]), second = static_cast<unsigned char>(bytes[at + 1]);
    return order == ByteOrder::little ? first | second << 8 : second | first << 8;
  };
  const auto broken = [&](size_t at) {
    throw Stop(kFailure, source + " is UTF-16 with half a character at byte " + std::to_string(at) +
                             "; mend it, or convert it to UTF-8");
  };
  std::string text;
  text.reserve(bytes.size());
  for (size_t at = 0; at < bytes.size(); at += 2) {
    if (at + 1 == bytes.size()) broken(at);
    char32_t point = unit(at);
    if (is_low_surrogate(point)) broken(at);
    if (is_high_surrogate(point)) {
      if (at + 3 >= bytes.size() || !is_low_surrogate(unit(at + 2))) broken(at);
      point = 0x10000 + ((point - 0xD800) << 10) + (unit(at + 2) - 0xDC00);
      at += 2;
    }
    append_utf8(point, text);
  }
  return text;
}

}  // namespace

bool is_wide_text(std::string_view bytes) {
  return is_utf32(bytes) || marked_order(bytes) || evident_order(bytes.substr(0, bytes.size() & ~size_t{1}));
}

DecodedText decode_text(std::string bytes, const std::string& source) {
  if (is_utf32(bytes)) {
    throw Stop(kFailure, source + " is UTF-32; convert it with `iconv -f UTF-32 -t UTF-8`");
  }
  DecodedText result;
  const auto marked = marked_order(bytes);
  if (const auto order = marked ? marked : evident_order(bytes)) {
    result.text = from_utf16(bytes, *order, source);
    result.notes.push_back(source + (marked ? " is" : " looks like") + " UTF-16; it was converted to UTF-8");
  } else {
    result.text = std::move(bytes);
  }
  if (result.text.starts_with(kMark)) {
    if (!marked) {
      result.notes.push_back(source + " begins with a byte order mark (U+FEFF), which was left out");
    }
    result.text.erase(0, kMark.size());
  }
  if (const size_t valid = valid_utf8_prefix(result.text); valid < result.text.size()) {
    result.notes.push_back(source + " is not valid UTF-8 from byte " + std::to_string(valid) +
                           " on; its bytes are used as they are");
  }
  return result;
}

std::string text_of(std::string bytes, const std::string& source, bool quiet) {
  DecodedText decoded = decode_text(std::move(bytes), source);
  if (!quiet) {
    for (const std::string& note : decoded.notes) write_note(note);
  }
  return std::move(decoded.text);
}

std::string read_text_file(const std::string& path, bool quiet) {
  return path == "-" ? read_text_input(quiet) : text_of(read_file(path), path, quiet);
}

std::string read_text_input(bool quiet) { return text_of(read_all_input(quiet), "standard input", quiet); }

}  // namespace bitnet::program
