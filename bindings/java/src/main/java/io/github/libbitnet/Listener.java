// SPDX-License-Identifier: MIT
package io.github.libbitnet;

/**
 * Calls the user's functions from C++, through which no exception can pass: it cancels the call under way, and is thrown
 * when that is back.
 */
final class Listener extends NativeListener {
  private final Progress progress;
  private final Log log;
  private volatile Throwable failure;

  Listener(Progress progress, Log log) {
    this.progress = progress;
    this.log = log;
  }

  @Override
  public boolean progress(long done, long total) {
    try {
      return failure == null && (progress == null || progress.update(done, total));
    } catch (Throwable e) {
      failure = e;
      return false;
    }
  }

  @Override
  public void log(int level, byte[] message) {
    try {
      if (log != null) log.line(LogLevel.of(level), Text.decode(message));
    } catch (Throwable e) {
      failure = e;
    }
  }

  /** Makes a call that this listens to. */
  void during(Runnable call) {
    try {
      call.run();
    } catch (BitnetException e) {
      if (failure == null) throw e;
    }
    if (failure != null) Listener.<RuntimeException>rethrow(failure);
  }

  /** Callbacks declare no checked exceptions, but other languages of the JVM throw them all the same. */
  @SuppressWarnings("unchecked")
  private static <E extends Throwable> void rethrow(Throwable e) throws E {
    throw (E) e;
  }
}
