// SPDX-License-Identifier: MIT
package io.github.libbitnet;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Objects;

/** How arguments cross to C++. */
final class Text {
  private Text() {}

  /** Java's own encoder writes a question mark for half of a surrogate pair, which is another text. */
  static byte[] encode(String text, String name) {
    Objects.requireNonNull(text, name);
    for (int i = 0; i < text.length(); i++) {
      if (!Character.isSurrogate(text.charAt(i))) continue;
      if (i + 1 == text.length() || !Character.isSurrogatePair(text.charAt(i), text.charAt(i + 1))) {
        throw new IllegalArgumentException(name + " has half of a surrogate pair at index " + i);
      }
      i++;
    }
    return text.getBytes(StandardCharsets.UTF_8);
  }

  static byte[] encode(Path path, String name) {
    return encode(Objects.requireNonNull(path, name).toString(), name);
  }

  /** The name of a file, of which the library knows by a slash that it is none of a template. */
  static String templateFile(Path path) {
    String name = Objects.requireNonNull(path, "path").toAbsolutePath().toString();
    if (name.contains("{{") || name.contains("{%")) {
      throw new IllegalArgumentException("the path would be taken for a chat template itself: " + name);
    }
    return name;
  }

  static String decode(byte[] utf8) {
    return new String(utf8, StandardCharsets.UTF_8);
  }

  /** The rest of a buffer, where C++ can see it; the buffer's position stays. */
  static ByteBuffer direct(ByteBuffer data) {
    if (Objects.requireNonNull(data, "data").isDirect()) return data.slice();
    ByteBuffer copy = ByteBuffer.allocateDirect(data.remaining());
    copy.duplicate().put(data.duplicate());
    return copy;
  }

  /** An option, whose null is its default. */
  static <T> T or(T value, T byDefault) {
    return value == null ? byDefault : value;
  }

  /** C++ counts without a sign. */
  static int count(int value, String name) {
    if (value < 0) throw new IllegalArgumentException(name + " is negative: " + value);
    return value;
  }
}
