// SPDX-License-Identifier: MIT
package io.github.libbitnet.tests;

import static io.github.libbitnet.tests.Fixtures.CHAT_MODEL;
import static io.github.libbitnet.tests.Fixtures.assertSays;
import static io.github.libbitnet.tests.Fixtures.assertStatus;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.libbitnet.BitnetException;
import io.github.libbitnet.Chat;
import io.github.libbitnet.ChatFit;
import io.github.libbitnet.ChatOptions;
import io.github.libbitnet.GenerateOptions;
import io.github.libbitnet.Generation;
import io.github.libbitnet.Message;
import io.github.libbitnet.Model;
import io.github.libbitnet.Session;
import io.github.libbitnet.Status;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Conversations that are kept. */
class ChatTest {
  private static Model model;
  private Session session;
  private Chat chat;

  @BeforeAll
  static void open() {
    model = Model.open(CHAT_MODEL);
  }

  @AfterAll
  static void close() {
    model.close();
  }

  @BeforeEach
  void begin() {
    session = Fixtures.session(model);
    chat = new Chat(session);
  }

  @AfterEach
  void end() {
    chat.close();
    session.close();
  }

  private static GenerateOptions tokens(int count) {
    return new GenerateOptions().maxTokens(count);
  }

  private static List<String> shown(Chat chat) {
    return chat.messages().stream().map(Message::toString).collect(Collectors.toList());
  }

  @Test
  void keepsItsHistory() {
    chat.add(Message.system("Be brief."));
    String first = chat.send("Hi", tokens(6)).readAll();
    assertEquals(List.of("system: Be brief.", "user: Hi", "assistant: " + first), shown(chat));
    try (Session other = Fixtures.session(model)) {
      assertEquals(first, other.chat(chat.messages().subList(0, 2), tokens(6)).readAll(), "the same as from nothing");
    }
    assertEquals(first, chat.regenerate(tokens(6)).readAll());
    assertEquals(3, chat.count());
    assertTrue(chat.prompt().tokens() > 0 && chat.prompt().tokensNeeded() > chat.prompt().tokens());
    assertEquals(0, chat.prompt().leftOut());
    chat.insert(1, Message.user("Grüße\0!"));
    chat.remove(2);
    assertEquals(List.of("system: Be brief.", "user: Grüße\0!"), shown(chat));
    assertEquals("Chat[2 messages]", chat.toString());
  }

  @Test
  void aReplyThatIsBrokenOffStaysAsFarAsItCame() {
    Generation reply = chat.send("Hi", tokens(50));
    Iterator<String> pieces = reply.iterator();
    String text = pieces.next();
    assertEquals(List.of("user: Hi"), shown(chat));
    reply.close();
    assertEquals(List.of("user: Hi", "assistant: " + text), shown(chat));
    Iterator<String> more = chat.reply(tokens(50)).iterator();
    more.next();
    chat.remove(1);
    assertThrows(BitnetException.class, () -> more.forEachRemaining(piece -> { }));
    assertEquals(List.of("user: Hi"), shown(chat));
  }

  @Test
  void goesOnAnotherDay(@TempDir Path folder) throws IOException {
    chat.add(Message.user("Hi \"there\""));
    Path file = folder.resolve("chat.json");
    chat.save(file);
    assertSays("messages", new AssertionError(Files.readString(file)));
    try (Chat other = new Chat(session, new ChatOptions().trust(true))) {
      other.load(file);
      assertEquals(shown(chat), shown(other));
      other.loadJson("{\"messages\": []}");
      assertEquals(Collections.emptyList(), other.messages());
      other.loadJson(chat.saveJson());
      assertEquals(shown(chat), shown(other));
      assertStatus(Status.FORMAT, () -> other.loadJson("{"));
    }
  }

  @Test
  void refuses() {
    try (Chat strict = new Chat(session, new ChatOptions().fit(ChatFit.REFUSE).reserve(5))) {
      String text = String.join("", Collections.nCopies(100000, "a b "));
      assertStatus(Status.CONTEXT, () -> strict.send(text).readAll());
      assertEquals(0, strict.count());
      assertStatus(Status.ARGUMENT, strict::reply);
    }
    assertThrows(IllegalArgumentException.class, () -> new ChatOptions().reserve(-1));
    chat.close();
    assertSays("the chat is closed", assertStatus(Status.ARGUMENT, () -> chat.count()));
    assertEquals("Chat[closed]", chat.toString());
  }
}
