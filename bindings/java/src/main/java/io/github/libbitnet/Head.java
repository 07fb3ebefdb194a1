// SPDX-License-Identifier: MIT
package io.github.libbitnet;

/** How the output head is kept. */
public enum Head {
  /**
   * F16. Of a file that is converted: a GGUF file of 16384 tokens or more becomes SCREENED, a {@code .bitnet} file stays as
   * it is.
   */
  DEFAULT(NativeConstants.BITNET_HEAD_DEFAULT),
  /** As published. */
  F16(NativeConstants.BITNET_HEAD_F16),
  /** 8 bits a weight: half the bytes, slightly other logits. */
  INT8(NativeConstants.BITNET_HEAD_INT8),
  /** 6 bits a weight: 0.41 of the bytes, slightly other logits. */
  Q6(NativeConstants.BITNET_HEAD_Q6),
  /** F16 with a screen beside it: the same logits and tokens; greedy and top-k sampling read 0.34 of the bytes. */
  SCREENED(NativeConstants.BITNET_HEAD_SCREENED);

  final int value;

  Head(int value) {
    this.value = value;
  }
}
