// SPDX-License-Identifier: MIT
package io.github.libbitnet;

import java.util.List;
import java.util.Objects;

/** A turn of a conversation. */
public final class Message {
  private final String role;
  private final String content;

  /** A message of any role that the model's template knows. The content may hold zero bytes. */
  public Message(String role, String content) {
    this.role = Objects.requireNonNull(role, "role");
    this.content = Objects.requireNonNull(content, () -> "the content of a message of role \"" + role + "\"");
  }

  /** What the assistant is told beforehand. */
  public static Message system(String content) {
    return new Message("system", content);
  }

  /** What the user says. */
  public static Message user(String content) {
    return new Message("user", content);
  }

  /** What the assistant answered. */
  public static Message assistant(String content) {
    return new Message("assistant", content);
  }

  /** "system", "user", "assistant", ... */
  public String role() {
    return role;
  }

  /** The text. */
  public String content() {
    return content;
  }

  static NativeConversation toNative(List<Message> messages) {
    NativeConversation conversation = new NativeConversation();
    int i = 0;
    for (Message message : Objects.requireNonNull(messages, "messages")) {
      String name = "messages[" + i++ + "]";
      Objects.requireNonNull(message, name);
      conversation.add(Text.encode(message.role, name + ".role"), Text.encode(message.content, name + ".content"));
    }
    return conversation;
  }

  @Override
  public String toString() {
    return role + ": " + content;
  }
}
