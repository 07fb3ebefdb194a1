// SPDX-License-Identifier: MIT
package io.github.libbitnet;

import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * Text being generated, in pieces of whole characters: a loop, an iterator or a stream over it computes them as they are
 * asked for; {@link #nextAsync()} and, on a JVM, {@code TextPublisher} do without a thread that waits. There is one text,
 * of which each of these takes what the others have left.
 *
 * <p>Changing the session otherwise ends it; who stops early may close it, but need not.
 */
public final class Generation implements Iterable<String>, AutoCloseable {
  private final Session session;
  private final NativeGeneration object;
  private final ReentrantLock stepping = new ReentrantLock(); // which virtual threads wait for without a thread
  private String ready; // the piece that hasNext() found; guarded by stepping
  private volatile Finish finish;
  private int[] tokens = new int[16]; // guarded by this, as is their count, so that looking need not wait for a step
  private int count;

  Generation(Session session, NativeGeneration object) {
    this.session = session;
    this.object = object;
  }

  /** In which it is generated. */
  public Session session() {
    return session;
  }

  /** The pieces from here on. */
  @Override
  public Iterator<String> iterator() {
    return new Iterator<>() {
      @Override
      public boolean hasNext() {
        stepping.lock();
        try {
          if (ready == null) ready = compute();
          return ready != null;
        } finally {
          stepping.unlock();
        }
      }

      @Override
      public String next() {
        stepping.lock();
        try {
          if (!hasNext()) throw new NoSuchElementException("the generation has ended");
          String piece = ready;
          ready = null;
          return piece;
        } finally {
          stepping.unlock();
        }
      }
    };
  }

  /** The pieces from here on. Closing the stream closes this. */
  public Stream<String> stream() {
    int properties = Spliterator.ORDERED | Spliterator.NONNULL;
    return StreamSupport.stream(Spliterators.spliteratorUnknownSize(iterator(), properties), false)
        .onClose(this::close);
  }

  /** All that is left of the text. */
  public String readAll() {
    StringBuilder text = new StringBuilder();
    for (String piece : this) text.append(piece);
    return text.toString();
  }

  /**
   * The next piece, which no thread waits for; null at the end. Any number of generations may be under way. Cancelling the
   * future cancels the generation.
   */
  public CompletableFuture<String> nextAsync() {
    CompletableFuture<String> next = new CompletableFuture<>();
    next.whenComplete((piece, error) -> {
      if (error instanceof CancellationException) cancel();
    });
    String found;
    stepping.lock();
    try {
      found = ready;
      ready = null;
    } finally {
      stepping.unlock();
    }
    if (found != null) {
      next.complete(found);
    } else {
      advance(next);
    }
    return next;
  }

  /** Completes it with the next text that is not empty, or null at the end. */
  private void advance(CompletableFuture<String> next) {
    try {
      if (finish != null) {
        next.complete(null);
      } else {
        Waiting.submit(object).thenRunAsync(() -> complete(next));
      }
    } catch (Throwable e) {
      next.completeExceptionally(e);
    }
  }

  private void complete(CompletableFuture<String> next) {
    try {
      String piece = take();
      if (piece.isEmpty()) {
        advance(next);
      } else {
        next.complete(piece);
      }
    } catch (Throwable e) {
      next.completeExceptionally(e);
    }
  }

  /** The next text that is not empty, or null at the end. */
  private String compute() {
    boolean virtual = isVirtual(Thread.currentThread());
    while (finish == null) {
      if (virtual) await();
      String piece = take();
      if (!piece.isEmpty()) return piece;
    }
    return null;
  }

  /** Until the next token is there: a virtual thread leaves its carrier to others, which it could not within a native call. */
  private void await() {
    try {
      Waiting.submit(object).get();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      object.cancel();
    } catch (ExecutionException e) {
      throw new AssertionError(e);
    }
  }

  /** The text of the next token. */
  private String take() {
    Piece piece = object.next();
    if (piece.finish == NativeConstants.BITNET_FINISH_NOT) {
      add(piece.token);
    } else {
      finish = Finish.of(piece.finish);
    }
    return Text.decode(piece.text);
  }

  private static final Method IS_VIRTUAL = findIsVirtual();

  /** Java 21 and newer have it. */
  private static Method findIsVirtual() {
    try {
      return Thread.class.getMethod("isVirtual");
    } catch (NoSuchMethodException e) {
      return null;
    }
  }

  private static boolean isVirtual(Thread thread) {
    try {
      return IS_VIRTUAL != null && (Boolean) IS_VIRTUAL.invoke(thread);
    } catch (ReflectiveOperationException e) {
      return false;
    }
  }

  private synchronized void add(int token) {
    if (count == tokens.length) tokens = Arrays.copyOf(tokens, 2 * count);
    tokens[count++] = token;
  }

  /** The tokens drawn so far. */
  public synchronized int[] tokens() {
    return Arrays.copyOf(tokens, count);
  }

  /** Why the text ended; null while there may be more to come. */
  public Finish finish() {
    return finish;
  }

  /** From any thread: the step under way, or the next one, throws {@link Status#CANCELLED}. */
  public void cancel() {
    object.cancel();
  }

  /** How far it is, for people: at once, whatever the session is doing. */
  @Override
  public String toString() {
    int drawn;
    synchronized (this) {
      drawn = count;
    }
    Finish reason = finish;
    return "Generation[" + drawn + " tokens" + (reason == null ? "]" : ", " + reason + "]");
  }

  /** Ends it here. The session keeps what has been evaluated. */
  @Override
  public void close() {
    object.close();
  }
}
