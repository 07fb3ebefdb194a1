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
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.libbitnet.Bitnet;
import io.github.libbitnet.ConvertOptions;
import io.github.libbitnet.Decoder;
import io.github.libbitnet.GenerateOptions;
import io.github.libbitnet.Generation;
import io.github.libbitnet.Head;
import io.github.libbitnet.LogLevel;
import io.github.libbitnet.Message;
import io.github.libbitnet.Model;
import io.github.libbitnet.ModelInfo;
import io.github.libbitnet.OpenOptions;
import io.github.libbitnet.Packing;
import io.github.libbitnet.Session;
import io.github.libbitnet.Status;
import io.github.libbitnet.TextOption;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/** Opening models, what they tell, and text. */
class ModelTest {
  private static Model model;

  @BeforeAll
  static void open() {
    model = Model.open(MODEL);
  }

  @AfterAll
  static void close() {
    model.close();
  }

  @Test
  void opensFromMemory() throws IOException {
    byte[] data = Files.readAllBytes(MODEL);
    ByteBuffer direct = ByteBuffer.allocateDirect(data.length + 3);
    direct.position(3);
    direct.put(data).position(3);
    for (ByteBuffer buffer : Arrays.asList(ByteBuffer.wrap(data), ByteBuffer.wrap(data).asReadOnlyBuffer(), direct)) {
      int position = buffer.position();
      try (Model copy = Model.open(buffer); Session session = copy.session()) {
        assertEquals(position, buffer.position());
        assertEquals(golden(), session.generate(PROMPT, new GenerateOptions().maxTokens(100)).readAll());
      }
    }
  }

  @Test
  void opensAPathWithOtherLetters(@TempDir Path folder) throws IOException {
    Path path = folder.resolve("Modèle 模型 🌍.bitnet");
    Files.copy(MODEL, path);
    try (Model byPath = Model.open(path); Model byName = Model.open(path.toString())) {
      assertEquals("austen", byPath.info().name());
      assertEquals("austen", byName.info().name());
    }
  }

  @Test
  void info() throws IOException {
    ModelInfo info = model.info();
    assertEquals(Arrays.asList("austen", "bitnet-b1.58", "i2", "f16"),
        Arrays.asList(info.name(), info.architecture(), info.packing(), info.head()));
    assertEquals(4096, info.vocabulary());
    assertEquals(6, info.layers());
    assertEquals(OptionalInt.of(0), info.bos());
    assertEquals(OptionalInt.of(1), info.eos());
    assertFalse(info.hasChatTemplate());
    assertEquals(Files.size(MODEL), info.fileBytes());
    assertTrue(info.parameters() > info.ternaryParameters() && info.ternaryParameters() > 1000000);
    assertTrue(Bitnet.isaNames().contains(info.isa()));
    assertEquals("MIT", model.metadata().get("general.license"));
  }

  @Test
  void optionsOfOpening() {
    try (Model scalar = Model.open(MODEL, new OpenOptions().isa("scalar").verify(true))) {
      assertEquals("scalar", scalar.info().isa());
    }
    try (Model gguf = Model.open(CHAT_MODEL, new OpenOptions().packing(Packing.T5).head(Head.INT8))) {
      assertEquals("t5 int8", gguf.info().packing() + " " + gguf.info().head());
    }
    assertSays("nonsense", assertStatus(Status.UNSUPPORTED, () -> Model.open(MODEL, new OpenOptions().isa("nonsense"))));
  }

  @Test
  void progressAndLog() {
    List<Long> steps = new ArrayList<>();
    List<String> lines = new ArrayList<>();
    OpenOptions options = new OpenOptions().verify(true).progress((done, total) -> {
      assertTrue(done <= total);
      return steps.add(done);
    }).log((level, text) -> lines.add(level + " " + text));
    Model.open(MODEL, options).close();
    assertFalse(steps.isEmpty());
    assertTrue(lines.stream().anyMatch(line -> line.startsWith(LogLevel.INFO + " ") && line.contains("kernels")));
  }

  @Test
  void progressCanCancel() {
    OpenOptions options = new OpenOptions().verify(true).progress((done, total) -> false);
    assertStatus(Status.CANCELLED, () -> Model.open(MODEL, options));
  }

  @Test
  void whatACallbackThrowsComesOut() {
    IllegalStateException mine = new IllegalStateException();
    OpenOptions progress = new OpenOptions().verify(true).progress((done, total) -> {
      throw mine;
    });
    OpenOptions log = new OpenOptions().log((level, text) -> {
      throw mine;
    });
    for (OpenOptions options : Arrays.asList(progress, log)) {
      assertSame(mine, assertThrows(IllegalStateException.class, () -> Model.open(MODEL, options)));
    }
  }

  @Test
  void damagedFilesAreErrors(@TempDir Path folder) throws IOException {
    for (String text : Arrays.asList("", "GGUF", "no model, whatever its name says, and long enough for a header")) {
      Path path = folder.resolve("bad.bitnet");
      Files.write(path, text.getBytes(StandardCharsets.UTF_8));
      assertSays("bad.bitnet", assertStatus(Status.FORMAT, () -> Model.open(path)));
      assertStatus(Status.FORMAT, () -> Model.open(ByteBuffer.wrap(Files.readAllBytes(path))));
    }
  }

  @Test
  void missingFilesAreErrors(@TempDir Path folder) {
    Path missing = folder.resolve("nicht da ä");
    assertSays("nicht da ä", assertStatus(Status.NOT_FOUND, () -> Model.open(missing)));
    assertStatus(Status.NOT_FOUND, () -> Bitnet.verify(missing));
    assertStatus(Status.NOT_FOUND, () -> Bitnet.convert(missing, folder.resolve("new")));
    assertSays("is a directory", assertStatus(Status.IO, () -> Model.open(folder)));
    assertSays("zero byte", assertStatus(Status.ARGUMENT, () -> Model.open("a\0b")));
  }

  @Test
  void tokenizesBothWays() {
    for (String text : Arrays.asList("", PROMPT, "naïve — 🌍 日本", "a\0b")) {
      int[] tokens = model.tokenize(text);
      assertEquals(text, model.detokenize(tokens));
      assertArrayEquals(text.getBytes(StandardCharsets.UTF_8), model.detokenizeBytes(tokens));
    }
    assertEquals(0, model.tokenize("a", TextOption.BOS_EOS)[0]);
    assertTrue(model.isControl(1) && model.isEnd(1));
    assertFalse(model.isControl(model.tokenize("a")[0]));
    assertNotEquals(model.detokenize(new int[] {1}), model.detokenize(new int[] {1}, TextOption.SPECIAL));
    for (int wrong : new int[] {-1, 4096, Integer.MAX_VALUE}) {
      assertStatus(Status.ARGUMENT, () -> model.detokenize(new int[] {wrong}));
      assertFalse(model.isEnd(wrong));
    }
  }

  @Test
  void aDecoderNeverSplitsACharacter() {
    String text = "naïve — 🌍";
    Decoder decoder = new Decoder(model);
    StringBuilder result = new StringBuilder();
    for (int token : model.tokenize(text)) {
      String piece = decoder.push(token);
      assertFalse(piece.contains("\uFFFD"));
      result.append(piece);
    }
    assertEquals(text, result + decoder.finish());
    decoder.close();
    decoder.close();
    assertSays("closed", assertStatus(Status.ARGUMENT, () -> decoder.push(5)));
  }

  @Test
  void chat() {
    List<Message> messages = Arrays.asList(Message.system("Be brief."), Message.user("Grüße!"));
    try (Model chatModel = Model.open(CHAT_MODEL); Session session = chatModel.session()) {
      assertTrue(chatModel.info().hasChatTemplate());
      assertEquals("<|system|>Be brief.<|end|><|user|>Grüße!<|end|><|assistant|>", chatModel.chatPrompt(messages));
      assertEquals("<|system|>Be brief.<|end|><|user|>Grüße!<|end|>", chatModel.chatPrompt(messages, false));
      int[][] tokens = new int[2][];
      for (int i = 0; i < 2; i++) {
        Generation answer = session.chat(messages, new GenerateOptions().maxTokens(5));
        answer.readAll();
        tokens[i] = answer.tokens();
      }
      assertEquals(5, tokens[0].length);
      assertArrayEquals(tokens[0], tokens[1]);
    }
    assertStatus(Status.UNSUPPORTED, () -> model.chatPrompt(messages));
  }

  @Test
  void usingAClosedModelIsAnError() {
    Model closed = Model.open(MODEL);
    Session session = closed.session();
    closed.close();
    closed.close();
    List<Executable> uses = Arrays.asList(closed::info, () -> closed.tokenize("a"), closed::session, closed::metadata,
        () -> new Decoder(closed), () -> closed.isEnd(1), () -> closed.detokenize(new int[0]));
    for (Executable use : uses) assertSays("the model is closed", assertStatus(Status.ARGUMENT, use));
    assertFalse(session.generate("a", new GenerateOptions().maxTokens(3)).readAll().isEmpty());
    session.close();
  }

  @Test
  void nullIsANullPointerException() {
    List<Executable> uses = Arrays.asList(() -> Model.open((String) null), () -> Model.open((Path) null),
        () -> Model.open((ByteBuffer) null), () -> Model.open(MODEL, null), () -> model.tokenize(null),
        () -> model.detokenize(null), () -> model.session(null), () -> new Decoder(null), () -> model.chatPrompt(null),
        () -> Message.user(null), () -> new OpenOptions().isa(null), () -> Bitnet.verify(null));
    for (Executable use : uses) assertThrows(NullPointerException.class, use);
  }

  @Test
  void convertAndVerify(@TempDir Path folder) throws IOException {
    Path target = folder.resolve("neu ä.bitnet");
    AtomicInteger steps = new AtomicInteger();
    Bitnet.convert(CHAT_MODEL, target,
        new ConvertOptions().packing(Packing.T5).head(Head.Q6).progress((done, total) -> steps.incrementAndGet() > 0));
    assertTrue(steps.get() > 0);
    Bitnet.verify(target);
    try (Model converted = Model.open(target)) {
      assertEquals("t5", converted.info().packing());
      assertEquals("q6", converted.info().head());
    }
    byte[] bytes = Files.readAllBytes(target);
    Files.write(target, Arrays.copyOf(bytes, bytes.length - 1));
    assertStatus(Status.FORMAT, () -> Bitnet.verify(target));
    assertSays("mine", assertThrows(IllegalStateException.class, () -> Bitnet.verify(MODEL, (done, total) -> {
      throw new IllegalStateException("mine");
    })));
  }

  @Test
  void tellsOfItself() {
    assertTrue(Bitnet.version().matches("\\d+\\.\\d+\\.\\d+"));
    assertTrue(Bitnet.isaNames().contains("scalar"));
    assertFalse(Bitnet.cpuFeatures().isEmpty());
  }
}
