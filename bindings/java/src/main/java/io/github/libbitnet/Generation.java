// SPDX-License-Identifier: MIT
package io.github.libbitnet;

import java.util.Arrays;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * Text being generated, in pieces of whole characters: a loop, an iterator or a stream over it computes them as they are
 * asked for. There is one text, of which each of these takes what the others have left.
 *
 * <p>Changing the session otherwise ends it; who stops early may close it, but need not.
 */
public final class Generation implements Iterable<String>, AutoCloseable {
  private final Session session;
  private final NativeGeneration object;
  private final Object stepping = new Object();
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
        synchronized (stepping) {
          if (ready == null) ready = compute();
          return ready != null;
        }
      }

      @Override
      public String next() {
        synchronized (stepping) {
          if (!hasNext()) throw new NoSuchElementException("the generation has ended");
          String piece = ready;
          ready = null;
          return piece;
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

  /** The next text that is not empty, or null at the end. */
  private String compute() {
    while (finish == null) {
      Piece piece = object.next();
      if (piece.finish == NativeConstants.BITNET_FINISH_NOT) {
        add(piece.token);
      } else {
        finish = Finish.of(piece.finish);
      }
      if (piece.text.length > 0) return Text.decode(piece.text);
    }
    return null;
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
