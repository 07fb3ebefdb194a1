// SPDX-License-Identifier: MIT
package io.github.libbitnet;

import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;

/** One sequence of tokens with its KV cache and its last logits. Made by {@link Model#session()}. */
public final class Session implements AutoCloseable {
  final NativeSession object;
  private final Model model;

  Session(Model model, NativeSession object) {
    this.model = model;
    this.object = object;
  }

  /** Whose session it is. */
  public Model model() {
    return model;
  }

  /** Cancels what another thread is doing with the session, then frees it. */
  @Override
  public void close() {
    object.close();
  }

  /** The number of tokens evaluated so far. */
  public int position() {
    return object.position();
  }

  /** The number of tokens that fit. */
  public int context() {
    return object.context();
  }

  /** The tokens evaluated so far. */
  public int[] tokens() {
    return object.tokens();
  }

  /** Goes on from the session's tokens and a prompt. Nothing is evaluated until the first piece is asked for. */
  public Generation generate(String prompt) {
    return generate(prompt, new GenerateOptions());
  }

  /** The same with options, or null. */
  public Generation generate(String prompt, GenerateOptions options) {
    return new Generation(this, object.generate(Text.encode(prompt, "prompt"), toNative(options, 0)));
  }

  /** Goes on from the session's tokens and a prompt of tokens, to which nothing is added. */
  public Generation generate(int[] prompt) {
    return generate(prompt, new GenerateOptions());
  }

  /** The same with options, or null. */
  public Generation generate(int[] prompt, GenerateOptions options) {
    return generate(prompt, options, 0);
  }

  private Generation generate(int[] prompt, GenerateOptions options, int flags) {
    Objects.requireNonNull(prompt, "prompt");
    return new Generation(this, object.generate_tokens(prompt, toNative(options, flags)));
  }

  private static NativeGenerateOptions toNative(GenerateOptions options, int flags) {
    return Text.or(options, new GenerateOptions()).toNative(flags);
  }

  /**
   * The assistant's answer to a conversation, given whole each time; what the session holds of it is kept. Control tokens
   * are those of the model's template alone, whatever the contents spell (see {@link GenerateOptions#trust}). The model must
   * still be open.
   */
  public Generation chat(List<Message> messages) {
    return chat(messages, new GenerateOptions());
  }

  /** The same with options, or null. */
  public Generation chat(List<Message> messages, GenerateOptions options) {
    boolean trust = options != null && options.trust();
    return generate(model.chatTokenize(messages, true, trust), options, NativeConstants.BITNET_GENERATE_WHOLE);
  }

  /** Appends tokens and computes their keys and values, and the logits of the last one. */
  public void eval(int... tokens) {
    eval(tokens, LogitsOf.LAST);
  }

  /** The same with the logits of the last token, of all or of none. */
  public void eval(int[] tokens, LogitsOf logits) {
    eval(tokens, logits, null);
  }

  /** The same with a way to cancel it, or null. If it fails the session is as before. */
  public void eval(int[] tokens, LogitsOf logits, Cancel cancel) {
    Objects.requireNonNull(tokens, "tokens");
    Objects.requireNonNull(logits, "logits");
    object.eval(tokens, logits.value, cancel == null ? null : cancel.object);
  }

  /** The logits of the token evaluated last: one for each of the vocabulary. */
  public float[] logits() {
    return logits(0);
  }

  /** Of an evaluation with {@link LogitsOf#ALL}: the logits of its token {@code row}. */
  public float[] logits(int row) {
    return object.logits(Text.count(row, "row"));
  }

  /** Forgets all tokens from {@code position} on. */
  public void rewind(int position) {
    object.rewind(Text.count(position, "position"));
  }

  /** A second session with the same tokens, KV cache and options. Its engine is that of this one. */
  public Session fork() {
    return new Session(model, object.fork());
  }

  /** Writes tokens and KV cache to a file. */
  public void save(String path) {
    object.save(Text.encode(path, "path"));
  }

  /** The same by a path of the default file system. */
  public void save(Path path) {
    save(Objects.requireNonNull(path, "path").toString());
  }

  /** Reads what {@link #save(String)} wrote, into a session of the same model, replacing what it holds. */
  public void load(String path) {
    object.load(Text.encode(path, "path"));
  }

  /** The same by a path of the default file system. */
  public void load(Path path) {
    load(Objects.requireNonNull(path, "path").toString());
  }

  /** Tokens and KV cache as bytes. */
  public byte[] saveBytes() {
    return object.save_memory();
  }

  /** Reads what {@link #saveBytes} gave. */
  public void loadBytes(byte[] data) {
    object.load_memory(Text.direct(ByteBuffer.wrap(Objects.requireNonNull(data, "data"))));
  }

  /** Counters since the session was made or they were last reset. */
  public Perf perf() {
    return new Perf(object.perf());
  }

  /** Starts the counters over. */
  public void resetPerf() {
    object.reset_perf();
  }

  /** What it is and how full, for people: at once, whatever the session is doing. */
  @Override
  public String toString() {
    return "Session[" + model.name() + ", " + Text.decode(object.describe()) + "]";
  }
}
