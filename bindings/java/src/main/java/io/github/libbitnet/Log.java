// SPDX-License-Identifier: MIT
package io.github.libbitnet;

/** Told what the library chooses or notices, perhaps on other threads than those that call it. */
@FunctionalInterface
public interface Log {
  /** A line of text. What this throws comes out of the call that opens or converts, and is ignored later. */
  void line(LogLevel level, String text);
}
