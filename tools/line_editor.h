// SPDX-License-Identifier: MIT
// Lines typed or pasted into a terminal. The terminal's own line editing cuts a line at 4095 bytes; this one does not,
// and keeps a paste of several lines together.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "terminal.h"

namespace bitnet::program {

// Gives the terminal back as it was, if a LineEditor has taken it. Safe in a signal handler.
void give_terminal_back() noexcept;

// Everything typed into the terminal that is standard input, until Ctrl-D at the start of a line; each line ends with a
// newline. Says so first, unless `quiet`. Throws Stop when it is interrupted, and while a LineEditor lives.
std::string read_typed_text(bool quiet);

// While it lives, standard input, which must be a terminal, hands over each key at once and echoes nothing. Ctrl-C
// still interrupts. The terminal is as before when the object is gone, while the program is stopped by Ctrl-Z, and when
// a signal ends the program. Only one may exist at a time.
class LineEditor {
 public:
  LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;
  ~LineEditor();

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
  enum class Fill { more, end_of_input, interrupted, nothing };
  Fill fill(int milliseconds = -1);
  bool wait(int milliseconds);

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
  void write(std::string_view bytes) const;
  std::string drawn(std::string_view text, Place& place) const;
  Place place_of(size_t byte) const;
  std::string move(Place from, Place to) const;
  void draw_all();
  void follow_screen();

  int echo_;          // descriptor for what is shown
  bool own_echo_;     // to be closed
  bool addressable_;  // the terminal moves its cursor when told to
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
