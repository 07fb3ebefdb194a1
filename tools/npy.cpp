// SPDX-License-Identifier: MIT
#include "npy.h"

#include <bit>

#include "terminal.h"

namespace bitnet::program {

std::string npy_header(const char* type, size_t rows, size_t columns) {
  static_assert(std::endian::native == std::endian::little, "'<f4' says how floats lie in this machine's memory");
  std::string dictionary =
      formatted("{'descr': '%s', 'fortran_order': False, 'shape': (%zu, %zu), }", type, rows, columns);
  constexpr size_t preamble = 10;
  dictionary.resize((preamble + dictionary.size() + 1 + 63) / 64 * 64 - preamble, ' ');
  dictionary.back() = '\n';
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(dictionary.size() & 255);
  header += static_cast<char>(dictionary.size() >> 8);
  return header + dictionary;
}

}  // namespace bitnet::program
