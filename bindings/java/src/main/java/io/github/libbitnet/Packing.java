// SPDX-License-Identifier: MIT
package io.github.libbitnet;

/** How ternary weights are packed. */
public enum Packing {
  /** I2; of a {@code .bitnet} file that is converted, as it is. */
  DEFAULT(NativeConstants.BITNET_PACKING_DEFAULT),
  /** 2 bits a weight. */
  I2(NativeConstants.BITNET_PACKING_I2),
  /** 1.6 bits a weight, with the same results. */
  T5(NativeConstants.BITNET_PACKING_T5);

  final int value;

  Packing(int value) {
    this.value = value;
  }
}
