// SPDX-License-Identifier: MIT
package io.github.libbitnet.tests;

import static io.github.libbitnet.tests.Fixtures.MODEL;
import static io.github.libbitnet.tests.Fixtures.PROMPT;
import static io.github.libbitnet.tests.Fixtures.assertStatus;
import static io.github.libbitnet.tests.Fixtures.golden;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.libbitnet.BitnetException;
import io.github.libbitnet.Engine;
import io.github.libbitnet.EngineOptions;
import io.github.libbitnet.Finish;
import io.github.libbitnet.GenerateOptions;
import io.github.libbitnet.Generation;
import io.github.libbitnet.Model;
import io.github.libbitnet.SamplerOptions;
import io.github.libbitnet.Session;
import io.github.libbitnet.SessionOptions;
import io.github.libbitnet.Status;
import io.github.libbitnet.TextPublisher;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Flow;
import java.util.concurrent.TimeUnit;
import java.util.function.BiConsumer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Generations that no thread waits for: as futures, and as publishers. */
class AsyncTest {
  private static Model model;
  private static Engine engine;

  @BeforeAll
  static void open() {
    model = Model.open(MODEL);
    engine = model.engine(new EngineOptions().threads(1));
  }

  @AfterAll
  static void close() {
    engine.close();
    model.close();
  }

  private static GenerateOptions tokens(int count) {
    return new GenerateOptions().maxTokens(count);
  }

  private static int[] longPrompt() {
    return Arrays.copyOf(model.tokenize(String.join("", Collections.nCopies(2500, PROMPT))), 19000);
  }

  private static Session longSession() {
    return engine.session(new SessionOptions().context(20000));
  }

  /** All of the text, when it has ended. */
  private static CompletableFuture<String> read(Generation generation, String before) {
    return generation.nextAsync().thenCompose(piece ->
        piece == null ? CompletableFuture.completedFuture(before) : read(generation, before + piece));
  }

  /** Asks for pieces as it is told to, and remembers what comes. */
  private static final class Reader implements Flow.Subscriber<String> {
    final long first;
    final long then;
    final StringBuffer text = new StringBuffer();
    final CountDownLatch over = new CountDownLatch(1);
    final CountDownLatch begun = new CountDownLatch(1);
    volatile Flow.Subscription subscription;
    volatile Throwable error;
    volatile int pieces;

    Reader(long first, long then) {
      this.first = first;
      this.then = then;
    }

    @Override
    public void onSubscribe(Flow.Subscription given) {
      subscription = given;
      if (first != 0) given.request(first);
    }

    @Override
    public void onNext(String piece) {
      text.append(piece);
      pieces++;
      begun.countDown();
      if (then != 0) subscription.request(then);
    }

    @Override
    public void onError(Throwable e) {
      error = e;
      over.countDown();
    }

    @Override
    public void onComplete() {
      over.countDown();
    }

    void await() throws InterruptedException {
      assertTrue(over.await(100, TimeUnit.SECONDS));
    }
  }

  @Test
  void futuresGiveWhatALoopDoes() throws Exception {
    try (Session session = engine.session()) {
      Generation generation = session.generate(PROMPT, tokens(100));
      assertEquals(golden(), read(generation, "").get());
      assertEquals(Finish.MAX_TOKENS, generation.finish());
      assertEquals(100, generation.tokens().length);
      assertNull(generation.nextAsync().get());
    }
  }

  @Test
  void formsMayAlternate() throws Exception {
    try (Session session = engine.session()) {
      Generation generation = session.generate(PROMPT, tokens(100));
      assertTrue(generation.iterator().hasNext());
      String text = generation.nextAsync().get() + generation.iterator().next() + generation.nextAsync().get();
      assertEquals(golden(), text + generation.readAll());
    }
  }

  @Test
  void manyAtOnceWriteWhatEachDoesAlone() {
    List<String> expected = new ArrayList<>();
    List<Session> sessions = new ArrayList<>();
    List<CompletableFuture<String>> texts = new ArrayList<>();
    for (int i = 0; i < 24; i++) {
      GenerateOptions options = tokens(10 + i).sampler(new SamplerOptions().temperature(0.8f).seed(i));
      String prompt = "It was the " + i + "th morning, and";
      try (Session session = engine.session(new SessionOptions().context(128))) {
        expected.add(session.generate(prompt, options).readAll());
      }
      sessions.add(engine.session(new SessionOptions().context(128)));
      texts.add(read(sessions.get(i).generate(prompt, options), ""));
    }
    for (int i = 0; i < 24; i++) assertEquals(expected.get(i), texts.get(i).join());
    sessions.forEach(Session::close);
  }

  @Test
  void cancellingTheFutureCancelsTheGeneration() throws Exception {
    try (Session session = longSession()) {
      Generation generation = session.generate(longPrompt());
      CompletableFuture<String> next = generation.nextAsync();
      Thread.sleep(50);
      assertFalse(next.isDone());
      next.cancel(false);
      assertStatus(Status.CANCELLED, () -> generation.iterator().next());
      session.rewind(0);
      session.eval(1, 2, 3);
      assertEquals(3, session.position());
    }
  }

  @Test
  void otherMeansCancelAsWell() throws Exception {
    List<BiConsumer<Session, Generation>> means = Arrays.asList((session, generation) -> generation.cancel(),
        (session, generation) -> generation.close(), (session, generation) -> session.close(),
        (session, generation) -> session.rewind(0));
    for (int i = 0; i < means.size(); i++) {
      try (Session session = longSession()) {
        Generation generation = session.generate(longPrompt());
        CompletableFuture<String> next = generation.nextAsync();
        Thread.sleep(50);
        means.get(i).accept(session, generation);
        ExecutionException e = assertThrows(ExecutionException.class, next::get);
        BitnetException cause = assertInstanceOf(BitnetException.class, e.getCause());
        assertEquals(i < 3 ? Status.CANCELLED : Status.ARGUMENT, cause.status(), cause.getMessage());
      }
    }
  }

  @Test
  void errorsCompleteTheFuture() {
    try (Session session = engine.session(new SessionOptions().context(8))) {
      Generation generation = session.generate(PROMPT + PROMPT + PROMPT);
      CompletionException e = assertThrows(CompletionException.class, () -> generation.nextAsync().join());
      assertEquals(Status.CONTEXT, assertInstanceOf(BitnetException.class, e.getCause()).status());
    }
  }

  @Test
  void publishersGiveWhatALoopDoes() throws Exception {
    for (long[] demand : new long[][] {{Long.MAX_VALUE, 0}, {1, 1}, {3, 2}}) {
      try (Session session = engine.session()) {
        Reader reader = new Reader(demand[0], demand[1]);
        new TextPublisher(session.generate(PROMPT, tokens(100))).subscribe(reader);
        reader.await();
        assertNull(reader.error);
        assertEquals(golden(), reader.text.toString());
      }
    }
  }

  @Test
  void publishersComputeNoMoreThanIsAskedFor() throws Exception {
    try (Session session = engine.session()) {
      Reader reader = new Reader(0, 0);
      new TextPublisher(session.generate(PROMPT, tokens(100))).subscribe(reader);
      Thread.sleep(50);
      assertEquals(0, session.position());
      reader.subscription.request(2);
      assertTrue(reader.begun.await(100, TimeUnit.SECONDS));
      for (int i = 0; i < 1000 && reader.pieces < 2; i++) Thread.sleep(10);
      Thread.sleep(50);
      assertEquals(2, reader.pieces);
      reader.subscription.request(Long.MAX_VALUE);
      reader.await();
      assertEquals(golden(), reader.text.toString());
    }
  }

  @Test
  void cancellingASubscriptionFreesTheSession() throws Exception {
    try (Session session = longSession()) {
      Reader reader = new Reader(1, 1);
      Generation generation = session.generate(longPrompt());
      new TextPublisher(generation).subscribe(reader);
      Thread.sleep(50);
      reader.subscription.cancel();
      reader.subscription.cancel();
      reader.subscription.request(1);
      session.rewind(0);
      session.fork().close();
      assertEquals(0, reader.pieces);
      assertFalse(reader.over.await(50, TimeUnit.MILLISECONDS));
    }
  }

  @Test
  void wrongUsesOfAPublisherAreErrors() throws Exception {
    try (Session session = engine.session()) {
      TextPublisher publisher = new TextPublisher(session.generate(PROMPT, tokens(3)));
      Reader first = new Reader(0, 0);
      publisher.subscribe(first);
      Reader second = new Reader(1, 1);
      publisher.subscribe(second);
      second.await();
      assertInstanceOf(IllegalStateException.class, second.error);
      first.subscription.request(-1);
      first.await();
      assertInstanceOf(IllegalArgumentException.class, first.error);
      assertThrows(NullPointerException.class, () -> publisher.subscribe(null));
    }
    try (Session small = engine.session(new SessionOptions().context(8))) {
      Reader third = new Reader(1, 1);
      new TextPublisher(small.generate(PROMPT + PROMPT + PROMPT)).subscribe(third);
      third.await();
      assertEquals(Status.CONTEXT, assertInstanceOf(BitnetException.class, third.error).status());
    }
  }
}
