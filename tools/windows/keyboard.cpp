// SPDX-License-Identifier: MIT
#include "keyboard.h"

#include <utf8proc.h>
#include <windows.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <utility>

#include "base/windows/system.h"
#include "handles.h"
#include "system.h"
#include "windows/console.h"

namespace bitnet::program {

namespace {

constexpr std::string_view kPasteOn = "\x1b[?2004h", kPasteOff = "\x1b[?2004l";

// What the thread that hears of Ctrl-C needs to give the terminal back.
struct Terminal {
  DWORD before;
  HANDLE screen;
  bool marks_pastes;
};
Terminal terminal;
std::atomic<bool> taken = false;

HANDLE input() { return handle_of(Stream::in); }

// Keys that bring no character, as terminals send them.
const char* sequence_of(WORD key) {
  switch (key) {
    case VK_UP:
      return "\x1b[A";
    case VK_DOWN:
      return "\x1b[B";
    case VK_RIGHT:
      return "\x1b[C";
    case VK_LEFT:
      return "\x1b[D";
    case VK_HOME:
      return "\x1b[H";
    case VK_END:
      return "\x1b[F";
    case VK_DELETE:
      return "\x1b[3~";
    default:
      return "";
  }
}

// A key that is pressed, or the end of a number that is typed while Alt is held.
bool brings_something(const KEY_EVENT_RECORD& key) {
  return key.bKeyDown || (key.wVirtualKeyCode == VK_MENU && key.uChar.UnicodeChar != 0);
}

// With Alt alone a key is what it is alone, after an escape character. Alt Gr is Alt with Ctrl.
bool has_alt(const KEY_EVENT_RECORD& key) {
  return (key.dwControlKeyState & LEFT_ALT_PRESSED) != 0 &&
         (key.dwControlKeyState & (LEFT_CTRL_PRESSED | RIGHT_CTRL_PRESSED)) == 0 && key.bKeyDown;
}

// Adds what the keys bring; the first half of a character of two units waits for the other.
void add_keys(std::span<const INPUT_RECORD> records, std::string& bytes) {
  static wchar_t high = 0;
  for (const INPUT_RECORD& record : records) {
    if (record.EventType != KEY_EVENT || !brings_something(record.Event.KeyEvent)) continue;
    const KEY_EVENT_RECORD& key = record.Event.KeyEvent;
    const wchar_t unit = key.uChar.UnicodeChar;
    for (WORD i = 0; i < std::max<WORD>(key.wRepeatCount, 1); ++i) {
      if (unit == 0) {
        bytes += sequence_of(key.wVirtualKeyCode);
      } else if (IS_HIGH_SURROGATE(unit)) {
        high = unit;
      } else {
        if (has_alt(key)) bytes += '\x1b';
        const std::array<wchar_t, 2> pair = {std::exchange(high, 0), unit};
        const std::wstring_view text(pair.data(), pair.size());
        bytes += to_utf8(text.substr(IS_LOW_SURROGATE(unit) && pair[0] != 0 ? 0 : 1));
      }
    }
  }
}

}  // namespace

void give_terminal_back() noexcept {
  if (!taken.exchange(false)) return;
  if (terminal.marks_pastes) write_all(terminal.screen, kPasteOff);
  SetConsoleMode(input(), terminal.before);
}

bool terminal_is_taken() noexcept { return taken; }

Keyboard::Keyboard() {
  const bool shown_out = is_terminal(Stream::out), shown_err = is_terminal(Stream::err);
  shows_ = !shown_out && shown_err ? Stream::err : Stream::out;
  own_screen_ = !shown_out && !shown_err;
  const HANDLE screen = own_screen_ ? CreateFileW(L"CONOUT$", GENERIC_READ | GENERIC_WRITE, FILE_SHARE_WRITE, nullptr,
                                                  OPEN_EXISTING, 0, nullptr)
                                    : handle_of(shows_);
  screen_ = reinterpret_cast<intptr_t>(screen);
  DWORD mode = 0;
  addressable_ = GetConsoleMode(screen, &mode) &&
                 SetConsoleMode(screen, mode | ENABLE_PROCESSED_OUTPUT | ENABLE_VIRTUAL_TERMINAL_PROCESSING);
  if (!GetConsoleMode(input(), &terminal.before)) {
    throw Stop(kFailure, "cannot read the console's settings: " + describe(GetLastError()));
  }
  terminal.screen = screen;
  const DWORD keys = (terminal.before & ~DWORD{ENABLE_LINE_INPUT | ENABLE_ECHO_INPUT}) | ENABLE_PROCESSED_INPUT;
  // A console that sends sequences for keys marks pastes, too.
  terminal.marks_pastes = SetConsoleMode(input(), keys | ENABLE_VIRTUAL_TERMINAL_INPUT) && addressable_;
  if (!terminal.marks_pastes) SetConsoleMode(input(), keys);
  taken = true;
  if (terminal.marks_pastes) write(kPasteOn);
}

Keyboard::~Keyboard() {
  give_terminal_back();
  if (own_screen_ && screen_ != -1) CloseHandle(reinterpret_cast<HANDLE>(screen_));
}

Keyboard::Input Keyboard::read(int milliseconds, std::string& bytes) {
  const std::array<HANDLE, 2> events = {interrupt_event(), input()};
  const DWORD limit = milliseconds < 0 ? INFINITE : static_cast<DWORD>(milliseconds);
  for (const size_t before = bytes.size(); bytes.size() == before;) {
    const DWORD event = WaitForMultipleObjects(static_cast<DWORD>(events.size()), events.data(), FALSE, limit);
    if (interrupted()) return Input::interrupted;
    if (event == WAIT_TIMEOUT) return Input::nothing;
    std::array<INPUT_RECORD, 256> records;
    DWORD count = 0;
    if (!ReadConsoleInputW(input(), records.data(), static_cast<DWORD>(records.size()), &count)) {
      return Input::end_of_input;  // the console is gone
    }
    add_keys(std::span(records).first(count), bytes);
  }
  return Input::more;
}

void Keyboard::forget_pending() { FlushConsoleInputBuffer(input()); }

void Keyboard::forget_resumed() {}  // nothing stops a program here

Keyboard::Control Keyboard::control(char byte) const {
  constexpr char kCtrlZ = 0x1a;  // ends what is typed, as everywhere on Windows
  return byte == kCtrlZ ? Control::end_of_input : Control::none;
}

Keyboard::Size Keyboard::screen() const {
  CONSOLE_SCREEN_BUFFER_INFO info;
  if (!GetConsoleScreenBufferInfo(reinterpret_cast<HANDLE>(screen_), &info)) return {80, 24};
  const auto length = [](SHORT from, SHORT to) { return static_cast<size_t>(std::max(1, to - from + 1)); };
  return {length(info.srWindow.Left, info.srWindow.Right), length(info.srWindow.Top, info.srWindow.Bottom)};
}

void Keyboard::write(std::string_view bytes) const { write_all(reinterpret_cast<HANDLE>(screen_), bytes); }

size_t width_of(char32_t point) {
  if (point < 0x80) return 1;
  const auto character = static_cast<utf8proc_int32_t>(point);
  if (utf8proc_category(character) == UTF8PROC_CATEGORY_MC) return 1;  // marks beside a letter: it says 0
  return static_cast<size_t>(std::max(utf8proc_charwidth(character), 0));
}

}  // namespace bitnet::program
