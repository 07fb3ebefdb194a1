// SPDX-License-Identifier: MIT
package io.github.libbitnet;

import java.nio.file.Path;

/** How a file is converted. */
public final class ConvertOptions {
  private Packing packing = Packing.DEFAULT;
  private Head head = Head.DEFAULT;
  private I2sLayout i2s = I2sLayout.AUTO;
  private String chatTemplate;
  private Activation activation = Activation.DEFAULT;
  private boolean quantize;
  private int zstdLevel;
  private Progress progress;
  private Log log;

  /** Of the output. Null: {@link Packing#DEFAULT}. */
  public ConvertOptions packing(Packing packing) {
    this.packing = Text.or(packing, Packing.DEFAULT);
    return this;
  }

  /** Of the output. Null: {@link Head#DEFAULT}. */
  public ConvertOptions head(Head head) {
    this.head = Text.or(head, Head.DEFAULT);
    return this;
  }

  /** Of a GGUF file that is read. Null: {@link I2sLayout#AUTO}. */
  public ConvertOptions i2s(I2sLayout layout) {
    i2s = Text.or(layout, I2sLayout.AUTO);
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

  /**
   * Stored in place of the input's chat template: the name of a known template (see {@link Bitnet#chatTemplateNames()}),
   * Jinja source (whatever contains "{{" or "{%"), or else the path of a file that holds it. Null: the file's own, or the
   * right one where the file's is a known mistake.
   */
  public ConvertOptions chatTemplate(String template) {
    chatTemplate = template;
    return this;
  }

  /** The same from a file of the default file system, in UTF-8. */
  public ConvertOptions chatTemplateFile(Path path) {
    return chatTemplate(Text.templateFile(path));
  }

  /** For files that do not name it. Null: {@link Activation#DEFAULT}. */
  public ConvertOptions activation(Activation activation) {
    this.activation = Text.or(activation, Activation.DEFAULT);
    return this;
  }

  /** Null for none. */
  public ConvertOptions progress(Progress progress) {
    this.progress = progress;
    return this;
  }

  /** Null for none. Used during the call. */
  public ConvertOptions log(Log log) {
    this.log = log;
    return this;
  }

  NativeConvertOptions toNative() {
    NativeConvertOptions options = new NativeConvertOptions();
    if (chatTemplate != null) options.set_chat_template(Text.encode(chatTemplate, "chatTemplate"));
    options.setActivation(activation.value);
    options.setPacking(packing.value);
    options.setHead(head.value);
    options.setI2s(i2s.value);
    options.setQuantize(quantize ? 1 : 0);
    options.setZstd_level(zstdLevel);
    return options;
  }

  Listener listener() {
    return new Listener(progress, log);
  }
}
