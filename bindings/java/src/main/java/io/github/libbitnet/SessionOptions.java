// SPDX-License-Identifier: MIT
package io.github.libbitnet;

/** How a session computes; 0 everywhere is the default. */
public final class SessionOptions {
  private int context;
  private int threads;
  private int batch;
  private Kv kv = Kv.DEFAULT;
  private int generationThreads;

  /** Tokens it can hold; 0: what the model was trained for, at most 8192. */
  public SessionOptions context(int tokens) {
    context = Text.count(tokens, "context");
    return this;
  }

  /** Threads that compute, the calling one included; 0: one per physical core. */
  public SessionOptions threads(int count) {
    threads = Text.count(count, "threads");
    return this;
  }

  /** Tokens of a prompt that are computed together; 0: 256. */
  public SessionOptions batch(int tokens) {
    batch = Text.count(tokens, "batch");
    return this;
  }

  /** How keys and values are kept. Null: {@link Kv#DEFAULT}. */
  public SessionOptions kv(Kv kv) {
    this.kv = Text.or(kv, Kv.DEFAULT);
    return this;
  }

  /** Of the threads, those that compute a token by itself; 0: as many as turn out fastest. */
  public SessionOptions generationThreads(int count) {
    generationThreads = Text.count(count, "generationThreads");
    return this;
  }

  NativeSessionOptions toNative() {
    NativeSessionOptions options = new NativeSessionOptions();
    options.setContext(context);
    options.setThreads(threads);
    options.setBatch(batch);
    options.setKv(kv.value);
    options.setGeneration_threads(generationThreads);
    return options;
  }
}
