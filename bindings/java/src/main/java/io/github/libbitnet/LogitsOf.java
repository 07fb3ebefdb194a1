// SPDX-License-Identifier: MIT
package io.github.libbitnet;

/** Which logits an evaluation computes. */
public enum LogitsOf {
  /** Of the last token. */
  LAST(NativeConstants.BITNET_LOGITS_LAST),
  /** Of every token. */
  ALL(NativeConstants.BITNET_LOGITS_ALL),
  /** None, which is quicker. */
  NONE(NativeConstants.BITNET_LOGITS_NONE);

  final int value;

  LogitsOf(int value) {
    this.value = value;
  }
}
