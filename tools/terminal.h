// SPDX-License-Identifier: MIT
// The program's side of the terminal: streams, Ctrl-C, colours, progress bars, and numbers for people.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace bitnet::program {

// Before anything is opened: a missing standard stream becomes /dev/null, so that no file of ours takes its place.
void prepare_streams();

// From now on Ctrl-C is noted for interrupted(). A second one, before the first has been taken note of, ends the
// program.
void catch_interrupts();
bool interrupted();
void forget_interrupt();

// While it lives, new threads do not receive Ctrl-C and Ctrl-Z: they have to reach the thread that reads the terminal.
class InterruptsBlocked {
 public:
  InterruptsBlocked();
  InterruptsBlocked(const InterruptsBlocked&) = delete;
  InterruptsBlocked& operator=(const InterruptsBlocked&) = delete;
  ~InterruptsBlocked();
};

enum class Stream { in = 0, out = 1, err = 2 };
bool is_terminal(Stream stream);

// Writes everything to standard output, or throws Stop. To standard error as much as can be written.
void write_out(std::string_view text);
void write_err(std::string_view text);

// The same on a line of its own, beginning with "bitnet: ", or "bitnet: note: ".
void write_message(std::string_view text);
void write_note(std::string_view text);

std::string read_all_input(bool quiet);
std::string read_file(const std::string& path);

enum class LineEnd { newline, end_of_input, interrupted };

// The lines of standard input where that is no terminal. Nothing else may read it.
class InputLines {
 public:
  explicit InputLines(bool quiet) : quiet_(quiet) {}

  // Reads a line without its newline, which may be "\r\n". The last one may lack it: it still counts as a line.
  LineEnd read(std::string& line);

 private:
  bool fill();  // false: interrupted
  void decode_all();

  const bool quiet_;

  std::string buffer_;
  size_t begin_ = 0;  // of what was not given out yet
  bool first_ = true, ended_ = false;
};

// Text in a colour, where the stream shows colours (a terminal, and NO_COLOR is not set).
enum class Colour { bold, dim, green, red };
std::string coloured(Stream stream, Colour colour, std::string_view text);

// Text from files and models without what a terminal would obey: control characters become U+FFFD, but for \n and \t.
std::string without_controls(std::string_view text);

// The first `columns` code points, ending in "..." if something was cut. Newlines become spaces.
std::string shortened(std::string_view text, size_t columns);

[[gnu::format(BITNET_PRINTF_FORMAT, 1, 2)]] std::string formatted(const char* format, ...);
std::string bytes_text(uint64_t bytes);     // "1.18 GiB"
std::string count_text(uint64_t count);     // "2,412,820,480"
std::string duration_text(double seconds);  // "0.8 s", "1:05"

class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// A bar with rate and time left on standard error, if that is a terminal and the work takes long enough to wonder.
// It vanishes with its object.
class ProgressBar {
 public:
  enum class Unit { bytes, tokens, texts };
  explicit ProgressBar(std::string label, Unit unit = Unit::bytes) : label_(std::move(label)), unit_(unit) {}
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  ~ProgressBar() { clear(); }

  void update(uint64_t done, uint64_t total);
  void clear();

  // The library's bitnet_progress_fn for a ProgressBar; Ctrl-C cancels.
  static int callback(void* bar, uint64_t done, uint64_t total);

 private:
  std::string label_;
  Unit unit_;
  Stopwatch time_;
  double drawn_at_ = 0;
  bool visible_ = false;
};

}  // namespace bitnet::program
