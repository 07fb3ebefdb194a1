// SPDX-License-Identifier: MIT
package io.github.libbitnet;

import java.util.List;

/**
 * Computes what its sessions ask for at the same time, in one pass over the weights. Made by {@link Model#engine()}, for
 * programs that want another one than the model's own. Sessions that use it keep what they need of it.
 */
public final class Engine implements AutoCloseable {
  private final Model model;
  private final NativeEngine object;
  private volatile boolean closed;

  Engine(Model model, EngineOptions options, Pool pool) {
    this.model = model;
    NativeEngineOptions given = Text.or(options, new EngineOptions()).toNative();
    object = new NativeEngine(model.object, given, pool == null ? null : pool.object);
  }

  /** Of whose sessions it is. */
  public Model model() {
    return model;
  }

  /** An empty session that this engine computes for. */
  public Session session() {
    return session(new SessionOptions());
  }

  /** The same with options, or null. */
  public Session session(SessionOptions options) {
    return model.session(options, object);
  }

  /** Gives memory back that it does not need at the moment: as {@link Model#trim()}. */
  public long trim() {
    return object.trim();
  }

  /** {@link Model#embed(List, EmbedOptions)} by this engine. */
  public float[][] embed(List<String> texts, EmbedOptions options) {
    return model.embed(texts, options, object);
  }

  /** {@link Model#embedBytes(List, EmbedOptions)} by this engine. */
  public byte[][] embedBytes(List<String> texts, EmbedOptions options) {
    return model.embedBytes(texts, options, object);
  }

  @Override
  public void close() {
    closed = true;
    object.close();
  }

  @Override
  public String toString() {
    return "Engine[" + model.name() + (closed ? ", closed]" : "]");
  }
}
