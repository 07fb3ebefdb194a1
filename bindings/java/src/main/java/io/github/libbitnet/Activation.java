// SPDX-License-Identifier: MIT
package io.github.libbitnet;

/** What the feed-forward network does with its gate. */
public enum Activation {
  /** As the file says or its architecture means; a file that leaves it open is refused. */
  DEFAULT(NativeConstants.BITNET_ACTIVATION_DEFAULT),
  /** Squared ReLU: BitNet b1.58 2B-4T. */
  RELU2(NativeConstants.BITNET_ACTIVATION_RELU2),
  /** SiLU: 1bitLLM's bitnet_b1_58-large and -3B. */
  SILU(NativeConstants.BITNET_ACTIVATION_SILU);

  final int value;

  Activation(int value) {
    this.value = value;
  }
}
