// SPDX-License-Identifier: MIT
package io.github.libbitnet;

/** Why a text ended. */
public enum Finish {
  /** The model ended it. */
  END_TOKEN(NativeConstants.BITNET_FINISH_END_TOKEN),
  /** A stop string came. */
  STOP(NativeConstants.BITNET_FINISH_STOP),
  /** As many tokens as were asked for. */
  MAX_TOKENS(NativeConstants.BITNET_FINISH_MAX_TOKENS),
  /** The session is full. */
  CONTEXT(NativeConstants.BITNET_FINISH_CONTEXT);

  final int value;

  Finish(int value) {
    this.value = value;
  }

  static Finish of(int value) {
    for (Finish item : values()) {
      if (item.value == value) return item;
    }
    throw new AssertionError("an end of a text that these classes do not know: " + value);
  }
}
