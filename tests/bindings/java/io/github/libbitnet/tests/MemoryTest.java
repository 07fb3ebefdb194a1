// SPDX-License-Identifier: MIT
package io.github.libbitnet.tests;

import static io.github.libbitnet.tests.Fixtures.MODEL;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.libbitnet.GenerateOptions;
import io.github.libbitnet.Model;
import io.github.libbitnet.Session;
import io.github.libbitnet.SessionOptions;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Paths;
import org.junit.jupiter.api.Test;

/**
 * What is closed gives its memory back; so does what the garbage collector finds, some time later. The heap of Java is
 * of a fixed size here (pom.xml), so that the process grows by what C++ takes.
 */
class MemoryTest {
  private static long residentBytes() throws IOException {
    String pages = Files.readString(Paths.get("/proc/self/statm")).split(" ")[1];
    return Long.parseLong(pages) * 4096;
  }

  /** How many times the model's file is mapped. */
  private static long mappings() throws IOException {
    return Files.readString(Paths.get("/proc/self/maps")).lines().filter(line -> line.endsWith(MODEL.toString())).count();
  }

  private static void cycle() {
    try (Model model = Model.open(MODEL); Session session = Fixtures.session(model, new SessionOptions().context(64))) {
      if (model.info().name().isEmpty() || model.metadata().isEmpty()) throw new AssertionError();
      session.generate("It", new GenerateOptions().maxTokens(1)).readAll();
    }
  }

  private static long residentBytesAfter(int cycles) throws Exception {
    for (int i = 0; i < cycles; i++) cycle();
    System.gc();
    Thread.sleep(100);
    return residentBytes();
  }

  /** A leak grows in each round, for ever. What malloc and the virtual machine keep for themselves grows ever less. */
  @Test
  void openingThousandsOfTimesDoesNotGrow() throws Exception {
    residentBytesAfter(500);
    long mappings = mappings();
    long before = residentBytesAfter(0);
    long least = Long.MAX_VALUE;
    for (int round = 0; round < 16 && least >= 2 << 20; round++) {
      long now = residentBytesAfter(500);
      least = Math.min(least, now - before);
      before = now;
    }
    System.out.printf("500 cycles: %d KiB%n", least / 1024);
    assertTrue(least < 2 << 20, least + " bytes");
    awaitMappings(mappings);
  }

  /** What was not closed goes when the collector has come to it, on a thread of its own. */
  private static void awaitMappings(long most) throws Exception {
    for (int i = 0; i < 100 && mappings() > most; i++) {
      System.gc();
      Thread.sleep(50);
    }
    assertTrue(mappings() <= most, "still mapped: " + mappings());
  }

  private static void forget() {
    Fixtures.session(Model.open(MODEL), new SessionOptions().context(64)).generate("It").iterator().next();
  }

  @Test
  void whatNobodyClosesIsCollected() throws Exception {
    for (int i = 0; i < 20; i++) forget();
    assertTrue(mappings() > 0);
    awaitMappings(0);
  }
}
