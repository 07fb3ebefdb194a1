// SPDX-License-Identifier: MIT
package io.github.libbitnet;

import java.util.Objects;

/** How a model is opened. */
public final class OpenOptions {
  private String isa = "";
  private boolean verify;
  private Packing packing = Packing.DEFAULT;
  private Head head = Head.DEFAULT;
  private I2sLayout i2s = I2sLayout.X86;
  private Progress progress;
  private Log log;

  /** The kernel set, one of {@link Bitnet#isaNames()}; the fastest by default. */
  public OpenOptions isa(String name) {
    isa = Objects.requireNonNull(name);
    return this;
  }

  /** Checks every tensor's checksum, which reads the whole file. */
  public OpenOptions verify(boolean on) {
    verify = on;
    return this;
  }

  /** Of a GGUF file, which is packed in memory while it is opened. */
  public OpenOptions packing(Packing packing) {
    this.packing = Objects.requireNonNull(packing);
    return this;
  }

  /** Of a GGUF file. */
  public OpenOptions head(Head head) {
    this.head = Objects.requireNonNull(head);
    return this;
  }

  /** Of a GGUF file. */
  public OpenOptions i2s(I2sLayout layout) {
    i2s = Objects.requireNonNull(layout);
    return this;
  }

  /** Null for none. */
  public OpenOptions progress(Progress progress) {
    this.progress = progress;
    return this;
  }

  /** Null for none. Used as long as the model lives. */
  public OpenOptions log(Log log) {
    this.log = log;
    return this;
  }

  NativeOpenOptions toNative() {
    NativeOpenOptions options = new NativeOpenOptions();
    options.set_isa(Text.encode(isa));
    options.setVerify(verify ? 1 : 0);
    options.setGguf_packing(packing.value);
    options.setGguf_head(head.value);
    options.setGguf_i2s(i2s.value);
    return options;
  }

  Listener listener() {
    return new Listener(progress, log);
  }
}
