// SPDX-License-Identifier: MIT
// Text from people as UTF-8. Whatever is left out or changed on the way is told.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bitnet::program {

struct DecodedText {
  std::string text;
  std::vector<std::string> notes;  // for the user: what was left out, converted, or looks wrong
};

// Reads UTF-8, or UTF-16 with a byte order mark or evidently so, as PowerShell writes it. One byte order mark at the
// start is left out. Bytes that are not UTF-8 stay as they are. Throws Stop for UTF-32 and for broken UTF-16. `source`
// names the text in notes and errors.
DecodedText decode_text(std::string bytes, const std::string& source);

// Whether the bytes begin with a byte order mark of UTF-16 or UTF-32, or look like UTF-16 without one.
bool is_wide_text(std::string_view bytes);

// The same text, with the notes on standard error unless `quiet`.
std::string text_of(std::string bytes, const std::string& source, bool quiet);

// The text of a file, or of standard input if its name is "-".
std::string read_text_file(const std::string& path, bool quiet);
std::string read_text_input(bool quiet);

}  // namespace bitnet::program
