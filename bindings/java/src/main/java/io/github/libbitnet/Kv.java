// SPDX-License-Identifier: MIT
package io.github.libbitnet;

/** How a session keeps the keys and values of its tokens. Each rounds otherwise, so that logits differ slightly. */
public enum Kv {
  /** INT16. */
  DEFAULT(NativeConstants.BITNET_KV_DEFAULT),
  /** Floats of 16 bits: slower in long contexts. */
  F16(NativeConstants.BITNET_KV_F16),
  /** Integers of 8 bits: half the memory, quicker in long contexts, rounded more coarsely. */
  INT8(NativeConstants.BITNET_KV_INT8),
  /** Integers of 16 bits: about the memory of F16, with half its rounding error. */
  INT16(NativeConstants.BITNET_KV_INT16);

  final int value;

  Kv(int value) {
    this.value = value;
  }
}
