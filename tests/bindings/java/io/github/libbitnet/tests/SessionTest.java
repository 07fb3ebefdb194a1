// SPDX-License-Identifier: MIT
package io.github.libbitnet.tests;

import static io.github.libbitnet.tests.Fixtures.CHAT_MODEL;
import static io.github.libbitnet.tests.Fixtures.MODEL;
import static io.github.libbitnet.tests.Fixtures.PROMPT;
import static io.github.libbitnet.tests.Fixtures.assertSays;
import static io.github.libbitnet.tests.Fixtures.assertStatus;
import static io.github.libbitnet.tests.Fixtures.golden;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import io.github.libbitnet.Batch;
import io.github.libbitnet.Cancel;
import io.github.libbitnet.Engine;
import io.github.libbitnet.EngineOptions;
import io.github.libbitnet.Finish;
import io.github.libbitnet.GenerateOptions;
import io.github.libbitnet.Generation;
import io.github.libbitnet.Kv;
import io.github.libbitnet.LogitsOf;
import io.github.libbitnet.Model;
import io.github.libbitnet.Pool;
import io.github.libbitnet.PoolOptions;
import io.github.libbitnet.Priority;
import io.github.libbitnet.Sampler;
import io.github.libbitnet.SamplerOptions;
import io.github.libbitnet.Session;
import io.github.libbitnet.SessionOptions;
import io.github.libbitnet.Status;
import io.github.libbitnet.TextOption;
import io.github.libbitnet.tests.Fixtures.InAMoment;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/** Sessions: evaluation, sampling, generation, state, threads, cancellation, wrong use. */
class SessionTest {
  private static Model model;
  private Session session;

  @BeforeAll
  static void open() {
    model = Model.open(MODEL);
  }

  @AfterAll
  static void close() {
    model.close();
  }

  @BeforeEach
  void start() {
    session = Fixtures.session(model);
  }

  @AfterEach
  void end() {
    session.close();
  }

  private static GenerateOptions tokens(int count) {
    return new GenerateOptions().maxTokens(count);
  }

  private static int[] promptTokens() {
    return IntStream.concat(IntStream.of(model.info().bos().getAsInt()), IntStream.of(model.tokenize(PROMPT)))
        .toArray();
  }

  /** A session for more tokens than it computes in a second. */
  private static Session longSession() {
    return Fixtures.session(model, new SessionOptions().context(20000));
  }

  private static int[] longPrompt() {
    return Arrays.copyOf(model.tokenize(String.join("", Collections.nCopies(2500, PROMPT))), 19000);
  }

  @Test
  void generatesWhatCDoes() throws IOException {
    Generation generation = session.generate(PROMPT, tokens(100));
    assertNull(generation.finish());
    StringBuilder text = new StringBuilder();
    for (String piece : generation) text.append(piece);
    assertEquals(golden(), text.toString());
    assertEquals(Finish.MAX_TOKENS, generation.finish());
    assertEquals(100, generation.tokens().length);
    int[] all = session.tokens();
    assertArrayEquals(Arrays.copyOfRange(all, all.length - 100, all.length), generation.tokens());
    assertThrows(NoSuchElementException.class, () -> generation.iterator().next());
  }

  @Test
  void streams() throws IOException {
    try (Stream<String> pieces = session.generate(PROMPT, tokens(100)).stream()) {
      assertEquals(golden(), pieces.collect(Collectors.joining()));
    }
    Generation generation = session.generate(PROMPT);
    generation.stream().limit(2).close();
    assertStatus(Status.CANCELLED, () -> generation.iterator().next());
  }

  @Test
  void generatesFromTokens() throws IOException {
    assertEquals(golden(), session.generate(promptTokens(), tokens(100)).readAll());
  }

  @Test
  void iteratorsShareOneText() throws IOException {
    Generation generation = session.generate(PROMPT, tokens(100));
    String first = generation.iterator().next();
    Iterator<String> second = generation.iterator();
    assertTrue(second.hasNext() && second.hasNext());
    assertEquals(golden(), first + generation.iterator().next() + generation.readAll());
  }

  private static String sampled(UnaryOperator<SamplerOptions> set) {
    try (Session one = Fixtures.session(model)) {
      return one.generate(PROMPT, tokens(20).sampler(set.apply(new SamplerOptions()))).readAll();
    }
  }

  @Test
  void samplingOptionsArePassedOn() {
    String greedy = sampled(o -> o);
    UnaryOperator<SamplerOptions> hot = o -> o.temperature(1).seed(1);
    assertEquals(sampled(hot), sampled(hot));
    assertNotEquals(sampled(hot), sampled(o -> o.temperature(1).seed(2)));
    assertNotEquals(greedy, sampled(hot));
    assertEquals(greedy, sampled(o -> hot.apply(o).topK(1)));
    assertEquals(greedy, sampled(o -> hot.apply(o).topP(1e-9f)));
    assertEquals(greedy, sampled(o -> hot.apply(o).minP(1)));
    List<UnaryOperator<SamplerOptions>> penalties = Arrays.asList(o -> o.repetitionPenalty(1.9f),
        o -> o.frequencyPenalty(1.9f), o -> o.presencePenalty(1.9f));
    for (UnaryOperator<SamplerOptions> penalty : penalties) {
      assertNotEquals(greedy, sampled(penalty));
      assertNotEquals(sampled(penalty), sampled(o -> penalty.apply(o).penaltyWindow(1)));
    }
    Generation first = session.generate(PROMPT, tokens(1));
    first.readAll();
    assertNotEquals(greedy, sampled(o -> o.logitBias(first.tokens()[0], Float.NEGATIVE_INFINITY)));
    assertSays("temperature", assertStatus(Status.ARGUMENT, () -> sampled(o -> o.temperature(-1))));
    assertThrows(IllegalArgumentException.class, () -> sampled(o -> o.topK(-1)));
  }

  @Test
  void stopStrings() throws IOException {
    Generation generation = session.generate(PROMPT, tokens(100).stop("\n\n").stop("never"));
    assertEquals(golden().split("\n\n")[0], generation.readAll());
    assertEquals(Finish.STOP, generation.finish());
    assertStatus(Status.ARGUMENT, () -> session.generate("a", new GenerateOptions().stop("")));
  }

  @Test
  void flags() {
    int eos = model.info().eos().getAsInt();
    String end = model.detokenize(new int[] {eos}, TextOption.SPECIAL);
    SamplerOptions forced = new SamplerOptions().logitBias(eos, 1000);
    Generation ended = session.generate(PROMPT, tokens(2).sampler(forced));
    assertEquals("", ended.readAll());
    assertEquals(Finish.END_TOKEN, ended.finish());
    int position = session.position();
    GenerateOptions options = tokens(2).sampler(forced).whole(true).ignoreEnd(true).specialOutput(true);
    assertEquals(end + end, session.generate(PROMPT, options).readAll());
    assertEquals(position + 1, session.position());
    session.rewind(0);
    session.generate(end, tokens(1).specialPrompt(true)).readAll();
    assertTrue(IntStream.of(session.tokens()).anyMatch(token -> token == eos));
  }

  @Test
  void evalSampleAndLogits() {
    int[] prompt = promptTokens();
    session.eval(prompt, LogitsOf.ALL);
    float[] last = session.logits(prompt.length - 1);
    assertEquals(4096, last.length);
    int best = IntStream.range(0, last.length).reduce(0, (a, b) -> last[b] > last[a] ? b : a);
    try (Sampler sampler = new Sampler(new SamplerOptions())) {
      assertEquals(best, sampler.sample(session));
      assertEquals(best, sampler.sample(last));
    }
    session.rewind(0);
    session.eval(prompt);
    assertArrayEquals(last, session.logits());
    assertStatus(Status.ARGUMENT, () -> session.logits(1));
    assertEquals(prompt.length, session.position());
    assertArrayEquals(prompt, session.tokens());
  }

  @Test
  void aReseededSamplerRepeatsItself() {
    session.eval(promptTokens());
    try (Sampler sampler = new Sampler(new SamplerOptions().temperature(2).seed(7))) {
      int[] draws = IntStream.range(0, 20).map(i -> sampler.sample(session)).toArray();
      sampler.reseed(7);
      assertArrayEquals(draws, IntStream.range(0, 20).map(i -> sampler.sample(session)).toArray());
    }
  }

  @Test
  void batch() {
    try (Session other = Fixtures.session(model); Session alone = Fixtures.session(model)) {
      new Batch().add(session, 5, 6, 7).add(other, new int[] {5, 6, 8}, LogitsOf.LAST).eval();
      alone.eval(5, 6, 8);
      assertArrayEquals(alone.logits(), other.logits());
      assertEquals(3, session.position());
      assertSays("twice", assertStatus(Status.ARGUMENT, () -> new Batch().add(session, 1).add(session, 1).eval()));
    }
  }

  @Test
  void state(@TempDir Path folder) {
    session.generate(PROMPT, tokens(10)).readAll();
    Path path = folder.resolve("état 🌍.state");
    session.save(path);
    try (Session other = Fixtures.session(model); Session third = Fixtures.session(model); Session fork = session.fork()) {
      other.load(path);
      third.loadBytes(session.saveBytes());
      fork.save(path.toString());
      fork.load(path.toString());
      String rest = session.generate(" and", tokens(20)).readAll();
      for (Session copy : Arrays.asList(other, third, fork)) {
        assertEquals(rest, copy.generate(" and", tokens(20)).readAll());
        assertArrayEquals(session.tokens(), copy.tokens());
      }
    }
    assertStatus(Status.FORMAT, () -> session.loadBytes(new byte[] {1, 2, 3}));
    assertStatus(Status.NOT_FOUND, () -> session.load(folder.resolve("missing")));
    assertStatus(Status.IO, () -> session.save(folder.resolve("missing").resolve("state")));
    try (Model otherModel = Model.open(CHAT_MODEL); Session other = otherModel.session()) {
      other.eval(1);
      assertStatus(Status.MISMATCH, () -> session.loadBytes(other.saveBytes()));
    }
  }

  @Test
  void perf() {
    session.generate(PROMPT, tokens(5)).readAll();
    assertEquals(5, session.perf().sampledTokens());
    assertTrue(session.perf().promptTime().toNanos() > 0);
    session.resetPerf();
    assertEquals(0, session.perf().sampledTokens());
  }

  @Test
  void tooLongAPrompt() {
    SessionOptions small = new SessionOptions().context(8);
    try (Session one = model.session(small)) {
      assertStatus(Status.CONTEXT, () -> one.generate(PROMPT + PROMPT + PROMPT).readAll());
      assertEquals(8, one.context());
    }
    assertTrue(model.sessionMemory(new SessionOptions().context(512)) > model.sessionMemory(small));
    List<Executable> negative = Arrays.asList(() -> new SessionOptions().context(-1), () -> new EngineOptions().threads(-1),
        () -> new EngineOptions().batch(-1), () -> new EngineOptions().generationThreads(-1),
        () -> new EngineOptions().passMs(-1), () -> new PoolOptions().threads(-1));
    for (Executable use : negative) assertThrows(IllegalArgumentException.class, use);
  }

  @Test
  void kindsOfCache() {
    session.eval(1, 2, 3);
    for (Kv kv : Arrays.asList(Kv.INT8, Kv.F16)) {
      try (Session other = Fixtures.session(model, new SessionOptions().kv(kv))) {
        other.eval(1, 2, 3);
        assertFalse(Arrays.equals(session.logits(), other.logits()));
        String name = kv == Kv.INT8 ? "int8" : "f16";
        assertSays(name, assertStatus(Status.MISMATCH, () -> session.loadBytes(other.saveBytes())));
      }
    }
    SessionOptions options = new SessionOptions().context(20000);
    long byDefault = model.sessionMemory(options);
    long f16 = model.sessionMemory(options.kv(Kv.F16));
    assertTrue(model.sessionMemory(options.kv(Kv.INT8)) < 0.6 * f16);
    long int16 = model.sessionMemory(options.kv(Kv.INT16));
    assertEquals(int16, byDefault);
    assertTrue(f16 < int16 && int16 < 1.1 * f16);
  }

  /** The nanoseconds that each thread of this process has computed. */
  private static Map<String, Long> processorTimes() throws IOException {
    Map<String, Long> times = new HashMap<>();
    for (String task : Paths.get("/proc/self/task").toFile().list()) {
      Path file = Paths.get("/proc/self/task", task, "schedstat");
      // A thread may have ended meanwhile.
      if (Files.exists(file)) times.put(task, Long.parseLong(Files.readString(file).split(" ")[0]));
    }
    return times;
  }

  @Test
  void oneThreadGenerates() throws IOException {
    Set<String> others = processorTimes().keySet();
    try (Engine engine = model.engine(new EngineOptions().threads(2).generationThreads(1));
        Session one = engine.session(new SessionOptions().context(600))) {
      Set<String> workers = new HashSet<>(processorTimes().keySet());
      workers.removeAll(others);
      assumeFalse(workers.isEmpty(), "there is one CPU");
      one.eval(1, 2, 3);
      Map<String, Long> before = processorTimes();
      for (int i = 0; i < 500; i++) one.eval(3);
      Map<String, Long> took = processorTimes();
      took.replaceAll((task, time) -> time - before.getOrDefault(task, time));
      long most = Collections.max(took.values());
      for (String task : workers) assertTrue(took.getOrDefault(task, 0L) < most / 2);
    }
  }

  @Test
  void enginesShareAPool() throws IOException {
    String golden = golden();
    try (Pool pool = new Pool(new PoolOptions().threads(2)); Model chat = Model.open(CHAT_MODEL);
        Engine engine = model.engine(new EngineOptions().batch(7), pool); Engine other = chat.engine(null, pool)) {
      Thread writer = new Thread(() -> {
        try (Session one = other.session()) {
          for (int i = 0; i < 50; i++) one.eval(1);
        }
      });
      writer.start();
      IntStream.range(0, 3).parallel().forEach(i -> {
        try (Session one = engine.session()) {
          assertEquals(golden, one.generate(PROMPT, tokens(100)).readAll());
        }
      });
      writer.join();
      assertEquals("Engine[austen]", engine.toString());
      assertEquals("Pool[open]", pool.toString());
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void sessionsOutliveTheirEngineAndEnginesTheirPool() throws IOException {
    Pool pool = new Pool(new PoolOptions().threads(1));
    Engine engine = model.engine(new EngineOptions(), pool);
    pool.close();
    try (Session one = engine.session(new SessionOptions().priority(Priority.BACKGROUND))) {
      engine.close();
      assertEquals(golden(), one.generate(PROMPT, tokens(100)).readAll());
    }
    pool.close();
    engine.close();
    assertSays("the engine is closed", assertStatus(Status.ARGUMENT, engine::session));
    assertSays("the pool is closed", assertStatus(Status.ARGUMENT, () -> model.engine(null, pool)));
    assertEquals("Engine[austen, closed]", engine.toString());
    assertEquals("Pool[closed]", pool.toString());
    assertTrue(model.engineMemory(new EngineOptions().batch(512)) > model.engineMemory(new EngineOptions().batch(8)));
  }

  @Test
  void aBudgetOfKeysAndValues() {
    SessionOptions small = new SessionOptions().context(64).prefixScope(1), large = new SessionOptions().context(128);
    long page = model.sessionMemory(large) - model.sessionMemory(small);
    try (Engine engine = model.engine(new EngineOptions().threads(1).kvBytes(3 * page))) {
      try (Session one = engine.session(small)) {
        assertSays("kv_bytes", assertStatus(Status.MEMORY, () -> engine.session(large)));
        one.eval(IntStream.range(0, 64).toArray());
      }
      assertTrue(engine.trim() > 0);
      assertEquals(0, engine.trim());
    }
    assertStatus(Status.ARGUMENT, () -> model.engine(new EngineOptions().overcommit(true)));
    assertTrue(model.trim() >= 0);
  }

  @Test
  void aSessionIsBusyWhileTextIsGenerated() {
    try (Generation generation = session.generate(PROMPT, tokens(10))) {
      generation.iterator().next();
      assertStatus(Status.BUSY, session::fork);
    }
    session.fork().close();
  }

  @Test
  void threadsShareAModel() throws IOException {
    String golden = golden();
    IntStream.range(0, 4).parallel().forEach(i -> {
      try (Session one = Fixtures.session(model)) {
        assertEquals(golden, one.generate(PROMPT, tokens(100)).readAll());
      }
    });
  }

  @Test
  void threadsShareASession() {
    IntStream.range(0, 80).parallel().forEach(i -> session.eval(3));
    assertEquals(80, session.position());
  }

  @Test
  void cancellingALongPrompt() {
    Cancel cancel = new Cancel();
    int[] prompt = longPrompt();
    try (Session one = longSession()) {
      InAMoment request = new InAMoment(cancel::request);
      assertStatus(Status.CANCELLED, () -> one.eval(prompt, LogitsOf.LAST, cancel));
      request.assertSoon();
      assertTrue(cancel.isRequested());
      assertEquals(0, one.position());
      assertStatus(Status.CANCELLED, () -> one.eval(new int[] {1}, LogitsOf.LAST, cancel));
      one.eval(1, 2, 3);
    }
  }

  @Test
  void cancellingAGeneration() {
    try (Session one = longSession()) {
      Generation generation = one.generate(longPrompt(), tokens(5));
      InAMoment request = new InAMoment(generation::cancel);
      assertStatus(Status.CANCELLED, () -> generation.iterator().next());
      request.assertSoon();
      assertStatus(Status.CANCELLED, () -> generation.iterator().next());
      one.eval(1, 2, 3);
    }
  }

  @Test
  void interruptingAThread() {
    int[] prompt = longPrompt();
    try (Session one = longSession()) {
      Thread me = Thread.currentThread();
      InAMoment request = new InAMoment(me::interrupt);
      assertStatus(Status.CANCELLED, () -> one.eval(prompt));
      request.assertSoon();
      assertTrue(Thread.interrupted(), "the thread stays interrupted");
      one.eval(1, 2, 3);
    }
  }

  @Test
  void closingASessionThatIsAtWork() {
    int[] prompt = longPrompt();
    Session one = longSession();
    InAMoment request = new InAMoment(one::close);
    assertStatus(Status.CANCELLED, () -> one.eval(prompt));
    request.assertSoon();
    assertSays("closed", assertStatus(Status.ARGUMENT, () -> one.eval(1)));
  }

  @Test
  void anExceptionInTheLoopLeavesTheSessionUsable() throws IOException {
    IllegalStateException mine = new IllegalStateException();
    assertThrows(IllegalStateException.class, () -> session.generate(PROMPT).stream().forEach(piece -> {
      throw mine;
    }));
    session.rewind(0);
    assertEquals(golden(), session.generate(PROMPT, tokens(100)).readAll());
  }

  @Test
  void changingTheSessionEndsItsGeneration() {
    Generation first = session.generate(PROMPT);
    first.iterator().next();
    Generation second = session.generate(PROMPT);
    assertSays("over", assertStatus(Status.ARGUMENT, () -> first.iterator().next()));
    first.close();
    second.iterator().next();
    session.rewind(0);
    assertSays("over", assertStatus(Status.ARGUMENT, () -> second.iterator().next()));
  }

  @Test
  void usingWhatIsClosedIsAnError() {
    Generation generation = session.generate(PROMPT);
    Sampler sampler = new Sampler(new SamplerOptions());
    for (AutoCloseable thing : Arrays.asList(generation, session, sampler, generation, session, sampler)) {
      assertTrue(closes(thing));
    }
    List<Executable> uses = Arrays.asList(generation::readAll, () -> session.eval(1), session::tokens, session::position,
        session::fork, () -> session.generate("a"), session::logits, session::perf, session::saveBytes,
        () -> session.rewind(0), session::resetPerf, () -> sampler.reseed(1), () -> sampler.sample(session),
        () -> new Batch().add(session, 1).eval());
    for (Executable use : uses) assertSays("closed", assertStatus(Status.ARGUMENT, use));
    generation.cancel();
  }

  private static boolean closes(AutoCloseable thing) {
    try {
      thing.close();
      return true;
    } catch (Exception e) {
      return false;
    }
  }

  @Test
  void wrongArgumentsAreExceptions() {
    Map<String, List<Executable>> nulls = new HashMap<>();
    nulls.put("tokens", Arrays.asList(() -> session.eval((int[]) null), () -> new Batch().add(session, (int[]) null)));
    nulls.put("prompt", Arrays.asList(() -> session.generate((String) null), () -> session.generate((int[]) null)));
    nulls.put("messages", Arrays.asList(() -> session.chat(null)));
    nulls.put("logits", Arrays.asList(() -> session.eval(new int[] {1}, null), () -> new Sampler().sample((float[]) null)));
    nulls.put("data", Arrays.asList(() -> session.loadBytes(null)));
    nulls.put("path", Arrays.asList(() -> session.load((Path) null), () -> session.save((String) null)));
    nulls.put("session", Arrays.asList(() -> new Batch().add(null, 1), () -> new Sampler(null).sample((Session) null)));
    nulls.put("recent", Arrays.asList(() -> new Sampler().sample(new float[1], (int[]) null)));
    nulls.put("text", Arrays.asList(() -> new GenerateOptions().stop(null)));
    nulls.forEach((name, uses) -> {
      for (Executable use : uses) assertEquals(name, assertThrows(NullPointerException.class, use).getMessage());
    });
    for (int[] wrong : new int[][] {{}, {-1}, {4096}}) assertStatus(Status.ARGUMENT, () -> session.eval(wrong));
    assertThrows(IllegalArgumentException.class, () -> session.rewind(-1));
    assertStatus(Status.ARGUMENT, () -> session.rewind(1));
  }
}
