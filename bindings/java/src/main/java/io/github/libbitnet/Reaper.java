// SPDX-License-Identifier: MIT
package io.github.libbitnet;

import java.lang.ref.PhantomReference;
import java.lang.ref.ReferenceQueue;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.LongConsumer;

/**
 * Deletes C++ objects after their Java objects are gone. What java.lang.ref.Cleaner does, which Android has only since
 * API level 33. {@code close()} methods free memory at once; the shells that stay behind, and what nobody closed, end
 * here.
 */
final class Reaper extends PhantomReference<Object> {
  private static final ReferenceQueue<Object> GONE = new ReferenceQueue<>();
  private static final Set<Reaper> WATCHED = ConcurrentHashMap.newKeySet();

  static {
    Thread thread = new Thread(Reaper::reap, "bitnet-reaper");
    thread.setDaemon(true);
    thread.setContextClassLoader(null);
    thread.start();
  }

  private final long pointer;
  private final LongConsumer delete;

  private Reaper(Object owner, long pointer, LongConsumer delete) {
    super(owner, GONE);
    this.pointer = pointer;
    this.delete = delete;
  }

  static void watch(Object owner, long pointer, LongConsumer delete) {
    WATCHED.add(new Reaper(owner, pointer, delete));
  }

  private static void reap() {
    while (true) {
      try {
        Reaper reaper = (Reaper) GONE.remove();
        WATCHED.remove(reaper);
        reaper.delete.accept(reaper.pointer);
      } catch (InterruptedException e) {
        // Nobody has a reason to interrupt this thread, which serves all.
      }
    }
  }
}
