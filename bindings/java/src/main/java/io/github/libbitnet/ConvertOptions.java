// SPDX-License-Identifier: MIT
package io.github.libbitnet;

import java.util.Objects;

/** How a file is converted. */
public final class ConvertOptions {
  private Packing packing = Packing.DEFAULT;
  private Head head = Head.DEFAULT;
  private I2sLayout i2s = I2sLayout.X86;
  private boolean quantize;
  private int zstdLevel;
  private Progress progress;

  /** Of the output. */
  public ConvertOptions packing(Packing packing) {
    this.packing = Objects.requireNonNull(packing);
    return this;
  }

  /** Of the output. */
  public ConvertOptions head(Head head) {
    this.head = Objects.requireNonNull(head);
    return this;
  }

  /** Of a GGUF file that is read. */
  public ConvertOptions i2s(I2sLayout layout) {
    i2s = Objects.requireNonNull(layout);
    return this;
  }

  /** Makes weights ternary that are not; otherwise such a file is refused. */
  public ConvertOptions quantize(boolean on) {
    quantize = on;
    return this;
  }

  /** 1 to 19 compresses the tensors for download; such a file is unpacked into memory when it is opened. 0: not. */
  public ConvertOptions zstdLevel(int level) {
    zstdLevel = level;
    return this;
  }

  /** Null for none. */
  public ConvertOptions progress(Progress progress) {
    this.progress = progress;
    return this;
  }

  NativeConvertOptions toNative() {
    NativeConvertOptions options = new NativeConvertOptions();
    options.setPacking(packing.value);
    options.setHead(head.value);
    options.setI2s(i2s.value);
    options.setQuantize(quantize ? 1 : 0);
    options.setZstd_level(zstdLevel);
    return options;
  }

  Listener listener() {
    return new Listener(progress, null);
  }
}
