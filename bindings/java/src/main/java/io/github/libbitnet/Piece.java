// SPDX-License-Identifier: MIT
package io.github.libbitnet;

/** A step of a generation, made by C++. */
final class Piece {
  final byte[] text;
  final int token;
  final int finish;

  Piece(byte[] text, int token, int finish) {
    this.text = text;
    this.token = token;
    this.finish = finish;
  }
}
