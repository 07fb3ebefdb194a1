// SPDX-License-Identifier: MIT
package io.github.libbitnet;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/** How arguments cross to C++. */
final class Text {
  private Text() {}

  static byte[] encode(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  static String decode(byte[] utf8) {
    return new String(utf8, StandardCharsets.UTF_8);
  }

  /** The rest of a buffer, where C++ can see it; the buffer's position stays. */
  static ByteBuffer direct(ByteBuffer data) {
    if (data.isDirect()) return data.slice();
    ByteBuffer copy = ByteBuffer.allocateDirect(data.remaining());
    copy.duplicate().put(data.duplicate());
    return copy;
  }

  /** C++ counts without a sign. */
  static int count(int value, String name) {
    if (value < 0) throw new IllegalArgumentException(name + " is negative: " + value);
    return value;
  }
}
