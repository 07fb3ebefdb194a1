// SPDX-License-Identifier: MIT
// The terminal while a LineEditor has it: keys as bytes, and a screen.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "terminal.h"

namespace bitnet::program {

// Gives the terminal back as it was, if it was taken. Safe in a signal handler.
void give_terminal_back() noexcept;
// Whether it is taken now.
bool terminal_is_taken() noexcept;

// While it lives, standard input, which must be a terminal, hands over each key at once and echoes nothing. Ctrl-C
// still interrupts. The terminal is as before when the object is gone, while the program is stopped by Ctrl-Z, and when
// a signal ends the program. Only one may exist at a time.
class Keyboard {
 public:
  Keyboard();  // throws Stop
  Keyboard(const Keyboard&) = delete;
  Keyboard& operator=(const Keyboard&) = delete;
  ~Keyboard();

  // Adds what is typed to the bytes: as a terminal in the manner of ECMA-48 sends it. Waits so many milliseconds at
  // most, or without a limit if they are negative. `resumed`: the program was stopped, and what it had drawn is gone.
  enum class Input : uint8_t { more, end_of_input, interrupted, resumed, nothing };
  Input read(int milliseconds, std::string& bytes);

  // Drops what was typed ahead.
  void forget_pending();
  // From here on read() tells of stops.
  void forget_resumed();

  // The control characters that this terminal's user may have chosen.
  enum class Control : uint8_t { none, erase, erase_line, end_of_input, interrupt };
  Control control(char byte) const;

  struct Size {
    size_t columns, rows;
  };
  Size screen() const;

  // Writes to the screen, which `shows` says is standard output or standard error.
  void write(std::string_view bytes) const;
  Stream shows() const { return shows_; }
  // Whether the cursor goes where it is told to.
  bool addressable() const { return addressable_; }

 private:
  Stream shows_;
  bool own_screen_;  // neither stream is the terminal: it was opened, and is closed
  bool addressable_;
  intptr_t screen_;  // what the system knows the screen by; -1: there is none
};

// Columns that a character takes on a terminal.
size_t width_of(char32_t point);

}  // namespace bitnet::program
