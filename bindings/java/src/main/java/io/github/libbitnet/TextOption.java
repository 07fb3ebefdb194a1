// SPDX-License-Identifier: MIT
package io.github.libbitnet;

import java.util.Objects;

/** How text becomes tokens, and tokens text. */
public enum TextOption {
  /**
   * From text: what looks like "&lt;|eot_id|&gt;" becomes that control token, so never for text from strangers. To text:
   * control tokens are written out.
   */
  SPECIAL(NativeConstants.BITNET_TEXT_SPECIAL),
  /** From text: adds the begin and end tokens that the vocabulary asks for. */
  BOS_EOS(NativeConstants.BITNET_TEXT_BOS_EOS);

  private final int value;

  TextOption(int value) {
    this.value = value;
  }

  static int flags(TextOption... options) {
    int flags = 0;
    for (TextOption option : Objects.requireNonNull(options, "options")) {
      flags |= Objects.requireNonNull(option, "option").value;
    }
    return flags;
  }
}
