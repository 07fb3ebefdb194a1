// SPDX-License-Identifier: MIT
package io.github.libbitnet;

import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/** How futures wait for pieces of text: one thread does it for all of them. It ends when nobody has waited for a while. */
final class Waiting {
  private static final int IDLE_MILLISECONDS = 500;
  // Guarded by itself, as are the others.
  private static final Map<Long, CompletableFuture<Void>> WAITING = new HashMap<>();
  private static NativeQueue queue;
  private static long last;

  private Waiting() {}

  /** What is complete when the generation's next piece is there, its end or an error. */
  static CompletableFuture<Void> submit(NativeGeneration generation) {
    CompletableFuture<Void> ready = new CompletableFuture<>();
    NativeQueue to;
    long number;
    synchronized (WAITING) {
      if (queue == null) {
        queue = new NativeQueue();
        start(queue);
      }
      to = queue;
      number = ++last;
      WAITING.put(number, ready);
    }
    try {
      generation.submit(to, number);
    } catch (Throwable e) {
      synchronized (WAITING) {
        WAITING.remove(number);
      }
      throw e;
    }
    return ready;
  }

  private static void start(NativeQueue own) {
    Thread thread = new Thread(() -> run(own), "bitnet-waiting");
    thread.setDaemon(true);
    thread.setContextClassLoader(null);
    thread.start();
  }

  private static void run(NativeQueue own) {
    while (true) {
      long number = own.next(IDLE_MILLISECONDS);
      CompletableFuture<Void> ready;
      synchronized (WAITING) {
        if (number == 0 && WAITING.isEmpty()) {
          queue = null;
          return;
        }
        ready = WAITING.remove(number);
      }
      if (ready != null) ready.complete(null); // or it has been told already
    }
  }
}
