// SPDX-License-Identifier: MIT
#include "terminal.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <utility>

#include "line_editor.h"
#include "system.h"
#include "text_input.h"

namespace bitnet::program {

namespace {

bool shows_colours(Stream stream) { return obeys_sequences(stream) && environment("NO_COLOR").empty(); }

bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) == 0x80; }

}  // namespace

void write_message(std::string_view text) {
  write_err("bitnet: " + (is_terminal(Stream::err) ? without_controls(text) : std::string(text)) + "\n");
}

void write_note(std::string_view text) { write_message("note: " + std::string(text)); }

std::string read_all_input(bool quiet) { return is_terminal(Stream::in) ? read_typed_text(quiet) : read_piped_input(); }

LineEnd InputLines::read(std::string& line) {
  for (size_t searched = begin_;;) {
    const size_t newline = buffer_.find('\n', searched);
    if (newline != buffer_.npos || (ended_ && begin_ < buffer_.size())) {
      const size_t end = std::min(newline, buffer_.size());
      line.assign(buffer_, begin_, end - begin_);
      if (newline != buffer_.npos && line.ends_with('\r')) line.pop_back();
      begin_ = std::min(end + 1, buffer_.size());
      return LineEnd::newline;
    }
    if (ended_) return LineEnd::end_of_input;
    searched = buffer_.size() - begin_;
    buffer_.erase(0, std::exchange(begin_, 0));
    if (!fill()) return LineEnd::interrupted;
  }
}

bool InputLines::fill() {
  std::array<char, 65536> block;
  for (;;) {
    const auto got = read_input(block);
    if (!got) return false;
    buffer_.append(block.data(), *got);
    ended_ = *got == 0;
    if (ended_ || buffer_.size() >= 4 || buffer_.ends_with('\n')) break;  // enough to tell UTF-16
  }
  if (std::exchange(first_, false) && is_wide_text(buffer_)) decode_all();
  return true;
}

// A newline of UTF-16 is two bytes: it is read whole first.
void InputLines::decode_all() {
  if (!ended_) buffer_ += read_all_input(quiet_);
  ended_ = true;
  buffer_ = text_of(std::move(buffer_), "standard input", quiet_);
}

std::string coloured(Stream stream, Colour colour, std::string_view text) {
  if (!shows_colours(stream)) return std::string(text);
  constexpr std::array<const char*, 4> codes = {"1", "2", "32", "31"};
  return formatted("\x1b[%sm", codes[static_cast<size_t>(colour)]) + std::string(text) + "\x1b[0m";
}

std::string without_controls(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool c0 = (byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f;
    const bool c1 = byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0;
    if (c0 || c1) {
      result += "\uFFFD";
      i += c1;
    } else {
      result += text[i];
    }
  }
  return result;
}

std::string shortened(std::string_view text, size_t columns) {
  std::string line = without_controls(text);
  std::replace_if(
      line.begin(), line.end(), [](char c) { return c == '\n' || c == '\t'; }, ' ');
  size_t seen = 0, cut = line.size();
  for (size_t i = 0; i < line.size(); ++i) {
    if (is_continuation(line[i])) continue;
    if (++seen == columns - 2) cut = i;
    if (seen > columns) return line.substr(0, cut) + "...";
  }
  return line;
}

std::string formatted(const char* format, ...) {
  va_list arguments, again;
  va_start(arguments, format);
  va_copy(again, arguments);
  std::string text(static_cast<size_t>(std::max(0, std::vsnprintf(nullptr, 0, format, arguments))), '\0');
  va_end(arguments);
  std::vsnprintf(text.data(), text.size() + 1, format, again);
  va_end(again);
  return text;
}

std::string bytes_text(uint64_t bytes) {
  constexpr std::array<const char*, 5> units = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1000 && unit + 1 < units.size(); ++unit) value /= 1024;
  return formatted(unit == 0     ? "%.0f %s"
                   : value < 10  ? "%.2f %s"
                   : value < 100 ? "%.1f %s"
                                 : "%.0f %s",
                   value, units[unit]);
}

std::string count_text(uint64_t count) {
  std::string text = std::to_string(count);
  for (size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
  return text;
}

std::string duration_text(double seconds) {
  if (seconds < 10) return formatted("%.1f s", seconds);
  if (seconds < 60) return formatted("%.0f s", seconds);
  const long long whole = std::llround(seconds);
  if (whole < 3600) return formatted("%lld:%02lld", whole / 60, whole % 60);
  return formatted("%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60, whole % 60);
}

namespace {

const char* unit_name(ProgressBar::Unit unit) {
  switch (unit) {
    case ProgressBar::Unit::bytes:
      return "";
    case ProgressBar::Unit::tokens:
      return " tokens";
    case ProgressBar::Unit::texts:
      return " texts";
  }
  return "";
}

}  // namespace

void ProgressBar::update(uint64_t done, uint64_t total) {
  constexpr double first_after = 0.3, redraw_every = 0.1;
  const double now = time_.seconds();
  if (total == 0 || now < first_after || now - drawn_at_ < redraw_every || !is_terminal(Stream::err)) return;
  drawn_at_ = now;
  visible_ = true;

  const double part = std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
  const double rate = static_cast<double>(done) / now;
  const auto text = [&](uint64_t n) { return unit_ == Unit::bytes ? bytes_text(n) : count_text(n); };
  std::string figures = formatted(" %3.0f%%  %s of %s  %s%s/s", 100 * part, text(done).c_str(), text(total).c_str(),
                                  text(static_cast<uint64_t>(rate)).c_str(), unit_name(unit_));
  if (part > 0) figures += "  " + duration_text(now / part - now) + " left";

  const size_t columns = terminal_columns();
  const size_t used = label_.size() + figures.size() + 4;
  const size_t bar = used < columns ? std::min<size_t>(columns - used, 40) : 0;
  const auto full = static_cast<size_t>(part * static_cast<double>(bar));
  std::string line = label_ + " ";
  if (bar >= 8) line += "[" + std::string(full, '#') + std::string(bar - full, '-') + "]";
  line += figures;
  write_err("\r" + line.substr(0, columns - 1) + "\x1b[K");
}

void ProgressBar::clear() {
  if (visible_) write_err("\r\x1b[K");
  visible_ = false;
}

int ProgressBar::callback(void* bar, uint64_t done, uint64_t total) {
  static_cast<ProgressBar*>(bar)->update(done, total);
  return interrupted();
}

}  // namespace bitnet::program
