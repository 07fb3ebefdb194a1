// SPDX-License-Identifier: MIT
package io.github.libbitnet;

/** How a session keeps the keys and values of its tokens. */
public enum Kv {
  /** F16. */
  DEFAULT(NativeConstants.BITNET_KV_DEFAULT),
  /** 16 bits a number. */
  F16(NativeConstants.BITNET_KV_F16),
  /** 8 bits a number: 0.52 of the memory, quicker in long contexts, slightly other logits. */
  INT8(NativeConstants.BITNET_KV_INT8),
  /** 16 bits a number, as integers: the memory of F16, rounded more finely, quicker in long contexts. */
  INT16(NativeConstants.BITNET_KV_INT16);

  final int value;

  Kv(int value) {
    this.value = value;
  }
}
