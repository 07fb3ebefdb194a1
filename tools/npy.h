// SPDX-License-Identifier: MIT
// Files of NumPy arrays.
#pragma once

#include <cstddef>
#include <string>

namespace bitnet::program {

// The header of an array of rows in format 1.0: magic, version, length, a Python dictionary, filled up to 64 bytes.
// `type` is NumPy's: "<f4", "|i1", "|u1".
std::string npy_header(const char* type, size_t rows, size_t columns);

}  // namespace bitnet::program
