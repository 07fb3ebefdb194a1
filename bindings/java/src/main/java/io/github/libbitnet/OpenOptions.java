// SPDX-License-Identifier: MIT
package io.github.libbitnet;

import java.nio.file.Path;

/** How a model is opened. */
public final class OpenOptions {
  private String isa;
  private boolean verify;
  private Packing packing = Packing.DEFAULT;
  private Head head = Head.DEFAULT;
  private I2sLayout i2s = I2sLayout.AUTO;
  private String chatTemplate;
  private Activation activation = Activation.DEFAULT;
  private Progress progress;
  private Log log;

  /** The kernel set, one of {@link Bitnet#isaNames()}. Null: the fastest. */
  public OpenOptions isa(String name) {
    isa = name;
    return this;
  }

  /** Checks every tensor's checksum, which reads the whole file. */
  public OpenOptions verify(boolean on) {
    verify = on;
    return this;
  }

  /** Of a GGUF file, which is packed in memory while it is opened. Null: {@link Packing#DEFAULT}. */
  public OpenOptions packing(Packing packing) {
    this.packing = Text.or(packing, Packing.DEFAULT);
    return this;
  }

  /** Of a GGUF file. Null: {@link Head#DEFAULT}. */
  public OpenOptions head(Head head) {
    this.head = Text.or(head, Head.DEFAULT);
    return this;
  }

  /** Of a GGUF file. Null: {@link I2sLayout#AUTO}. */
  public OpenOptions i2s(I2sLayout layout) {
    i2s = Text.or(layout, I2sLayout.AUTO);
    return this;
  }

  /**
   * In place of the file's chat template: the name of a known template (see {@link Bitnet#chatTemplateNames()}),
   * Jinja source (whatever contains "{{" or "{%"), or else the path of a file that holds it. Null: the file's own, or the
   * right one where the file's is a known mistake.
   */
  public OpenOptions chatTemplate(String template) {
    chatTemplate = template;
    return this;
  }

  /** The same from a file of the default file system, in UTF-8. */
  public OpenOptions chatTemplateFile(Path path) {
    return chatTemplate(Text.templateFile(path));
  }

  /** For files that do not name it. Null: {@link Activation#DEFAULT}. */
  public OpenOptions activation(Activation activation) {
    this.activation = Text.or(activation, Activation.DEFAULT);
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
    if (chatTemplate != null) options.set_chat_template(Text.encode(chatTemplate, "chatTemplate"));
    options.setActivation(activation.value);
    if (isa != null) options.set_isa(Text.encode(isa, "isa"));
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
