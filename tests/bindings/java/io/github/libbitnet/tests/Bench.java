// SPDX-License-Identifier: MIT
package io.github.libbitnet.tests;

import io.github.libbitnet.BitnetException;
import io.github.libbitnet.Cancel;
import io.github.libbitnet.Engine;
import io.github.libbitnet.EngineOptions;
import io.github.libbitnet.GenerateOptions;
import io.github.libbitnet.LogitsOf;
import io.github.libbitnet.Model;
import io.github.libbitnet.Perf;
import io.github.libbitnet.Session;
import io.github.libbitnet.SessionOptions;
import java.util.Arrays;
import java.util.function.ToDoubleFunction;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;

/** What tests/bindings/overhead.c measures, in Java: Bench MODEL. */
final class Bench {
  private Bench() {}

  private static double position(Session session) {
    int count = 1000000;
    long start = System.nanoTime();
    for (int i = 0; i < count; i++) session.position();
    return (System.nanoTime() - start) / (double) count;
  }

  private static double detokenize(Session session) {
    int count = 100000;
    int[] tokens = {300};
    Model model = session.model();
    long start = System.nanoTime();
    for (int i = 0; i < count; i++) model.detokenize(tokens);
    return (System.nanoTime() - start) / (double) count;
  }

  private static double token(Session session) {
    session.rewind(0);
    session.resetPerf();
    long start = System.nanoTime();
    int count = 0;
    for (String text : session.generate(Fixtures.PROMPT, new GenerateOptions().maxTokens(200).ignoreEnd(true))) {
      count += text.length();
    }
    long wall = System.nanoTime() - start;
    Perf perf = session.perf();
    if (count == 0) throw new AssertionError("no text");
    long within = perf.promptTime().plus(perf.generatedTime()).plus(perf.sampleTime()).toNanos();
    return (wall - within) / (double) perf.sampledTokens();
  }

  private static double cancel(Session session) {
    int[] prompt = new int[session.context()];
    Arrays.fill(prompt, 5);
    session.rewind(0);
    Cancel cancel = new Cancel();
    long[] asked = new long[1];
    new Thread(() -> {
      try {
        Thread.sleep(200);
      } catch (InterruptedException e) {
        throw new AssertionError(e);
      }
      asked[0] = System.nanoTime();
      cancel.request();
    }).start();
    try {
      session.eval(prompt, LogitsOf.LAST, cancel);
    } catch (BitnetException e) {
      return System.nanoTime() - asked[0];
    }
    throw new AssertionError("the prompt was too short");
  }

  private static DoubleStream rounds(ToDoubleFunction<Session> measure, Session session) {
    return IntStream.range(0, 10).mapToDouble(i -> measure.applyAsDouble(session));
  }

  public static void main(String[] args) {
    SessionOptions options = new SessionOptions().context(16384);
    try (Model model = Model.open(args[0]); Engine engine = model.engine(new EngineOptions().threads(1));
        Session session = engine.session(options)) {
      System.out.printf("position %.0f%n", rounds(Bench::position, session).min().getAsDouble());
      System.out.printf("detokenize %.0f%n", rounds(Bench::detokenize, session).min().getAsDouble());
      System.out.printf("token %.0f%n", rounds(Bench::token, session).min().getAsDouble());
      System.out.printf("cancel %.0f%n", rounds(Bench::cancel, session).max().getAsDouble());
    }
  }
}
