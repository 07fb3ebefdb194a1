// SPDX-License-Identifier: MIT
package io.github.libbitnet.tests;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.libbitnet.BitnetException;
import io.github.libbitnet.Engine;
import io.github.libbitnet.EngineOptions;
import io.github.libbitnet.Model;
import io.github.libbitnet.Session;
import io.github.libbitnet.SessionOptions;
import io.github.libbitnet.Status;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import org.junit.jupiter.api.function.Executable;

/** What all tests use. */
final class Fixtures {
  static final String PROMPT = "It was a fine morning, and";
  static final Path MODEL = variable("BITNET_MODEL");
  static final Path CHAT_MODEL = variable("BITNET_CHAT_MODEL");

  private Fixtures() {}

  private static Path variable(String name) {
    String value = System.getenv(name);
    if (value == null) throw new AssertionError(name + " is not set; ctest -L java sets it");
    return Paths.get(value);
  }

  /** What the C example writes, less its final newline. */
  static String golden() throws IOException {
    String text = new String(Files.readAllBytes(variable("BITNET_GOLDEN")), StandardCharsets.UTF_8);
    return text.substring(0, text.length() - 1);
  }

  static Session session(Model model) {
    return session(model, new SessionOptions());
  }

  /** For which one thread computes. */
  static Session session(Model model, SessionOptions options) {
    try (Engine engine = model.engine(new EngineOptions().threads(1))) {
      return engine.session(options);
    }
  }

  static BitnetException assertStatus(Status status, Executable call) {
    BitnetException e = assertThrows(BitnetException.class, call);
    assertEquals(status, e.status(), e.getMessage());
    return e;
  }

  static void assertSays(String part, Throwable e) {
    assertTrue(e.getMessage().contains(part), e.getMessage());
  }

  /** Runs an action in another thread while the one that makes this is at work. */
  static final class InAMoment {
    private static final ThreadMXBean CLOCK = ManagementFactory.getThreadMXBean();
    private final long worker = Thread.currentThread().getId();
    private volatile long asked = -1;

    InAMoment(Runnable action) {
      new Thread(() -> {
        try {
          Thread.sleep(300);
        } catch (InterruptedException e) {
          throw new AssertionError(e);
        }
        asked = CLOCK.getThreadCpuTime(worker);
        action.run();
      }).start();
    }

    /** The work has ended since, and took 100 ms of processor time at most, whatever else the machine does. */
    void assertSoon() {
      assertTrue(asked >= 0, "the work ended by itself");
      long took = CLOCK.getThreadCpuTime(worker) - asked;
      assertTrue(took < 100_000_000, took + " ns");
    }
  }
}
