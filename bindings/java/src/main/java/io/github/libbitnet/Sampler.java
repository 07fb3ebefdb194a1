// SPDX-License-Identifier: MIT
package io.github.libbitnet;

import java.util.Objects;

/** Turns logits into a token. Holds the random state. */
public final class Sampler implements AutoCloseable {
  private final NativeSampler object;
  private volatile boolean closed;

  /** One that chooses the most likely token. */
  public Sampler() {
    this(new SamplerOptions());
  }

  /** A sampler of these options, or null. */
  public Sampler(SamplerOptions options) {
    NativeLibrary.load();
    object = new NativeSampler(Text.or(options, new SamplerOptions()).toNative());
  }

  /** Starts the random numbers over. */
  public void reseed(long seed) {
    object.reseed(seed);
  }

  /** A token drawn from the session's last logits, whose tokens are the recent ones. It is not evaluated. */
  public int sample(Session session) {
    return Objects.requireNonNull(session, "session").object.sample(object);
  }

  /** The same from logits of your own, and the recent tokens, of which the last is the newest. */
  public int sample(float[] logits, int... recent) {
    return object.sample_logits(Objects.requireNonNull(logits, "logits"), Objects.requireNonNull(recent, "recent"));
  }

  @Override
  public void close() {
    closed = true;
    object.close();
  }

  @Override
  public String toString() {
    return closed ? "Sampler[closed]" : "Sampler[open]";
  }
}
