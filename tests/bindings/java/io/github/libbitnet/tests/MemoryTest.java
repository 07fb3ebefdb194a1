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
    try (Model model = Model.open(MODEL);
        Session session = model.session(new SessionOptions().threads(1).context(64))) {
      if (model.info().name().isEmpty() || model.metadata().isEmpty()) throw new AssertionError();
      session.generate("It", new GenerateOptions().maxTokens(1)).readAll();
    }
  }

  @Test
  void openingAThousandTimesDoesNotGrow() throws Exception {
    for (int i = 0; i < 500; i++) cycle();
    System.gc();
    Thread.sleep(100);
    long mappings = mappings();
    long before = residentBytes();
    for (int i = 0; i < 1000; i++) cycle();
    System.gc();
    Thread.sleep(100);
    long growth = residentBytes() - before;
    System.out.printf("1,000 cycles: %d KiB%n", growth / 1024);
    assertTrue(growth < 4 << 20, growth + " bytes");
    assertTrue(mappings() <= mappings, "the file is still mapped");
  }

  private static void forget() {
    Model.open(MODEL).session(new SessionOptions().threads(1).context(64)).generate("It").iterator().next();
  }

  @Test
  void whatNobodyClosesIsCollected() throws Exception {
    for (int i = 0; i < 20; i++) forget();
    assertTrue(mappings() > 0);
    for (int i = 0; i < 100 && mappings() > 0; i++) {
      System.gc();
      Thread.sleep(50);
    }
    assertTrue(mappings() == 0, "still mapped: " + mappings());
  }
}
