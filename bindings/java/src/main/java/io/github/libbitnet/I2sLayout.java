// SPDX-License-Identifier: MIT
package io.github.libbitnet;

/**
 * The order of the weights in the I2_S tensors of a GGUF file. The file does not say it: it depends on the CPU and the
 * build of bitnet.cpp that wrote it.
 */
public enum I2sLayout {
  /** Found out from the weights; {@link #X86} where they do not tell, with a warning in the log. */
  AUTO(NativeConstants.BITNET_I2S_AUTO),
  /** Written on x86. */
  X86(NativeConstants.BITNET_I2S_X86),
  /** Written on Arm. */
  ARM(NativeConstants.BITNET_I2S_ARM),
  /** Written on x86 by a build without ACT_PARALLEL: a byte holds one column of four rows. */
  ROWS(NativeConstants.BITNET_I2S_ROWS);

  final int value;

  I2sLayout(int value) {
    this.value = value;
  }
}
