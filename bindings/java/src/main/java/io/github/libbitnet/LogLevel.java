// SPDX-License-Identifier: MIT
package io.github.libbitnet;

/** How much a line of the log matters. */
public enum LogLevel {
  /** Something to look at. */
  WARNING(NativeConstants.BITNET_LOG_WARNING),
  /** What was chosen. */
  INFO(NativeConstants.BITNET_LOG_INFO);

  final int value;

  LogLevel(int value) {
    this.value = value;
  }

  static LogLevel of(int value) {
    for (LogLevel item : values()) {
      if (item.value == value) return item;
    }
    throw new AssertionError("a level of the log that these classes do not know: " + value);
  }
}
