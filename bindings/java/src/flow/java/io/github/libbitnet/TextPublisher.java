// SPDX-License-Identifier: MIT
package io.github.libbitnet;

import java.util.Objects;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Flow;

/**
 * The pieces of a {@link Generation} as a reactive stream: no thread waits for them, each is computed when the subscriber
 * has asked for it, and cancelling the subscription cancels the generation. There is one text, and so one subscriber.
 */
public final class TextPublisher implements Flow.Publisher<String> {
  private final Generation generation;
  private boolean subscribed; // guarded by this

  /** What is left of the text. */
  public TextPublisher(Generation generation) {
    this.generation = Objects.requireNonNull(generation, "generation");
  }

  @Override
  public void subscribe(Flow.Subscriber<? super String> subscriber) {
    Objects.requireNonNull(subscriber, "subscriber");
    boolean first;
    synchronized (this) {
      first = !subscribed;
      subscribed = true;
    }
    Delivery delivery = new Delivery(generation, subscriber, first);
    subscriber.onSubscribe(delivery);
    if (first) {
      delivery.open();
    } else {
      subscriber.onError(new IllegalStateException("the text has a subscriber already"));
    }
  }

  private static final class Delivery implements Flow.Subscription {
    private final Generation generation;
    private final Flow.Subscriber<? super String> subscriber;
    // Guarded by this:
    private long demand;
    private boolean open; // since onSubscribe has returned
    private boolean delivering; // a piece is under way
    private boolean over;

    Delivery(Generation generation, Flow.Subscriber<? super String> subscriber, boolean first) {
      this.generation = generation;
      this.subscriber = subscriber;
      over = !first;
    }

    void open() {
      synchronized (this) {
        open = true;
      }
      deliver();
    }

    @Override
    public void request(long count) {
      synchronized (this) {
        if (over) return;
        if (count > 0) demand = demand + count < 0 ? Long.MAX_VALUE : demand + count;
      }
      if (count > 0) {
        deliver();
      } else {
        end(() -> subscriber.onError(new IllegalArgumentException("a subscriber asked for " + count + " pieces")));
      }
    }

    @Override
    public void cancel() {
      end(() -> {});
    }

    /** Has the next piece computed, if one is wanted and none is under way. */
    private void deliver() {
      synchronized (this) {
        if (!open || over || delivering || demand == 0) return;
        delivering = true;
        if (demand != Long.MAX_VALUE) demand--;
      }
      generation.nextAsync().whenCompleteAsync(this::take);
    }

    private void take(String text, Throwable error) {
      boolean cancelled;
      synchronized (this) {
        delivering = false;
        cancelled = over;
      }
      if (cancelled) {
        generation.close();
      } else if (error != null) {
        Throwable cause = error instanceof CompletionException ? error.getCause() : error;
        end(() -> subscriber.onError(cause));
      } else if (text == null) {
        end(subscriber::onComplete);
      } else {
        subscriber.onNext(text);
        deliver();
      }
    }

    /** Says the last thing, once. The session is then free for others, or as soon as the piece under way has been left. */
    private void end(Runnable last) {
      boolean idle;
      synchronized (this) {
        if (over) return;
        over = true;
        idle = !delivering;
      }
      generation.cancel();
      if (idle) generation.close();
      last.run();
    }
  }
}
