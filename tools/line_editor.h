// SPDX-License-Identifier: MIT
// Lines typed or pasted into a terminal. The terminal's own line editing cuts a line at 4095 bytes; this one does not,
// and keeps a paste of several lines together.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "keyboard.h"

namespace bitnet::program {

// Everything typed into the terminal that is standard input, until Ctrl-D at the start of a line; each line ends with a
// newline. Says so first, unless `quiet`. Throws Stop when it is interrupted, and while a LineEditor lives.
std::string read_typed_text(bool quiet);

// It has the terminal for as long as it lives (keyboard.h).
class LineEditor {
 public:
  // Reads a line without its newline. The prompt is plain ASCII.
  LineEnd read(const std::string& prompt, std::string& line);

  // Drops what was typed ahead.
  void forget_pending();

 private:
  struct Place {
    size_t row = 0, column = 0;  // from the start of the prompt
  };
  enum class Key {
    none,
    text,
    enter,
    end_of_input,
    interrupted,
    erase,
    erase_next,
    erase_word,
    erase_before,
    erase_after,
    left,
    right,
    home,
    end,
    up,
    down,
    new_line,
    repaint
  };

  // Input: keys, of which Key::text has its bytes in typed_.
  Key next_key();
  Key control_key(char byte) const;
  Key escape_key();
  Key paste();
  Key text_key();
  using Input = Keyboard::Input;
  Input fill(int milliseconds = -1);

  // The line.
  void start(const std::string& prompt);
  void act(Key key);
  void replace(size_t begin, size_t end, std::string_view text);
  void move_to(size_t byte);
  void recall(size_t index);
  size_t before(size_t byte) const;
  size_t after(size_t byte) const;
  size_t word_before(size_t byte) const;

  // The screen.
  std::string drawn(std::string_view text, Place& place) const;
  Place place_of(size_t byte) const;
  std::string move(Place from, Place to) const;
  void draw_all();
  void follow_screen();

  Keyboard keyboard_;
  size_t columns_ = 80;
  std::string pending_;  // input not used yet
  std::string typed_;
  std::string prompt_, text_;
  size_t cursor_ = 0;  // byte in the text
  Place place_;        // of the cursor
  std::vector<std::string> history_;
  size_t recalled_ = 0;  // index in the history; its size: a new line
  std::string draft_;    // the new line, while another is recalled
};

}  // namespace bitnet::program
