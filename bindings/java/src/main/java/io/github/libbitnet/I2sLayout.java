// SPDX-License-Identifier: MIT
package io.github.libbitnet;

/** How an I2_S tensor of a GGUF file lies, which the file does not say: as on the CPU that wrote it. */
public enum I2sLayout {
  /** Written on x86. */
  X86(NativeConstants.BITNET_I2S_X86),
  /** Written on Arm. */
  ARM(NativeConstants.BITNET_I2S_ARM);

  final int value;

  I2sLayout(int value) {
    this.value = value;
  }
}
