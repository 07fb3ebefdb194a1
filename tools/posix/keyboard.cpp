// SPDX-License-Identifier: MIT
#include "keyboard.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstring>
#include <cwchar>

#include "handles.h"
#include "system.h"

namespace bitnet::program {

namespace {

constexpr int kInput = 0;
constexpr std::string_view kPasteOn = "\x1b[?2004h", kPasteOff = "\x1b[?2004l";

// What signal handlers need, who can reach nothing but globals.
struct Terminal {
  termios before, during;
  int screen;
  bool marks_pastes;
};
Terminal terminal;
volatile std::sig_atomic_t taken = 0, resumed = 0;

void send(int fd, std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno != EINTR) return;  // a terminal that is gone: the next read says so
    if (written > 0) bytes.remove_prefix(static_cast<size_t>(written));
  }
}

// A terminal that does not control this process has no foreground.
bool in_background() noexcept {
  const pid_t foreground = tcgetpgrp(kInput);
  return foreground >= 0 && foreground != getpgrp();
}

// In the background this would stop the program; the signal that brings it back to the front calls again.
void take_terminal() noexcept {
  if (in_background()) return;
  tcsetattr(kInput, TCSANOW, &terminal.during);
  if (terminal.marks_pastes) send(terminal.screen, kPasteOn);
}

void leave_terminal() noexcept {
  if (in_background()) return;
  if (terminal.marks_pastes) send(terminal.screen, kPasteOff);
  tcsetattr(kInput, TCSANOW, &terminal.before);
}

void set_handler(int signal, void (*handler)(int), int flags) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigaction(signal, &action, nullptr);
}

extern "C" {
void on_end(int signal) {
  give_terminal_back();
  std::raise(signal);  // its own handling is in force again
}

void on_resume(int) {
  const int error = errno;
  if (taken) take_terminal();
  resumed = 1;
  errno = error;
}

void on_stop(int signal) {
  const int error = errno;
  leave_terminal();
  set_handler(signal, SIG_DFL, 0);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  std::raise(signal);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);  // here the program stops, and here it goes on
  set_handler(signal, on_stop, 0);
  on_resume(SIGCONT);  // also where nothing can stop it
  errno = error;
}
}

constexpr std::array kEndSignals = {SIGTERM, SIGHUP, SIGQUIT, SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};

bool is_unhandled(int signal) {
  struct sigaction now {};
  return sigaction(signal, nullptr, &now) == 0 && (now.sa_flags & SA_SIGINFO) == 0 && now.sa_handler == SIG_DFL;
}

void handle_signals() {
  for (const int signal : kEndSignals) {
    if (is_unhandled(signal)) set_handler(signal, on_end, static_cast<int>(SA_RESETHAND) | SA_NODEFER);
  }
  if (is_unhandled(SIGTSTP)) set_handler(SIGTSTP, on_stop, 0);
  if (is_unhandled(SIGCONT)) set_handler(SIGCONT, on_resume, 0);
}

void stop_handling_signals() {
  const auto reset = [](int signal, void (*handler)(int)) {
    struct sigaction now {};
    sigaction(signal, nullptr, &now);
    if (now.sa_handler == handler) std::signal(signal, SIG_DFL);
  };
  for (const int signal : kEndSignals) reset(signal, on_end);
  reset(SIGTSTP, on_stop);
  reset(SIGCONT, on_resume);
}

// Waits for input: for these milliseconds at most, or without a limit if they are negative. A signal ends the waiting
// at once, also one that came just before it: nothing of a signal can be missed between looking at what its handler
// noted and waiting.
template <typename Noted>
bool wait_for_input(int milliseconds, const Noted& noted) {
  sigset_t ours, before;
  sigemptyset(&ours);
  for (const int signal : {SIGINT, SIGTSTP, SIGCONT}) sigaddset(&ours, signal);
  pthread_sigmask(SIG_BLOCK, &ours, &before);
  fd_set input;
  FD_ZERO(&input);
  FD_SET(kInput, &input);
  const timespec limit = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
  const bool ready =
      !noted() && pselect(kInput + 1, &input, nullptr, nullptr, milliseconds < 0 ? nullptr : &limit, &before) > 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return ready;
}

}  // namespace

void give_terminal_back() noexcept {
  if (!taken) return;
  taken = 0;
  leave_terminal();
}

bool terminal_is_taken() noexcept { return taken != 0; }

Keyboard::Keyboard() {
  const std::string type = environment("TERM");
  addressable_ = !type.empty() && type != "dumb";
  const bool shown_out = is_terminal(Stream::out), shown_err = is_terminal(Stream::err);
  shows_ = !shown_out && shown_err ? Stream::err : Stream::out;
  own_screen_ = !shown_out && !shown_err;
  const int screen = own_screen_ ? ::open("/dev/tty", O_WRONLY | O_CLOEXEC | O_NOCTTY) : static_cast<int>(shows_);
  screen_ = screen;
  if (tcgetattr(kInput, &terminal.before) != 0) {
    throw Stop(kFailure, std::string("cannot read the terminal's settings: ") + std::strerror(errno));
  }
  terminal.during = terminal.before;
  terminal.during.c_iflag &= ~static_cast<tcflag_t>(ICRNL | INLCR | IGNCR | ISTRIP);
  terminal.during.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | IEXTEN);
  terminal.during.c_cc[VMIN] = 1;
  terminal.during.c_cc[VTIME] = 0;
  terminal.screen = screen;
  terminal.marks_pastes = addressable_ && screen >= 0;
  taken = 1;
  handle_signals();
  take_terminal();
}

Keyboard::~Keyboard() {
  give_terminal_back();
  stop_handling_signals();
  if (own_screen_ && screen_ >= 0) ::close(static_cast<int>(screen_));
}

Keyboard::Input Keyboard::read(int milliseconds, std::string& bytes) {
  const bool ready = wait_for_input(milliseconds, [] { return interrupted() || resumed; });
  if (interrupted()) return Input::interrupted;
  if (resumed) {
    resumed = 0;
    return Input::resumed;
  }
  if (!ready) return Input::nothing;
  std::array<char, 65536> block;
  const ssize_t got = ::read(kInput, block.data(), block.size());
  if (got > 0) {
    bytes.append(block.data(), static_cast<size_t>(got));
    return Input::more;
  }
  if (got == 0) return Input::end_of_input;
  if (errno == EIO) return Input::end_of_input;  // the terminal is gone
  if (errno == EINTR) return Input::nothing;
  throw Stop(kFailure, std::string("cannot read the terminal: ") + std::strerror(errno));
}

void Keyboard::forget_pending() { tcflush(kInput, TCIFLUSH); }

void Keyboard::forget_resumed() { resumed = 0; }

Keyboard::Control Keyboard::control(char byte) const {
  const auto is_set_to = [&](size_t which) { return static_cast<cc_t>(byte) == terminal.before.c_cc[which] && byte; };
  if (is_set_to(VERASE)) return Control::erase;
  if (is_set_to(VKILL)) return Control::erase_line;
  if (is_set_to(VEOF)) return Control::end_of_input;
  if (is_set_to(VINTR)) return Control::interrupt;
  return Control::none;
}

Keyboard::Size Keyboard::screen() const {
  winsize size{};
  if (ioctl(kInput, TIOCGWINSZ, &size) != 0) size = {};
  return {size.ws_col > 0 ? size.ws_col : size_t{80}, size.ws_row > 0 ? size.ws_row : size_t{24}};
}

void Keyboard::write(std::string_view bytes) const {
  if (screen_ >= 0) send(static_cast<int>(screen_), bytes);
}

// As the C library knows them, whatever the locale of the environment.
size_t width_of(char32_t point) {
  static const locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  if (point < 0x80 || !utf8) return 1;
  const locale_t before = uselocale(utf8);
  const int width = wcwidth(static_cast<wchar_t>(point));
  uselocale(before);
  return width < 0 ? 1 : static_cast<size_t>(width);
}

}  // namespace bitnet::program
