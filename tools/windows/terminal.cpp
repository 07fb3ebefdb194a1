// SPDX-License-Identifier: MIT
#include "terminal.h"

#include <windows.h>
// After windows.h:
#include <shellapi.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <utility>

#include "base/windows/system.h"
#include "handles.h"
#include "keyboard.h"
#include "line_editor.h"
#include "system.h"
#include "windows/console.h"

namespace bitnet::program {

namespace {

std::atomic<int> interrupt_count = 0;
HANDLE main_thread = nullptr;

// The modes of the consoles that the streams are, before this program changed them.
struct ConsoleMode {
  HANDLE console = nullptr;
  DWORD before = 0;
};
std::array<ConsoleMode, 2> console_modes;

void restore_consoles() noexcept {
  for (const auto& [console, before] : console_modes) {
    if (console != nullptr) SetConsoleMode(console, before);
  }
}

// Consoles understand escape sequences when they are asked to.
void ask_for_sequences(Stream stream, ConsoleMode& mode) {
  const HANDLE console = handle_of(stream);
  DWORD before = 0;
  if (!GetConsoleMode(console, &before)) return;
  mode = {console, before};
  SetConsoleMode(console, before | ENABLE_PROCESSED_OUTPUT | ENABLE_VIRTUAL_TERMINAL_PROCESSING);
}

// The system calls it on a thread of its own.
BOOL WINAPI on_event(DWORD event) {
  const bool interrupt = event == CTRL_C_EVENT || event == CTRL_BREAK_EVENT;
  if (interrupt && ++interrupt_count < 2) {
    SetEvent(interrupt_event());
    CancelSynchronousIo(main_thread);  // a read of standard input
    return TRUE;
  }
  give_terminal_back();
  restore_consoles();
  return FALSE;  // which ends the program
}

// Reads what there is, 0 bytes at the end. Empty if Ctrl-C interrupts it.
std::optional<size_t> read_some(HANDLE handle, std::span<char> block, const std::string& name) {
  DWORD got = 0;
  if (interrupted()) return std::nullopt;
  if (ReadFile(handle, block.data(), static_cast<DWORD>(block.size()), &got, nullptr)) return got;
  const DWORD error = GetLastError();
  if (interrupted()) return std::nullopt;
  if (error == ERROR_BROKEN_PIPE || error == ERROR_HANDLE_EOF) return 0;
  throw Stop(kFailure, "cannot read " + name + ": " + describe(error));
}

std::string read_whole(HANDLE handle, const std::string& name) {
  std::string text;
  std::vector<char> block(65536);
  for (;;) {
    const auto got = read_some(handle, block, name);
    if (!got) throw Stop(kInterrupted, "");
    if (*got == 0) return text;
    text.append(block.data(), *got);
  }
}

}  // namespace

HANDLE handle_of(Stream stream) {
  constexpr std::array<DWORD, 3> kHandles = {STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE};
  return GetStdHandle(kHandles[static_cast<size_t>(stream)]);
}

bool is_console(HANDLE handle) {
  DWORD mode = 0;
  return GetConsoleMode(handle, &mode) != 0;
}

HANDLE interrupt_event() {
  static const HANDLE event = CreateEventW(nullptr, TRUE, FALSE, nullptr);
  return event;
}

namespace {

// In UTF-16, so that no code page matters.
DWORD write_console(HANDLE console, std::string_view text) noexcept {
  constexpr size_t kMost = 8192;  // older consoles take no more than 64 KiB at once
  std::array<wchar_t, kMost> wide;
  while (!text.empty()) {
    size_t bytes = std::min(text.size(), kMost);
    while (bytes < text.size() && bytes > kMost - 4 && (static_cast<unsigned char>(text[bytes]) & 0xc0) == 0x80)
      --bytes;
    const int length = MultiByteToWideChar(CP_UTF8, 0, text.data(), static_cast<int>(bytes), wide.data(), kMost);
    DWORD written = 0;
    if (!WriteConsoleW(console, wide.data(), static_cast<DWORD>(length), &written, nullptr)) return GetLastError();
    text.remove_prefix(bytes);
  }
  return 0;
}

}  // namespace

DWORD write_all(HANDLE handle, std::string_view text) noexcept {
  if (is_console(handle)) return write_console(handle, text);
  while (!text.empty()) {
    DWORD written = 0;
    const auto step = static_cast<DWORD>(std::min(text.size(), size_t{1} << 30));
    if (!WriteFile(handle, text.data(), step, &written, nullptr)) return GetLastError();
    text.remove_prefix(written);
  }
  return 0;
}

void prepare_streams() {
  ask_for_sequences(Stream::out, console_modes[0]);
  ask_for_sequences(Stream::err, console_modes[1]);
  std::atexit(restore_consoles);
}

void catch_interrupts() {
  interrupt_event();
  DuplicateHandle(GetCurrentProcess(), GetCurrentThread(), GetCurrentProcess(), &main_thread, 0, FALSE,
                  DUPLICATE_SAME_ACCESS);
  SetConsoleCtrlHandler(nullptr, FALSE);  // a parent may have had Ctrl-C ignored
  SetConsoleCtrlHandler(on_event, TRUE);
}

bool interrupted() { return interrupt_count != 0; }

void forget_interrupt() {
  ResetEvent(interrupt_event());
  interrupt_count = 0;
}

// Ctrl-C comes on a thread of its own: there is nothing to block.
InterruptsBlocked::InterruptsBlocked() {}
InterruptsBlocked::~InterruptsBlocked() {}

bool is_terminal(Stream stream) { return is_console(handle_of(stream)); }

bool obeys_sequences(Stream stream) {
  DWORD mode = 0;
  return GetConsoleMode(handle_of(stream), &mode) && (mode & ENABLE_VIRTUAL_TERMINAL_PROCESSING) != 0;
}

size_t terminal_columns() {
  CONSOLE_SCREEN_BUFFER_INFO info;
  if (!GetConsoleScreenBufferInfo(handle_of(Stream::err), &info)) return 80;
  return static_cast<size_t>(std::max(1, info.srWindow.Right - info.srWindow.Left + 1));
}

void write_out(std::string_view text) {
  const DWORD error = write_all(handle_of(Stream::out), text);
  // The reader has had enough: nothing to complain about.
  if (error == ERROR_BROKEN_PIPE || error == ERROR_NO_DATA) throw Stop(kFailure, "");
  if (error != 0) throw Stop(kFailure, "cannot write to standard output: " + describe(error));
}

void write_err(std::string_view text) { write_all(handle_of(Stream::err), text); }

std::optional<size_t> read_input(std::span<char> block) {
  return read_some(handle_of(Stream::in), block, "standard input");
}

std::string read_piped_input() { return read_whole(handle_of(Stream::in), "standard input"); }

std::string read_file(const std::string& path) {
  const Handle file(CreateFileW(system_path(path).c_str(), GENERIC_READ,
                                FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, nullptr, OPEN_EXISTING, 0,
                                nullptr));
  if (!file) throw Stop(kFailure, "cannot open " + path + ": " + describe(GetLastError()));
  if (!is_console(file.get())) return read_whole(file.get(), path);
  if (is_terminal(Stream::in)) return read_typed_text(true);
  throw Stop(kFailure, "cannot read " + path + " while standard input is no console");
}

std::vector<std::string> arguments(int, char**) {
  int count = 0;
  const std::unique_ptr<LPWSTR, decltype(&LocalFree)> words(CommandLineToArgvW(GetCommandLineW(), &count), &LocalFree);
  std::vector<std::string> texts;
  for (int i = 1; words && i < count; ++i) texts.push_back(to_utf8(words.get()[i]));
  return texts;
}

std::string environment(const char* name) {
  const std::wstring wide = to_utf16(name);
  std::wstring value(GetEnvironmentVariableW(wide.c_str(), nullptr, 0), L'\0');
  if (value.empty()) return "";
  const DWORD length = GetEnvironmentVariableW(wide.c_str(), value.data(), static_cast<DWORD>(value.size()));
  value.resize(std::min<size_t>(length, value.size()));
  return to_utf8(value);
}

std::string program_path() {
  std::wstring path(MAX_PATH, L'\0');
  for (;;) {
    const DWORD length = GetModuleFileNameW(nullptr, path.data(), static_cast<DWORD>(path.size()));
    if (length < path.size()) return to_utf8(path.substr(0, length));
    path.resize(path.size() * 2);
  }
}

}  // namespace bitnet::program
