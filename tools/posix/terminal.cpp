// SPDX-License-Identifier: MIT
#include "terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "handles.h"
#include "keyboard.h"
#include "line_editor.h"
#include "system.h"

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

bool obeys_sequences(Stream stream) { return is_terminal(stream) && environment("TERM") != "dumb"; }

size_t terminal_columns() {
  winsize size{};
  return ioctl(descriptor(Stream::err), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void write_out(std::string_view text) {
  const int error = write_all(Stream::out, text);
  if (error == EPIPE) throw Stop(kFailure, "");  // the reader has had enough: nothing to complain about
  if (error != 0) throw Stop(kFailure, std::string("cannot write to standard output: ") + std::strerror(error));
}

void write_err(std::string_view text) { write_all(Stream::err, text); }

std::optional<size_t> read_input(std::span<char> block) {
  for (;;) {
    if (interrupted()) return std::nullopt;
    const ssize_t got = ::read(descriptor(Stream::in), block.data(), block.size());
    if (got >= 0) return static_cast<size_t>(got);
    if (errno != EINTR) throw Stop(kFailure, std::string("cannot read standard input: ") + std::strerror(errno));
  }
}

std::string read_piped_input() { return read_descriptor(descriptor(Stream::in), "standard input"); }

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

std::vector<std::string> arguments(int argc, char** argv) { return {argv + (argc > 0), argv + argc}; }

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::string program_path() {
  std::error_code ignored;
  return std::filesystem::read_symlink("/proc/self/exe", ignored).string();
}

}  // namespace bitnet::program
