// SPDX-License-Identifier: MIT
#include "terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "handles.h"
#include "line_editor.h"
#include "text_input.h"

namespace bitnet::program {

namespace {

volatile std::sig_atomic_t interrupt_count = 0;  // a signal handler can reach nothing but a global

extern "C" void on_interrupt(int signal) {
  interrupt_count = interrupt_count + 1;
  if (interrupt_count < 2) return;
  give_terminal_back();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

int descriptor(Stream stream) { return static_cast<int>(stream); }

// Returns 0, or the errno of the write that failed.
int write_all(Stream stream, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor(stream), text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<size_t>(written));
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

bool shows_colours(Stream stream) {
  const char* no_colour = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  return is_terminal(stream) && !(no_colour && *no_colour) && !(terminal && std::strcmp(terminal, "dumb") == 0);
}

size_t terminal_columns() {
  winsize size{};
  return ioctl(descriptor(Stream::err), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::string read_descriptor(int fd, const std::string& name) {
  std::string text;
  std::array<char, 65536> block;
  for (;;) {
    const ssize_t got = ::read(fd, block.data(), block.size());
    if (got > 0) {
      text.append(block.data(), static_cast<size_t>(got));
    } else if (got == 0) {
      return text;
    } else if (errno != EINTR || interrupted()) {
      if (interrupted()) throw Stop(kInterrupted, "");
      throw Stop(kFailure, "cannot read " + name + ": " + std::strerror(errno));
    }
  }
}

// A terminal that is opened by its name, as /dev/tty: for as long as it is read, it is standard input.
std::string read_terminal(int fd) {
  const int input = descriptor(Stream::in), before = fcntl(input, F_DUPFD_CLOEXEC, 3);
  const auto restore = [&] {
    if (before < 0) return;
    dup2(before, input);
    ::close(before);
  };
  try {
    if (before < 0 || dup2(fd, input) < 0)
      throw Stop(kFailure, std::string("cannot read the terminal: ") + std::strerror(errno));
    std::string text = read_typed_text(true);
    restore();
    return text;
  } catch (...) {
    restore();
    throw;
  }
}

bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) == 0x80; }

}  // namespace

void prepare_streams() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (fcntl(fd, F_GETFD) != -1 || errno != EBADF) continue;
    if (::open("/dev/null", O_RDWR) != fd) std::exit(kFailure);
  }
}

void catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = on_interrupt;  // without SA_RESTART: a read of the terminal returns
  sigaction(SIGINT, &action, nullptr);
}

bool interrupted() { return interrupt_count != 0; }
void forget_interrupt() { interrupt_count = 0; }

namespace {
void mask_interrupts(int how) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTSTP, SIGCONT}) sigaddset(&set, signal);
  pthread_sigmask(how, &set, nullptr);
}
}  // namespace

InterruptsBlocked::InterruptsBlocked() { mask_interrupts(SIG_BLOCK); }
InterruptsBlocked::~InterruptsBlocked() { mask_interrupts(SIG_UNBLOCK); }

bool is_terminal(Stream stream) { return isatty(descriptor(stream)) == 1; }

void write_out(std::string_view text) {
  const int error = write_all(Stream::out, text);
  if (error == EPIPE) throw Stop(kFailure, "");  // the reader has had enough: nothing to complain about
  if (error != 0) throw Stop(kFailure, std::string("cannot write to standard output: ") + std::strerror(error));
}

void write_err(std::string_view text) { write_all(Stream::err, text); }

void write_message(std::string_view text) {
  write_err("bitnet: " + (is_terminal(Stream::err) ? without_controls(text) : std::string(text)) + "\n");
}

void write_note(std::string_view text) { write_message("note: " + std::string(text)); }

std::string read_all_input(bool quiet) {
  return is_terminal(Stream::in) ? read_typed_text(quiet) : read_descriptor(descriptor(Stream::in), "standard input");
}

std::string read_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw Stop(kFailure, "cannot open " + path + ": " + std::strerror(errno));
  try {
    std::string text = isatty(fd) ? read_terminal(fd) : read_descriptor(fd, path);
    ::close(fd);
    return text;
  } catch (...) {
    ::close(fd);
    throw;
  }
}

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
    if (interrupted()) return false;
    const ssize_t got = ::read(descriptor(Stream::in), block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Stop(kFailure, std::string("cannot read standard input: ") + std::strerror(errno));
    buffer_.append(block.data(), static_cast<size_t>(got));
    ended_ = got == 0;
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
                                  text(static_cast<uint64_t>(rate)).c_str(), unit_ == Unit::bytes ? "" : " tokens");
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
