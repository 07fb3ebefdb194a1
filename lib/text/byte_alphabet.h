// SPDX-License-Identifier: MIT
// GPT-2's printable alphabet for bytes, in which byte-level BPE vocabularies are written: the printable Latin-1
// characters stand for themselves, the other bytes in order for U+0100 and up. (openai/gpt-2, bytes_to_unicode)
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace bitnet {

char32_t byte_to_alphabet(uint8_t byte);

// Appends the bytes that a spelling stands for. Characters outside the alphabet stand for their own UTF-8.
void append_spelled_bytes(std::string_view spelling, std::string& out);

}  // namespace bitnet
