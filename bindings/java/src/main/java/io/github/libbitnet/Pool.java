// SPDX-License-Identifier: MIT
package io.github.libbitnet;

/**
 * Threads that compute, which engines of several models may share: they take turns, a pass at a time. Engines that use it
 * keep what they need of it.
 */
public final class Pool implements AutoCloseable {
  final NativePool object;
  private volatile boolean closed;

  /** One thread for each physical core. */
  public Pool() {
    this(new PoolOptions());
  }

  /** A pool of these options, or null. */
  public Pool(PoolOptions options) {
    NativeLibrary.load();
    object = new NativePool(Text.or(options, new PoolOptions()).toNative());
  }

  @Override
  public void close() {
    closed = true;
    object.close();
  }

  @Override
  public String toString() {
    return closed ? "Pool[closed]" : "Pool[open]";
  }
}
