// SPDX-License-Identifier: MIT
#include "line_editor.h"

#include <algorithm>
#include <utility>

#include "handles.h"
#include "text/utf8.h"

namespace bitnet::program {

namespace {

constexpr std::string_view kPasteEnd = "\x1b[201~";

bool is_control(char32_t point) { return point != '\t' && (point < 0x20 || (point >= 0x7f && point < 0xa0)); }

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n'; }

// A terminal sends the newlines of a paste as carriage returns.
std::string with_newlines(std::string_view pasted) {
  std::string text;
  for (size_t i = 0; i < pasted.size(); ++i) {
    if (pasted[i] == '\r' && i + 1 < pasted.size() && pasted[i + 1] == '\n') continue;
    text += pasted[i] == '\r' ? '\n' : pasted[i];
  }
  return text;
}

}  // namespace

std::string read_typed_text(bool quiet) {
  if (terminal_is_taken()) throw Stop(kFailure, "the terminal is in use by the conversation; name a file");
  LineEditor editor;
  if (!quiet) write_note("type or paste the text; Ctrl-D on a line of its own ends it");
  std::string text, line;
  for (;;) {
    switch (editor.read("", line)) {
      case LineEnd::newline:
        text += line + '\n';
        break;
      case LineEnd::end_of_input:
        return text;
      case LineEnd::interrupted:
        throw Stop(kInterrupted, "");
    }
  }
}

void LineEditor::forget_pending() {
  pending_.clear();
  keyboard_.forget_pending();
}

// ---------------------------------------------------------------------------------------------------------- reading

LineEnd LineEditor::read(const std::string& prompt, std::string& line) {
  start(prompt);
  for (;;) {
    const Key key = next_key();
    switch (key) {
      case Key::enter:
        move_to(text_.size());
        keyboard_.write("\n");
        if (!text_.empty() && (history_.empty() || history_.back() != text_)) history_.push_back(text_);
        line = std::move(text_);
        return LineEnd::newline;
      case Key::interrupted:
        forget_pending();
        move_to(text_.size());
        keyboard_.write("\n");
        return LineEnd::interrupted;
      case Key::end_of_input:
        if (text_.empty()) {
          keyboard_.write("\n");
          return LineEnd::end_of_input;
        }
        if (cursor_ < text_.size()) act(Key::erase_next);
        break;
      case Key::none:
      case Key::text:
      case Key::erase:
      case Key::erase_next:
      case Key::erase_word:
      case Key::erase_before:
      case Key::erase_after:
      case Key::left:
      case Key::right:
      case Key::home:
      case Key::end:
      case Key::up:
      case Key::down:
      case Key::new_line:
      case Key::repaint:
        act(key);
    }
  }
}

// A line that the program was stopped in is drawn again, whatever of a key has come by then.
LineEditor::Input LineEditor::fill(int milliseconds) {
  for (;;) {
    const Input input = keyboard_.read(milliseconds, pending_);
    if (input != Input::resumed) return input;
    keyboard_.write("\n");
    draw_all();
  }
}

LineEditor::Key LineEditor::next_key() {
  while (pending_.empty()) {
    switch (fill()) {
      case Input::end_of_input:
        return text_.empty() ? Key::end_of_input : Key::enter;
      case Input::interrupted:
        return Key::interrupted;
      case Input::more:
      case Input::nothing:
      case Input::resumed:
        break;
    }
  }
  const char first = pending_.front();
  const auto byte = static_cast<unsigned char>(first);
  if ((byte >= 0x20 && byte != 0x7f) || byte == '\t') return text_key();
  pending_.erase(0, 1);
  return first == '\x1b' ? escape_key() : control_key(first);
}

LineEditor::Key LineEditor::control_key(char byte) const {
  switch (keyboard_.control(byte)) {
    case Keyboard::Control::erase:
      return Key::erase;
    case Keyboard::Control::erase_line:
      return Key::erase_before;
    case Keyboard::Control::end_of_input:
      return Key::end_of_input;
    case Keyboard::Control::interrupt:
      return Key::interrupted;
    case Keyboard::Control::none:
      break;
  }
  constexpr auto ctrl = [](char letter) { return static_cast<char>(letter & 0x1f); };
  switch (byte) {
    case '\r':
    case '\n':
      return Key::enter;
    case '\x7f':
    case ctrl('H'):
      return Key::erase;
    case ctrl('U'):
      return Key::erase_before;
    case ctrl('K'):
      return Key::erase_after;
    case ctrl('W'):
      return Key::erase_word;
    case ctrl('D'):
      return Key::end_of_input;
    case ctrl('C'):
      return Key::interrupted;
    case ctrl('A'):
      return Key::home;
    case ctrl('E'):
      return Key::end;
    case ctrl('B'):
      return Key::left;
    case ctrl('F'):
      return Key::right;
    case ctrl('P'):
      return Key::up;
    case ctrl('N'):
      return Key::down;
    case ctrl('L'):
      return Key::repaint;
    default:
      return Key::none;
  }
}

// What follows an escape character: a key of several bytes, which come at once, or nothing.
LineEditor::Key LineEditor::escape_key() {
  constexpr int kSoon = 50;  // milliseconds
  const auto next = [&]() -> char {
    while (pending_.empty()) {
      if (fill(kSoon) != Input::more) return '\0';
    }
    const char byte = pending_.front();
    pending_.erase(0, 1);
    return byte;
  };
  const char kind = next();
  if (kind == '\x7f' || kind == '\b') return Key::erase_word;
  if (kind == '\r' || kind == '\n') return Key::new_line;
  if (kind != '[' && kind != 'O') return Key::none;
  std::string parameters;
  char last = next();
  for (; last >= 0x20 && last < 0x40; last = next()) parameters += last;
  switch (last) {
    case 'A':
      return Key::up;
    case 'B':
      return Key::down;
    case 'C':
      return Key::right;
    case 'D':
      return Key::left;
    case 'H':
      return Key::home;
    case 'F':
      return Key::end;
    case '~':
      break;
    default:
      return Key::none;
  }
  if (parameters == "200") return paste();
  if (parameters == "3") return Key::erase_next;
  if (parameters == "1" || parameters == "7") return Key::home;
  if (parameters == "4" || parameters == "8") return Key::end;
  return Key::none;
}

// Everything up to the mark at the end of a paste is text, newlines too.
LineEditor::Key LineEditor::paste() {
  size_t end, seen = 0;
  while ((end = pending_.find(kPasteEnd, seen)) == pending_.npos) {
    seen = pending_.size() - std::min(pending_.size(), kPasteEnd.size());
    const Input filled = fill();
    if (filled == Input::interrupted) return Key::interrupted;
    if (filled == Input::end_of_input) {
      end = pending_.size();
      break;
    }
  }
  typed_ = with_newlines(std::string_view(pending_).substr(0, end));
  pending_.erase(0, end + kPasteEnd.size());
  return Key::text;
}

// All text that has come, up to a control character. What may still become a character waits for its other bytes.
LineEditor::Key LineEditor::text_key() {
  const auto is_key = [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == '\x7f'; };
  size_t end = 0;
  while (end < pending_.size() && !is_key(pending_[end])) {
    const Utf8Step step = next_utf8(std::string_view(pending_).substr(end));
    if (step.kind == Utf8Step::Kind::truncated && end + step.size == pending_.size()) break;
    end += step.size;
  }
  if (end == 0) {
    const Input filled = fill();
    if (filled == Input::interrupted) return Key::interrupted;
    if (filled == Input::end_of_input) end = pending_.size();
  }
  typed_ = pending_.substr(0, end);
  pending_.erase(0, end);
  return typed_.empty() ? Key::none : Key::text;
}

// --------------------------------------------------------------------------------------------------------- the line

void LineEditor::start(const std::string& prompt) {
  prompt_ = prompt;
  text_.clear();
  cursor_ = 0;
  recalled_ = history_.size();
  keyboard_.forget_resumed();
  draw_all();
}

void LineEditor::act(Key key) {
  switch (key) {
    case Key::text:
      return replace(cursor_, cursor_, typed_);
    case Key::new_line:
      return replace(cursor_, cursor_, "\n");
    case Key::erase:
      return replace(before(cursor_), cursor_, "");
    case Key::erase_next:
      return replace(cursor_, after(cursor_), "");
    case Key::erase_word:
      return replace(word_before(cursor_), cursor_, "");
    case Key::erase_before:
      return replace(0, cursor_, "");
    case Key::erase_after:
      return replace(cursor_, text_.size(), "");
    case Key::left:
      return move_to(before(cursor_));
    case Key::right:
      return move_to(after(cursor_));
    case Key::home:
      return move_to(0);
    case Key::end:
      return move_to(text_.size());
    case Key::up:
      return recall(recalled_ - (recalled_ > 0));
    case Key::down:
      return recall(std::min(recalled_ + 1, history_.size()));
    case Key::repaint:
      keyboard_.write(keyboard_.addressable() ? "\x1b[H\x1b[2J" : "\n");
      return draw_all();
    case Key::none:
    case Key::enter:
    case Key::end_of_input:
    case Key::interrupted:
      return;
  }
}

// Puts text in the place of bytes begin .. end, with the cursor behind it.
void LineEditor::replace(size_t begin, size_t end, std::string_view text) {
  if (begin == end && text.empty()) return;
  follow_screen();
  if (begin == text_.size()) {  // the common case takes no time for what stands before
    text_ += text;
    cursor_ = text_.size();
    return keyboard_.write(drawn(text, place_));
  }
  const Place from = place_of(begin), old_end = place_of(text_.size());
  text_.replace(begin, end - begin, text);
  cursor_ = begin + text.size();
  if (!keyboard_.addressable() || old_end.row - from.row >= keyboard_.screen().rows) {  // it cannot be drawn over
    keyboard_.write(move(place_, old_end) + "\n");
    return draw_all();
  }
  Place drawn_to = from;
  const std::string bytes = move(place_, from) + "\x1b[J" + drawn(std::string_view(text_).substr(begin), drawn_to);
  place_ = place_of(cursor_);
  keyboard_.write(bytes + move(drawn_to, place_));
}

void LineEditor::move_to(size_t byte) {
  if (!keyboard_.addressable() || byte == cursor_) return;
  follow_screen();
  cursor_ = byte;
  const Place to = place_of(cursor_);
  keyboard_.write(move(place_, to));
  place_ = to;
}

void LineEditor::recall(size_t index) {
  if (index == recalled_) return;
  if (recalled_ == history_.size()) draft_ = text_;
  recalled_ = index;
  const std::string line = index == history_.size() ? draft_ : history_[index];
  move_to(text_.size());
  replace(0, text_.size(), line);
}

// A character with the combining ones behind it.
size_t LineEditor::before(size_t byte) const {
  while (byte > 0) {
    do {
      --byte;
    } while (byte > 0 && (static_cast<unsigned char>(text_[byte]) & 0xc0) == 0x80);
    if (width_of(next_utf8(std::string_view(text_).substr(byte)).point) > 0) break;
  }
  return byte;
}

size_t LineEditor::after(size_t byte) const {
  for (bool first = true; byte < text_.size(); first = false) {
    const Utf8Step step = next_utf8(std::string_view(text_).substr(byte));
    if (!first && width_of(step.point) > 0) break;
    byte += step.size;
  }
  return byte;
}

size_t LineEditor::word_before(size_t byte) const {
  while (byte > 0 && is_space(text_[byte - 1])) --byte;
  while (byte > 0 && !is_space(text_[byte - 1])) --byte;
  return byte;
}

// ------------------------------------------------------------------------------------------------------- the screen

// A terminal that was resized has wrapped the line anew.
void LineEditor::follow_screen() {
  const size_t columns = keyboard_.screen().columns;
  if (columns == columns_) return;
  columns_ = columns;
  place_ = place_of(cursor_);
}

// What shows the text from a place on, and where the cursor then is. Long lines wrap by themselves, so that a terminal
// that is resized can wrap them anew. Control characters, which only a paste can bring, show as U+FFFD.
std::string LineEditor::drawn(std::string_view text, Place& place) const {
  constexpr std::string_view kWrap = " \r";  // at the end of a row the cursor waits there for the next character
  std::string bytes;
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = next_utf8(text.substr(at));
    const std::string_view character = text.substr(at, step.size);
    at += step.size;
    const bool newline = character == "\n", tab = character == "\t";
    if (place.column >= columns_ && (newline || tab)) {
      bytes += kWrap;
      place = {place.row + 1, 0};
    }
    if (newline) {
      bytes += '\n';
      place = {place.row + 1, 0};
      continue;
    }
    const bool odd = step.kind != Utf8Step::Kind::valid || is_control(step.point);
    const size_t width = tab ? std::min(8 - place.column % 8, columns_ - place.column) : odd ? 1 : width_of(step.point);
    if (place.column + width > columns_) place = {place.row + 1, 0};
    place.column += width;
    if (tab) {
      bytes.append(width, ' ');
    } else if (odd) {
      append_utf8(kReplacement, bytes);
    } else {
      bytes += character;
    }
  }
  if (place.column >= columns_) {
    bytes += kWrap;
    place = {place.row + 1, 0};
  }
  return bytes;
}

LineEditor::Place LineEditor::place_of(size_t byte) const {
  Place place = {0, prompt_.size()};
  drawn(std::string_view(text_).substr(0, byte), place);
  return place;
}

std::string LineEditor::move(Place from, Place to) const {
  if (!keyboard_.addressable() || (from.row == to.row && from.column == to.column)) return "";
  std::string bytes = "\r";
  if (to.row < from.row) bytes += formatted("\x1b[%zuA", from.row - to.row);
  if (to.row > from.row) bytes += formatted("\x1b[%zuB", to.row - from.row);
  if (to.column > 0) bytes += formatted("\x1b[%zuC", to.column);
  return bytes;
}

void LineEditor::draw_all() {
  columns_ = keyboard_.screen().columns;
  if (!keyboard_.addressable()) cursor_ = text_.size();
  Place end = {0, prompt_.size()};
  const std::string prompt = coloured(keyboard_.shows(), Colour::green, prompt_);
  const std::string text = drawn(text_, end);
  place_ = place_of(cursor_);
  keyboard_.write(prompt + text + move(end, place_));
}

}  // namespace bitnet::program
