// SPDX-License-Identifier: MIT
package io.github.libbitnet;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/**
 * A conversation, whose replies a session generates. What the session holds of a prompt is not evaluated again, and a reply
 * is the same whatever it holds. It may be used for other things between replies. While one thread pulls a reply, others may
 * look at the history.
 */
public final class Chat implements AutoCloseable {
  private final Session session;
  private final NativeChat object;
  private volatile boolean closed;

  /** An empty one. */
  public Chat(Session session) {
    this(session, null);
  }

  /** The same with options, or null. */
  public Chat(Session session, ChatOptions options) {
    this.session = Objects.requireNonNull(session, "session");
    object = Text.or(options, new ChatOptions()).toNative(session.object);
  }

  /** What generates the replies. */
  public Session session() {
    return session;
  }

  // -------------------------------------------------------------- the history

  /** The number of messages. */
  public int count() {
    return (int) object.count();
  }

  /** A copy of the history. */
  public List<Message> messages() {
    List<Message> messages = new ArrayList<>();
    int count = count();
    for (int i = 0; i < count; i++) messages.add(message(i));
    return messages;
  }

  /** Message {@code index}. */
  public Message message(int index) {
    int at = Text.count(index, "index");
    return new Message(Text.decode(object.role(at)), Text.decode(object.content(at)));
  }

  /** Puts a message at the end. Like every change of the history it ends a reply under way, whose text so far stays. */
  public void add(Message message) {
    Objects.requireNonNull(message, "message");
    object.add(Text.encode(message.role(), "role"), Text.encode(message.content(), "content"));
  }

  /** Puts a message before message {@code index}. */
  public void insert(int index, Message message) {
    Objects.requireNonNull(message, "message");
    object.insert(Text.count(index, "index"), Text.encode(message.role(), "role"),
        Text.encode(message.content(), "content"));
  }

  /** Takes out all messages from {@code index} on. */
  public void remove(int index) {
    object.remove_from(Text.count(index, "index"));
  }

  /** Takes out {@code count} messages from {@code index} on. */
  public void remove(int index, int count) {
    object.remove(Text.count(index, "index"), Text.count(count, "count"));
  }

  // ------------------------------------------------------------- what is said

  /**
   * The assistant's reply to the history, which has it as soon as the text has ended. If it is closed before, what it had
   * given out stays.
   */
  public Generation reply() {
    return reply(null);
  }

  /** The same with options, or null. */
  public Generation reply(GenerateOptions options) {
    return new Generation(session, object.reply(toNative(options)));
  }

  /** Another reply in place of the last message, which stays until the new one is there. */
  public Generation regenerate() {
    return regenerate(null);
  }

  /** The same with options, or null. */
  public Generation regenerate(GenerateOptions options) {
    return new Generation(session, object.regenerate(toNative(options)));
  }

  /** Adds a message of the user, and gives the reply to it. Where there can be none, the history is as before. */
  public Generation send(String text) {
    return send(text, null);
  }

  /** The same with options, or null. */
  public Generation send(String text, GenerateOptions options) {
    add(Message.user(text));
    try {
      return reply(options);
    } catch (RuntimeException e) {
      remove(count() - 1);
      throw e;
    }
  }

  private static NativeGenerateOptions toNative(GenerateOptions options) {
    return Text.or(options, new GenerateOptions()).toNative(0);
  }

  /** What the latest prompt was. */
  public ChatPrompt prompt() {
    return new ChatPrompt(object.prompt());
  }

  // ------------------------------------------------------------- another day

  /** Writes the history to a file, as JSON that other programs know: {@code {"model": ..., "messages": [...]}}. */
  public void save(String path) {
    object.save(Text.encode(path, "path"));
  }

  /** The same by a path of the default file system. */
  public void save(Path path) {
    object.save(Text.encode(path, "path"));
  }

  /** Reads back what {@link #save(String)} wrote, or any such file, in place of the history. */
  public void load(String path) {
    object.load(Text.encode(path, "path"));
  }

  /** The same by a path of the default file system. */
  public void load(Path path) {
    object.load(Text.encode(path, "path"));
  }

  /** What {@link #save(String)} writes. */
  public String saveJson() {
    return Text.decode(object.save_memory());
  }

  /** Reads such JSON in place of the history. */
  public void loadJson(String text) {
    object.load_memory(Text.encode(text, "text"));
  }

  /** Lets go of the conversation. A reply under way ends. */
  @Override
  public void close() {
    closed = true;
    object.close();
  }

  @Override
  public String toString() {
    return closed ? "Chat[closed]" : "Chat[" + count() + " messages]";
  }
}
